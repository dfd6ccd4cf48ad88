import { appendLine, readLines } from '../formats/jsonl.js';

/** One thing an agent did: what it saw, what it was told, what it did. */
export interface EpisodeStep {
  /** content id of the screenshot before the action (images.ts) */
  readonly image: string;
  /** the prompt the policy was given (docs/algorithms.md §0) */
  readonly prompt: string;
  /** the action in the policy's own words, valid or not */
  readonly action: string;
  /** whether it reached the device; `no` also for an action that could not be parsed */
  readonly applied: 'yes' | 'no' | 'unknown';
  /** version of the policy that acted, where it is trained meanwhile */
  readonly version?: number;
  /** what a served agent answered, in full; left out where no answer was asked for */
  readonly said?: string;
}

/** What ended an attempt at an episode, mostly something that a device did; the episode was then begun anew. */
export interface EpisodeFault {
  /** `Device.id` */
  readonly device: string;
  /** what was asked of it: `reset`, `screenshot`, `act`, ...; `agent` where the agent could not go on */
  readonly call: string;
  /** steps that the attempt had done before */
  readonly step: number;
  /** for `act`: whether the action reached the device cannot be told. It was not sent again. */
  readonly applied?: 'unknown';
  /** one line */
  readonly reason: string;
}

/** One try at one task, as it is journalled when it ends. */
export interface Episode {
  /** unique in the journal, and the same for the same plan whatever was killed in between */
  readonly episode: string;
  /** `Task.id` */
  readonly task: string;
  readonly family: string;
  /** the instruction the agent was given */
  readonly goal: string;
  /** seed of the device's and the policy's randomness in this episode */
  readonly seed: number;
  readonly steps: readonly EpisodeStep[];
  /** content id of the screenshot after the last action */
  readonly finalImage: string;
  /** the prompt the policy would have been given next */
  readonly finalPrompt: string;
  /** the judge's verdict at the end: 1 success, 0 not */
  readonly reward: number;
  /** ended because it ran out of steps, not because the agent or the judge ended it */
  readonly truncated: boolean;
  /** faults of devices in the attempts before this one, which began anew from the seed; left out where there were none */
  readonly faults?: readonly EpisodeFault[];
}

const WHAT_TO_DO = 'delete the line to collect that episode again';

/**
 * `trajectories.jsonl`: the episodes collected so far, a line each, durable one by one. What a killed run was in the
 * middle of writing is dropped; everything before it stays.
 */
export class Journal<E extends { readonly episode: string } = Episode> {
  private readonly seen: Set<string>;

  private constructor(
    readonly file: string,
    private readonly read: E[],
  ) {
    this.seen = new Set(read.map(({ episode }) => episode));
  }

  /** Opens or starts a journal. Throws a UserError naming the line where one is damaged. */
  static open<E extends { readonly episode: string } = Episode>(file: string): Journal<E> {
    const first = new Map<string, E>();
    for (const episode of readLines<E>(file, WHAT_TO_DO)) {
      if (!first.has(episode.episode)) first.set(episode.episode, episode);
    }
    return new Journal<E>(file, [...first.values()]);
  }

  /** the episodes, in the order they were journalled; the first of each id */
  get episodes(): readonly E[] {
    return this.read;
  }

  has(episode: string): boolean {
    return this.seen.has(episode);
  }

  /** Adds an episode durably. An id that is there already is not written again: the answer is false. */
  async append(episode: E): Promise<boolean> {
    if (this.seen.has(episode.episode)) return false;
    this.seen.add(episode.episode);
    await appendLine(this.file, episode);
    this.read.push(episode);
    return true;
  }
}
