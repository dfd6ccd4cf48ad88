import type { ActionType } from './action.js';
import type { Episode } from './store/journal.js';
import { monteCarloReturns } from './returns.js';
import { column, listColumn, type TableKind } from './tables.js';

/** An action text parsed into columns; `TRANSITIONS` describes each. */
export interface ActionColumns {
  /** `INVALID` if the text is not an action; null in files of version 1, which lack these columns */
  actionType: ActionType | typeof INVALID | null;
  touchX: number | null;
  touchY: number | null;
  liftX: number | null;
  liftY: number | null;
  typedText: string | null;
}

/** The type of an invalid action text. */
export const INVALID = 'INVALID';

/** A step of a trajectory, from which the critic and the actor learn. `TRANSITIONS` describes each field. */
export interface Transition extends ActionColumns {
  tid: number;
  trajectory: string;
  step: number;
  task: string;
  goal: string;
  family: string;
  prompt: string;
  prevAction: string;
  action: string;
  policy: string | null;
  temperature: number | null;
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

/** Details of columns that version 2 added and that may be null. */
const added = { optional: true, since: 2 } as const;
const fraction = (of: 'width' | 'height') => ({ ...added, unit: `fraction of the screen's ${of}`, range: [0, 1] }) as const;

export const TRANSITIONS: TableKind<Transition> = {
  name: 'transitions',
  version: 2,
  reads: [1],
  columns: {
    tid: column('int64', 'number of the transition, unique in the data set; joins with candidates, values and representations', {
      name: 'transition_id',
    }),
    trajectory: column('string', 'id of the trajectory: the episode that the step belongs to', { name: 'trajectory_id' }),
    step: column('int32', 'position in the trajectory', { unit: 'steps', range: [0, null] }),
    task: column('string', 'id of the task', { name: 'task_id' }),
    goal: column('string', 'the instruction that the agent was given'),
    family: column('string', 'kind of task, for success rates by kind; empty if unknown', { name: 'task_family' }),
    prompt: column('string', "the policy's prompt: `Previous Actions: {last action, or nothing} Goal: {goal}</s>`"),
    prevAction: column('string', 'text of the action before this one; empty at the first step', { name: 'previous_action' }),
    action: column('string', "text of the action taken, in the policy's words"),
    actionType: column('string', `type of the action (DUAL_POINT is a tap or a swipe); ${INVALID} if the text is not an action`, added),
    touchX: column('double', 'x of the point that the finger touches, from the left edge; null unless the action is a tap or a swipe', fraction('width')),
    touchY: column('double', 'y of that point, from the top edge', fraction('height')),
    liftX: column('double', 'x of the point where the finger lifts: a tap if at most 0.04 from the touch, else a swipe', fraction('width')),
    liftY: column('double', 'y of that point, from the top edge', fraction('height')),
    typedText: column('string', 'the typed text; null unless the action is TYPE', added),
    policy: column('string', 'name of the policy or agent that acted; null if unknown (imported data)', added),
    temperature: column('double', 'sampling temperature of the policy; 0 is greedy, null if it has none', {
      ...added,
      range: [0, null],
    }),
    image: column('string', 'content id of the screenshot (or imported image vector) before the action', { name: 'image_id' }),
    prevImage: column('string', 'content id of the screenshot one step earlier; at the first step the same as image_id', {
      name: 'previous_image_id',
    }),
    nextImage: column('string', 'content id of the screenshot after the action', { name: 'next_image_id' }),
    nextPrevImage: column('string', 'content id of the screenshot before next_image_id: image_id, unless the data was imported', {
      name: 'next_previous_image_id',
    }),
    reward: column('double', 'reward of this step: 0, or 1 at the end of a success', { range: [0, 1] }),
    done: column('bool', 'whether the trajectory ends with this step (no value follows it)'),
    truncated: column('bool', 'whether the trajectory ends here because it ran out of steps; done is then true as well'),
    mcReturn: column('double', 'discounted sum of rewards from this step to the end (docs/algorithms.md §0)', { range: [0, 1] }),
    trajectoryReward: column('double', 'undiscounted sum of rewards of the whole trajectory: 1 is a success, 0 a failure', {
      name: 'episode_return',
      range: [0, 1],
    }),
    nextPrompt: column('string', "the policy's prompt after the action"),
    imagePath: column('string', 'path of the screenshot as an imported data set states it; empty for data that critiq collected'),
  },
};

/** The candidate actions in a transition's state: entry 0 was taken, the others were sampled. */
export interface CandidateRow {
  tid: number;
  actions: string[];
  counts: number[];
  valid: boolean[];
  logProbs: number[];
}

export const CANDIDATES: TableKind<CandidateRow> = {
  name: 'candidates',
  version: 2,
  reads: [1],
  columns: {
    tid: column('int64', 'the transition', { name: 'transition_id' }),
    actions: listColumn('string', 'distinct action texts; entry 0 is the action taken'),
    counts: listColumn('int32', 'how often each was sampled; the action taken counts as one sample at least', {
      name: 'sample_counts',
      unit: 'samples',
      range: [1, null],
    }),
    valid: listColumn('bool', 'whether the text parses as an action of the allowed kinds (docs/algorithms.md §0)', {
      name: 'is_valid',
    }),
    logProbs: listColumn('float', 'log probability under the policy that sampled it; NaN if unknown', {
      unit: 'nats',
      range: [null, 0],
    }),
  },
};

/** What the transitions of an episode need beyond the episode itself. */
export interface TransitionOptions {
  /** tid of the first step; the following steps have consecutive tids */
  readonly firstTid: number;
  /** discount of the Monte Carlo return */
  readonly gamma: number;
  /** name of the policy or agent that acted; null if unknown */
  readonly policy: string | null;
  /** its sampling temperature; null if it has none */
  readonly temperature: number | null;
  /** parses an action text (`actionColumns`); the grammar of actions is in a higher layer */
  readonly parse: (action: string) => ActionColumns;
}

/** The transitions of an episode, in order. */
export function toTransitions(
  episode: Episode,
  { firstTid, gamma, policy, temperature, parse }: TransitionOptions,
): Transition[] {
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
      ...parse(step.action),
      policy,
      temperature,
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

/** A critic's values for a transition's state and its candidates, in the order of the candidates (0: the action taken). */
export interface ValueRow {
  tid: number;
  q1: number[];
  q2: number[];
  v1: number;
  v2: number;
}

export const VALUES: TableKind<ValueRow> = {
  name: 'values',
  version: 2,
  reads: [1],
  columns: {
    tid: column('int64', 'the transition', { name: 'transition_id' }),
    q1: listColumn('float', 'the first Q of each candidate, in the order of the candidates (0 is the action taken)'),
    q2: listColumn('float', 'the second Q of each candidate'),
    v1: column('float', 'the first V of the state'),
    v2: column('float', 'the second V of the state'),
  },
};

/** Steps by their trajectories, both in the order in which they come. */
export function byTrajectory<T extends { readonly trajectory: string }>(steps: Iterable<T>): Map<string, T[]> {
  const by = new Map<string, T[]>();
  for (const step of steps) {
    const own = by.get(step.trajectory);
    if (own) own.push(step);
    else by.set(step.trajectory, [step]);
  }
  return by;
}
