import { wilson95 } from './interval.js';
import type { Rating } from './labels.js';

/** How far two ratings of the same steps agree; 2 (good) is the positive class of precision and recall. */
export interface RatingAgreement {
  /** steps that both rate */
  readonly items: number;
  /** steps by the first and the second rating, for example `bothGood`, `onlyFirstGood` */
  readonly bothGood: number;
  readonly onlyFirstGood: number;
  readonly onlySecondGood: number;
  readonly bothBad: number;
  /** share of equal ratings with its 95 % interval (Wilson); null without items */
  readonly accuracy: number | null;
  readonly ci95: readonly [number, number];
  /** Cohen's kappa: 1 is perfect, 0 what chance gives; null where each rates all steps alike, so that it is not defined */
  readonly kappa: number | null;
}

/** A step with two ratings; steps without either are left out. */
export interface RatingPair {
  readonly first: Rating | null;
  readonly second: Rating | null;
}

/** Compares two ratings of steps. */
export function ratingAgreement(pairs: Iterable<RatingPair>): RatingAgreement {
  const counts = [0, 0, 0, 0];
  for (const { first, second } of pairs) {
    if (first === null || second === null) continue;
    counts[(first === 2 ? 2 : 0) + (second === 2 ? 1 : 0)]++;
  }
  const [bothBad, onlySecondGood, onlyFirstGood, bothGood] = counts;
  const items = bothBad + onlySecondGood + onlyFirstGood + bothGood;
  const equal = bothBad + bothGood;
  return {
    items,
    bothGood,
    onlyFirstGood,
    onlySecondGood,
    bothBad,
    accuracy: items === 0 ? null : equal / items,
    ci95: wilson95(equal, items),
    kappa: kappa({ items, equal, first: bothGood + onlyFirstGood, second: bothGood + onlySecondGood }),
  };
}

/** Cohen's kappa (1960): (observed - expected) / (1 - expected). `first` and `second`: how many each rates good. */
function kappa({ items, equal, first, second }: { items: number; equal: number; first: number; second: number }) {
  if (items === 0) return null;
  const expected = (first * second + (items - first) * (items - second)) / items ** 2;
  return expected === 1 ? null : (equal / items - expected) / (1 - expected);
}

/** The agreement over all steps and by the type of the action, types in the order of their number of steps. */
export function agreementByType<Row extends { readonly actionType: string }>(
  rows: readonly Row[],
  pair: (row: Row) => RatingPair,
): { readonly all: RatingAgreement; readonly types: readonly (RatingAgreement & { readonly type: string })[] } {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.actionType);
    if (group) group.push(row);
    else groups.set(row.actionType, [row]);
  }
  return {
    all: ratingAgreement(rows.map(pair)),
    types: [...groups]
      .map(([type, group]) => ({ type, ...ratingAgreement(group.map(pair)) }))
      .filter(({ items }) => items > 0)
      .sort((a, b) => b.items - a.items || (a.type < b.type ? -1 : 1)),
  };
}
