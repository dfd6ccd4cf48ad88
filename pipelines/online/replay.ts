import { monteCarloReturns } from '../../src/data/returns.js';
import type { Episode } from '../../src/data/store/journal.js';
import type { Transition } from '../../src/data/transitions.js';

/** One step, as used to train values and policy. */
export interface OnlineStep {
  readonly prompt: string;
  readonly action: string;
  /** ids of the screen before the action and of the one a step earlier (the first step repeats its own) */
  readonly image: string;
  readonly previousImage: string;
  /** version of the policy that acted; undefined if unknown */
  readonly version?: number;
}

/** A trajectory in the replay. */
export interface OnlineTrajectory {
  readonly id: string;
  readonly task: string;
  readonly reward: number;
  readonly steps: readonly OnlineStep[];
  /** the state after the last step */
  readonly final: Pick<OnlineStep, 'prompt' | 'image' | 'previousImage'>;
  /** rewards [T] */
  readonly rewards: Float64Array;
  /** Monte-Carlo returns [T] */
  readonly returns: Float64Array;
}

/** Converts an episode for the replay. @param gamma discount of the returns */
export function ofEpisode(
  { episode, task, reward, steps, finalImage, finalPrompt }: Episode,
  gamma: number,
): OnlineTrajectory {
  const rewards = Float64Array.from(steps, (_, i) => (i === steps.length - 1 ? reward : 0));
  return {
    id: episode,
    task,
    reward,
    steps: steps.map(({ prompt, action, image, version }, i) => ({
      prompt,
      action,
      image,
      previousImage: i === 0 ? image : steps[i - 1].image,
      version,
    })),
    final: { prompt: finalPrompt, image: finalImage, previousImage: steps.at(-1)?.image ?? finalImage },
    rewards,
    returns: monteCarloReturns(rewards, gamma),
  };
}

type Row = Pick<
  Transition,
  | 'trajectory'
  | 'task'
  | 'prompt'
  | 'action'
  | 'image'
  | 'prevImage'
  | 'nextImage'
  | 'nextPrompt'
  | 'reward'
  | 'trajectoryReward'
>;

/** Collected trajectories from their ordered transitions. */
export function ofTransitions(rows: readonly Row[], gamma: number): OnlineTrajectory[] {
  const by = new Map<string, Row[]>();
  for (const row of rows) {
    const before = by.get(row.trajectory);
    if (before) before.push(row);
    else by.set(row.trajectory, [row]);
  }
  return [...by].map(([id, steps]) => {
    const rewards = Float64Array.from(steps, ({ reward }) => reward);
    const last = steps.at(-1)!;
    return {
      // must not clash with the numbers of live episodes
      id: `collected-${id}`,
      task: steps[0].task,
      reward: steps[0].trajectoryReward,
      steps: steps.map(({ prompt, action, image, prevImage }) => ({ prompt, action, image, previousImage: prevImage })),
      final: { prompt: last.nextPrompt, image: last.nextImage, previousImage: last.image },
      rewards,
      returns: monteCarloReturns(rewards, gamma),
    };
  });
}

/** The newest complete trajectories with at most `capacity` steps in total (but always at least the newest one). */
export class OnlineReplay {
  private held: OnlineTrajectory[] = [];
  private readonly all: OnlineTrajectory[] = [];

  constructor(
    private readonly capacity: number,
    private readonly options: {
      /** whether the policy imitates among all trajectories so far, whatever the capacity */
      readonly rankAll: boolean;
      /** whether the states after the last steps are needed too */
      readonly final: boolean;
    } = { rankAll: false, final: false },
  ) {}

  add(trajectories: readonly OnlineTrajectory[]): void {
    if (this.options.rankAll) this.all.push(...trajectories);
    this.held.push(...trajectories);
    let steps = this.held.reduce((sum, { steps }) => sum + steps.length, 0);
    let gone = 0;
    while (steps > this.capacity && gone < this.held.length - 1) steps -= this.held[gone++].steps.length;
    this.held = this.held.slice(gone);
  }

  /** oldest first */
  get trajectories(): readonly OnlineTrajectory[] {
    return this.held;
  }

  /** the trajectories that are ranked for imitation, oldest first */
  get ranked(): readonly OnlineTrajectory[] {
    return this.options.rankAll ? this.all : this.held;
  }

  /** ids of all screens of the states it needs */
  screens(): Set<string> {
    return new Set(
      this.ranked.flatMap(({ steps, final }) =>
        [...steps, ...(this.options.final ? [final] : [])].flatMap(({ image, previousImage }) => [
          image,
          previousImage,
        ]),
      ),
    );
  }
}
