import { decimal, fixed } from '../../report/html.js';

/** A value as it is shown everywhere: three decimals; a dash where there is none. */
export function shown(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? '–' : fixed(value, digits);
}

/** A number of the data: three decimals to read (or `digits`, or as many as `rounded` needs), and all of it in the tooltip. */
export function Value({ of, digits, rounded }: { of: number | null | undefined; digits?: number; rounded?: boolean }) {
  return (
    <data
      class="value"
      value={of === null || of === undefined ? '' : String(of)}
      title={of === null ? undefined : String(of)}
    >
      {rounded ? decimal(of) : shown(of, digits)}
    </data>
  );
}

/** The colour of an advantage between blue (better than the state's value) and orange (worse), grey at none. */
export function advantageColour(advantage: number | null, scale: number): string {
  if (advantage === null) return 'var(--dim)';
  const share = Math.round(100 * Math.min(1, Math.abs(advantage) / (scale || 1)));
  return `color-mix(in oklab, var(--${advantage >= 0 ? 'better' : 'worse'}) ${Math.max(15, share)}%, var(--neutral))`;
}
