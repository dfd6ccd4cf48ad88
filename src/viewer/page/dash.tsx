/** Dash patterns of lines, in pixels; the first is a solid line. */
export const DASHES: readonly (readonly number[])[] = [[], [6, 4], [2, 3], [10, 4, 2, 4]];

/** A piece of line as a legend shows it. */
export function LineKey({ colour, dash }: { colour: string; dash: readonly number[] }) {
  return (
    <svg class="line-key" viewBox="0 0 26 8" aria-hidden="true">
      <path d="M0 4H26" style={{ stroke: colour, strokeDasharray: dash.join(' ') || 'none' }} />
    </svg>
  );
}
