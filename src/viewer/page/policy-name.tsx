import { policyColours } from '../../report/colours.js';
import type { RunInfo } from '../api.js';

/** The colour of each policy of a run, the same in all views and in the report. */
export function coloursOf({ policies, sets }: RunInfo): ReadonlyMap<string, number> {
  return policyColours([...policies, ...sets.map(({ policy }) => policy).filter((name) => name !== '')]);
}

/** A policy's name behind its colour. */
export function PolicyName({ name, colours }: { name: string; colours: ReadonlyMap<string, number> }) {
  return (
    <span class="policy">
      <i class="swatch" style={{ background: `var(--s${colours.get(name) ?? 0})` }} />
      {name}
    </span>
  );
}
