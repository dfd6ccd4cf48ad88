/** How often something succeeded; `ci95`: Wilson's 95 % interval. */
export interface Rate {
  readonly episodes: number;
  readonly successes: number;
  readonly rate: number;
  readonly ci95: readonly [number, number];
}

/** What an evaluation found, as `eval` stores it. */
export interface Evaluation extends Rate {
  /** the policy's name, with `+bestofq` where the critic ranked its samples; `served-...` for an agent that is not ours */
  readonly policy: string;
  readonly split: string;
  readonly protocol: string;
  /** 'sampled' at the temperature, or 'greedy' */
  readonly mode: string;
  readonly temperature: number;
  /** who judged: `state`, or the kind of server and its model */
  readonly judge: string;
  /** episodes that were not judged: they are in none of the numbers */
  readonly unknown: readonly string[];
  /** episodes that faults of devices kept from their end: likewise */
  readonly lost: readonly string[];
  readonly mean_steps: number;
  /** steps of these episodes in which nothing was done, since what the agent said is no action; not in results of before */
  readonly invalid_steps?: number;
  readonly families: Readonly<Record<string, Rate>>;
}

/** A row of report.json. */
export interface RateRow extends Rate {
  readonly policy: string;
  readonly split: string;
}

/** Evaluations of all tasks by how actions were chosen, and everything else; each in the order given. */
export interface RateRows {
  /** sampled */
  readonly rows: readonly RateRow[];
  readonly greedy: readonly RateRow[];
  /** of the first 96 tasks, by the names of the evaluations */
  readonly first96: readonly (RateRow & { readonly mode: string })[];
}

export function rateRows(evaluations: Iterable<Evaluation>): RateRows {
  const all = [...evaluations];
  const whole = all.filter(({ protocol }) => protocol === 'all');
  return {
    rows: whole.filter(({ mode }) => mode === 'sampled').map(rowOf),
    greedy: whole.filter(({ mode }) => mode === 'greedy').map(rowOf),
    first96: all.filter(({ protocol }) => protocol !== 'all').map((one) => ({ ...rowOf(one), mode: one.mode })),
  };
}

function rowOf({ policy, split, episodes, successes, rate, ci95 }: Evaluation): RateRow {
  return { policy, split, episodes, successes, rate, ci95 };
}

/** What a rate does not tell of an evaluation: who judged, where not the device itself, and what is not in it. */
export function caveats({ judge, unknown, lost, invalid_steps: invalid = 0 }: Evaluation): string[] {
  return [
    ...(judge === 'state' ? [] : [`judged by ${judge}`]),
    ...(unknown.length === 0 ? [] : [`${counted(unknown.length, 'episode')} not judged, and in no rate`]),
    ...(lost.length === 0 ? [] : [`${counted(lost.length, 'episode')} lost to faults of devices, and in no rate`]),
    ...(invalid === 0 ? [] : [`${counted(invalid, 'step')} in which what was said is no action`]),
  ];
}

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** Whether two intervals have no rate in common. */
export function apart(a: Rate, b: Rate): boolean {
  return a.ci95[1] < b.ci95[0] || b.ci95[1] < a.ci95[0];
}
