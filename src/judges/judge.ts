/** What a judge says of an episode. `unknown` is an error of the run, never a reward of 0 (docs/algorithms.md §7). */
export type Verdict = 'success' | 'failure' | 'unknown';

/** A screenshot, RGBA. Judges lie below the devices, so this only looks like their Frame. */
export interface Screen {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray;
}

/**
 * The end of an episode, asked about once, before the device is reset; or the end of a step, for judges that are asked
 * after each. It names only what judges may ask of a device; every Device fits.
 */
export interface EpisodeEnd {
  readonly device: {
    readonly id: string;
    /** for a device that knows its own state: whether the task is achieved now; undefined where it could not find out */
    achieved?(): boolean | undefined;
  };
  readonly task: { readonly id: string; readonly text: string };
  /** the last screenshot */
  readonly frame?: Screen;
  /** the screenshot before it */
  readonly previousFrame?: Screen;
  /** whether the agent's last action was STATUS_TASK_COMPLETE */
  readonly completed: boolean;
  /** what the judge said of `previousFrame` in this episode, if it was asked */
  readonly before?: Verdict;
  /** aborted where the answer is no longer wanted: the judgement then fails with its reason */
  readonly signal?: AbortSignal;
}

/**
 * When a judge is asked: at the end of an episode (the default), or after each step, where the first success ends the
 * episode, as in DigiRL's and Digi-Q's released code.
 */
export type Asked = 'end' | 'step';

export interface Judge {
  readonly name: string;
  readonly asked?: Asked;
  /** judges by the screenshots alone: at the end of an episode its device goes on to the next one meanwhile */
  readonly byScreens?: boolean;
  judge(end: EpisodeEnd): Promise<Verdict>;
}

/**
 * The verdict on an episode of several judgements: a success if one is; unknown if one that could have been a success is
 * unknown, or if there is none; else a failure.
 */
export function overall(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('success')) return 'success';
  return verdicts.length === 0 || verdicts.includes('unknown') ? 'unknown' : 'failure';
}
