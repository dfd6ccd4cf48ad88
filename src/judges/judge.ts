/** What a judge says of an episode. `unknown` is an error of the run, never a reward of 0 (ALGORITHMS §7). */
export type Verdict = 'success' | 'failure' | 'unknown';

/**
 * The end of an episode, asked about once, before the device is reset. Judges lie below the devices, so this names only
 * what they may ask of one; every Device fits.
 */
export interface EpisodeEnd {
  readonly device: {
    readonly id: string;
    /** for a device that knows its own state: whether the task is achieved now */
    achieved?(): boolean;
  };
  readonly task: { readonly id: string; readonly text: string };
  /** the last screenshot, RGBA */
  readonly frame?: { readonly width: number; readonly height: number; readonly rgba: Uint8ClampedArray };
  /** whether the agent's last action was STATUS_TASK_COMPLETE */
  readonly completed: boolean;
}

export interface Judge {
  readonly name: string;
  judge(end: EpisodeEnd): Promise<Verdict>;
}
