import { decimal, fixed, signed as withSign } from '../../report/html.js';

/** A value with three decimals, as all views show it; a dash for none. */
export function shown(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? '–' : fixed(value, digits);
}

interface ValueProps {
  readonly of: number | null | undefined;
  /** decimals; default three */
  readonly digits?: number;
  /** as many decimals as three significant digits need */
  readonly rounded?: boolean;
  /** with a plus sign for positive numbers */
  readonly signed?: boolean;
}

/** A number of the data, rounded, with all its digits in the tooltip. */
export function Value({ of, digits, rounded, signed }: ValueProps) {
  const none = of === null || of === undefined;
  return (
    <data class="value" value={none ? '' : String(of)} title={none ? undefined : String(of)}>
      {rounded ? decimal(of) : signed && !none ? withSign(of, digits ?? 3) : shown(of, digits)}
    </data>
  );
}

/** The colour of an advantage: blue above the state's value, orange below, grey at it. */
export function advantageColour(advantage: number | null, scale: number): string {
  if (advantage === null) return 'var(--dim)';
  const share = Math.round(100 * Math.min(1, Math.abs(advantage) / (scale || 1)));
  return `color-mix(in oklab, var(--${advantage >= 0 ? 'better' : 'worse'}) ${Math.max(15, share)}%, var(--neutral))`;
}
