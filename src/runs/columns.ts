/** Columns of text that line up, with two spaces between them; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, [...cell].length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i] - [...cell].length)))
      .join('  ')
      .trimEnd(),
  );
}

/** `78.3 % (74.1 to 82.0)`. */
export function rateText({ rate, ci95: [low, high] }: { rate: number; ci95: readonly [number, number] }): string {
  return `${percent(rate)} % (${percent(low)} to ${percent(high)})`;
}

export function percent(rate: number): string {
  return (100 * rate).toFixed(1);
}

/** A difference of rates in percentage points: `+4.2`. */
export function points(difference: number): string {
  const text = (100 * difference).toFixed(1);
  return Number(text) > 0 ? `+${text}` : text.replace('-', '−');
}
