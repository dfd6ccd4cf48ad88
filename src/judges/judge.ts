import type { Frame } from '../data/formats/frame.js';

/** A judge's verdict on an episode. `unknown` means that it gave none; it never counts as a reward of 0 (docs/algorithms.md §7). */
export type Verdict = 'success' | 'failure' | 'unknown';

/**
 * The state a judge sees: the end of an episode, before the device is reset, or the end of a step for judges that are
 * asked after each step. `device` has only the members that a judge may use; every Device fits.
 */
export interface EpisodeEnd {
  readonly device: {
    readonly id: string;
    /** only on devices that know their own state: whether the task is achieved now; undefined if that is not known */
    achieved?(): boolean | undefined;
  };
  readonly task: { readonly id: string; readonly text: string };
  /** the last screenshot */
  readonly frame?: Frame;
  /** the screenshot before it */
  readonly previousFrame?: Frame;
  /** whether the agent's last action was STATUS_TASK_COMPLETE */
  readonly completed: boolean;
  /** the verdict on `previousFrame` in this episode, if the judge was asked */
  readonly before?: Verdict;
  /** aborted when the verdict is no longer needed: `judge` then throws the signal's reason */
  readonly signal?: AbortSignal;
}

/**
 * When a judge is asked: at the end of an episode (the default), or after each step. In the second case, the first
 * success ends the episode, as in the released code of DigiRL and Digi-Q.
 */
export type Asked = 'end' | 'step';

export interface Judge {
  readonly name: string;
  readonly asked?: Asked;
  /** needs only the screenshots: while it judges an episode, the device already runs the next one */
  readonly byScreens?: boolean;
  judge(end: EpisodeEnd): Promise<Verdict>;
}

/**
 * The verdict on an episode that was judged several times: success if any verdict is a success; else unknown if any is
 * unknown or there is none; else failure.
 */
export function overall(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('success')) return 'success';
  return verdicts.length === 0 || verdicts.includes('unknown') ? 'unknown' : 'failure';
}
