/** The line filters of PNG (W3C, third edition, §9.2), reversed in place. */

/**
 * Reverses filter 2 (up), which Chromium uses for whole screenshots: adds to each of `count` bytes from `start` the byte of
 * the line above. It adds four bytes at a time as a word, with their top bits separate so that they don't carry into each
 * other, which takes a quarter of the time.
 */
export function addAbove(lines: DataView, start: number, count: number): void {
  const back = count + 1;
  const end = start + count;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const [a, b] = [lines.getInt32(at, true), lines.getInt32(at - back, true)];
    lines.setInt32(at, ((a & 0x7f7f7f7f) + (b & 0x7f7f7f7f)) ^ ((a ^ b) & 0x80808080), true);
  }
  for (; at < end; at++) lines.setUint8(at, lines.getUint8(at) + lines.getUint8(at - back));
}

/**
 * Reverses the other filters.
 * @param back bytes from a pixel to the one on its left, at least 1
 * @throws Error if there is no such filter
 */
export function unfilter(filter: number, line: Uint8Array, above: Uint8Array, back: number, y: number): void {
  if (filter === 0) return;
  if (filter > 4) throw new Error(`damaged PNG: expected a filter of at most 4 in line ${y}, got ${filter}`);
  // Browsers use filter 1 for many lines; a separate loop is five times as fast.
  if (filter === 1) {
    for (let i = back; i < line.length; i++) line[i] += line[i - back];
    return;
  }
  for (let i = 0; i < line.length; i++) {
    const left = i < back ? 0 : line[i - back];
    const corner = i < back ? 0 : above[i - back];
    line[i] += prediction(filter, left, above[i], corner);
  }
}

function prediction(filter: number, left: number, above: number, corner: number): number {
  if (filter === 3) return (left + above) >> 1;
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
