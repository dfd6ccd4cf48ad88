/** Colours of the palette: `--s0` to `--s7` of the report's and the viewer's style. */
export const COLOURS = 8;

/** Policies that the stages make under these names have a colour of their own on every page. */
const FIXED: Readonly<Record<string, number>> = {
  base: 0,
  filteredbc: 1,
  digiq: 2,
  'base+bestofq': 3,
  digirl: 4,
  coso: 5,
  naive: 6,
  demonstrator: 7,
};

/** Class of the `n`th colour of the palette, which starts over after the last. */
export function colour(n: number): string {
  return `s${n % COLOURS}`;
}

/** Orders policies: first those with fixed colours, then the others by name. */
export function byPolicy(a: string, b: string): number {
  const rank = (name: string) => FIXED[name] ?? COLOURS;
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * The colour of each policy of a run, the same in the report and in all views of the viewer: first the fixed ones, then
 * the free ones for the others, in order.
 * @param names of all policies of the run
 */
export function policyColours(names: Iterable<string>): ReadonlyMap<string, number> {
  const all = [...new Set(names)].sort();
  const used = new Set(all.flatMap((name) => FIXED[name] ?? []));
  const free = Array.from({ length: COLOURS }, (_, n) => n).filter((n) => !used.has(n));
  let next = 0;
  const pick = (): number => (next < free.length ? free[next++] : next++ % COLOURS);
  return new Map(all.map((name) => [name, FIXED[name] ?? pick()]));
}
