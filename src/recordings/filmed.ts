import type { Episode } from '../data/store/journal.js';
import type { Transition } from '../data/transitions.js';
import type { Verdict } from '../judges/judge.js';

/** An episode to film: its screens, its actions, and how it ended. */
export interface FilmedEpisode {
  readonly episode: string;
  readonly goal: string;
  readonly steps: readonly { readonly image: string; readonly action: string }[];
  /** content id of the last screen */
  readonly finalImage: string;
  readonly verdict: Verdict;
  /** whether it ran out of steps */
  readonly truncated: boolean;
}

/** An episode of the journal to film. @param verdict by default the reward decides; it cannot tell `unknown` */
export function filmedEpisode(episode: Episode, verdict?: Verdict): FilmedEpisode {
  const { goal, steps, finalImage, reward, truncated } = episode;
  return { episode: episode.episode, goal, steps, finalImage, verdict: verdict ?? verdictOf(reward), truncated };
}

/** The columns of transitions that films need. */
export const FILMED = [
  'trajectory',
  'goal',
  'action',
  'image',
  'nextImage',
  'done',
  'truncated',
  'trajectoryReward',
] as const satisfies readonly (keyof Transition)[];

/** The episodes of a data set's transitions. @param rows in the order of their steps */
export function filmedEpisodes(rows: readonly Pick<Transition, (typeof FILMED)[number]>[]): FilmedEpisode[] {
  const episodes: FilmedEpisode[] = [];
  let steps: { image: string; action: string }[] = [];
  for (const { trajectory, goal, action, image, nextImage, done, truncated, trajectoryReward } of rows) {
    steps.push({ image, action });
    if (!done) continue;
    const verdict = verdictOf(trajectoryReward);
    episodes.push({ episode: trajectory, goal, steps, finalImage: nextImage, verdict, truncated });
    steps = [];
  }
  return episodes;
}

function verdictOf(reward: number): Verdict {
  return reward > 0 ? 'success' : 'failure';
}
