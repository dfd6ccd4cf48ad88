import { appendLine, readLines } from '../formats/jsonl.js';

/** One step of an episode: the agent's screen, prompt and action. */
export interface EpisodeStep {
  /** content id of the screenshot before the action (images.ts) */
  readonly image: string;
  /** the policy's prompt (docs/algorithms.md §0) */
  readonly prompt: string;
  /** the action text as generated, valid or not */
  readonly action: string;
  /** whether the action was executed on the device; `no` also for an invalid action */
  readonly applied: 'yes' | 'no' | 'unknown';
  /** version of the policy that acted, if it is trained during collection */
  readonly version?: number;
  /** full answer of a served agent; missing if no answer was requested */
  readonly said?: string;
}

/** A fault that ended an attempt at an episode, mostly of the device. The episode was then restarted. */
export interface EpisodeFault {
  /** `Device.id` */
  readonly device: string;
  /** the call that failed: `reset`, `screenshot`, `act`, ...; `agent` if the agent failed */
  readonly call: string;
  /** number of steps before the fault */
  readonly step: number;
  /** for `act`: it is unknown whether the action was executed. It was not sent again. */
  readonly applied?: 'unknown';
  /** one line */
  readonly reason: string;
}

/** One attempt at one task, written to the journal when it has ended. */
export interface Episode {
  /** unique in the journal; the same for the same plan, also after a kill and resume */
  readonly episode: string;
  /** `Task.id` */
  readonly task: string;
  readonly family: string;
  /** the agent's instruction */
  readonly goal: string;
  /** seed of the device's and the policy's randomness in this episode */
  readonly seed: number;
  readonly steps: readonly EpisodeStep[];
  /** content id of the screenshot after the last action */
  readonly finalImage: string;
  /** the prompt of the next step, had there been one */
  readonly finalPrompt: string;
  /** the judge's final verdict: 1 for success, else 0 */
  readonly reward: number;
  /** whether it ended at the maximum number of steps, not by the agent or the judge */
  readonly truncated: boolean;
  /** faults in earlier attempts, after which the episode was restarted from its seed; missing if there were none */
  readonly faults?: readonly EpisodeFault[];
}

const WHAT_TO_DO = 'delete the line to collect that episode again';

/**
 * `trajectories.jsonl`: the episodes collected so far, one per line. Each line is durable when it is written. An incomplete
 * line of a killed run is dropped; all lines before it stay.
 */
export class Journal<E extends { readonly episode: string } = Episode> {
  private readonly seen: Set<string>;

  private constructor(
    readonly file: string,
    private readonly read: E[],
  ) {
    this.seen = new Set(read.map(({ episode }) => episode));
  }

  /** Opens or starts a journal. @throws UserError that names a damaged line */
  static open<E extends { readonly episode: string } = Episode>(file: string): Journal<E> {
    const first = new Map<string, E>();
    for (const episode of readLines<E>(file, WHAT_TO_DO)) {
      if (!first.has(episode.episode)) first.set(episode.episode, episode);
    }
    return new Journal<E>(file, [...first.values()]);
  }

  /** the episodes in the order of writing; only the first of each id */
  get episodes(): readonly E[] {
    return this.read;
  }

  has(episode: string): boolean {
    return this.seen.has(episode);
  }

  /** Adds an episode durably. @returns false if the journal already has its id; then nothing is written */
  async append(episode: E): Promise<boolean> {
    if (this.seen.has(episode.episode)) return false;
    this.seen.add(episode.episode);
    await appendLine(this.file, episode);
    this.read.push(episode);
    return true;
  }
}
