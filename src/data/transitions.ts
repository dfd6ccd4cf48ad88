import type { Episode } from './store/journal.js';
import { monteCarloReturns } from './returns.js';
import { column, listColumn, type TableKind } from './tables.js';

/** One step of one trajectory: what the critic and the actor learn from. */
export interface Transition {
  tid: number;
  trajectory: string;
  step: number;
  task: string;
  goal: string;
  family: string;
  prompt: string;
  prevAction: string;
  action: string;
  image: string;
  prevImage: string;
  nextImage: string;
  nextPrevImage: string;
  reward: number;
  done: boolean;
  truncated: boolean;
  mcReturn: number;
  trajectoryReward: number;
  nextPrompt: string;
  imagePath: string;
}

export const TRANSITIONS: TableKind<Transition> = {
  name: 'transitions',
  version: 1,
  columns: {
    tid: column('int64', 'number of the transition, unique in the data set; names its candidates and representations'),
    trajectory: column('string', 'id of the trajectory (the episode it was collected in)'),
    step: column('int32', 'position in the trajectory, from 0'),
    task: column('string', 'id of the task'),
    goal: column('string', 'the instruction the agent was given'),
    family: column('string', 'kind of task, for rates by family; empty where unknown'),
    prompt: column('string', "the policy's prompt: `Previous Actions: {last action, or nothing} Goal: {goal}</s>`"),
    prevAction: column('string', 'text of the action before this one; empty at the first step'),
    action: column('string', "text of the action taken, in the policy's words"),
    image: column('string', 'content id of the screenshot (or imported image vector) before the action'),
    prevImage: column('string', 'content id of the one a step earlier; at the first step the same as image'),
    nextImage: column('string', 'content id of the one after the action'),
    nextPrevImage: column('string', 'content id of the one before nextImage: image, unless the data was imported'),
    reward: column('double', 'reward of this step: 0, or 1 at the end of a success'),
    done: column('bool', 'whether the trajectory ends with this step (no value follows it)'),
    truncated: column('bool', 'whether it ends because the steps ran out; done is true as well'),
    mcReturn: column('double', 'discounted sum of rewards from this step to the end (docs/algorithms.md §0)'),
    trajectoryReward: column('double', 'undiscounted sum of rewards of the whole trajectory'),
    nextPrompt: column('string', "the policy's prompt after the action"),
    imagePath: column('string', 'where an imported data set says its screenshot is; empty for our own'),
  },
};

/** The actions that could have been taken in a transition's state: entry 0 was taken, the rest were sampled. */
export interface CandidateRow {
  tid: number;
  actions: string[];
  counts: number[];
  valid: boolean[];
  logProbs: number[];
}

export const CANDIDATES: TableKind<CandidateRow> = {
  name: 'candidates',
  version: 1,
  columns: {
    tid: column('int64', 'the transition'),
    actions: listColumn('string', 'distinct action texts; entry 0 is the action taken'),
    counts: listColumn('int32', 'how often each was sampled; the action taken counts as one sample at least'),
    valid: listColumn('bool', 'whether the text parses as an action of the allowed kinds (docs/algorithms.md §0)'),
    logProbs: listColumn('float', 'log probability under the policy that sampled it, in nats; NaN where unknown'),
  },
};

/**
 * The transitions of an episode, in order.
 * @param firstTid the tid of its first step; the following steps count on from it
 * @param gamma discount of the Monte Carlo return
 */
export function toTransitions(episode: Episode, firstTid: number, gamma: number): Transition[] {
  const { steps } = episode;
  const rewards = Float64Array.from(steps, (_, i) => (i === steps.length - 1 ? episode.reward : 0));
  const returns = monteCarloReturns(rewards, gamma);
  return steps.map((step, i) => {
    const last = i === steps.length - 1;
    return {
      tid: firstTid + i,
      trajectory: episode.episode,
      step: i,
      task: episode.task,
      goal: episode.goal,
      family: episode.family,
      prompt: step.prompt,
      prevAction: i === 0 ? '' : steps[i - 1].action,
      action: step.action,
      image: step.image,
      prevImage: i === 0 ? step.image : steps[i - 1].image,
      nextImage: last ? episode.finalImage : steps[i + 1].image,
      nextPrevImage: step.image,
      reward: rewards[i],
      done: last,
      truncated: last && episode.truncated,
      mcReturn: returns[i],
      trajectoryReward: episode.reward,
      nextPrompt: last ? episode.finalPrompt : steps[i + 1].prompt,
      imagePath: '',
    };
  });
}

/** What a critic says of a transition's state and of its candidates, in the candidates' order (0: the action taken). */
export interface ValueRow {
  tid: number;
  q1: number[];
  q2: number[];
  v1: number;
  v2: number;
}

export const VALUES: TableKind<ValueRow> = {
  name: 'values',
  version: 1,
  columns: {
    tid: column('int64', 'the transition'),
    q1: listColumn('float', 'the first Q of each candidate, in the order of the candidates'),
    q2: listColumn('float', 'the second Q of each candidate'),
    v1: column('float', 'the first V of the state'),
    v2: column('float', 'the second V of the state'),
  },
};
