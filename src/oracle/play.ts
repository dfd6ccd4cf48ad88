import { createHash } from 'node:crypto';
import { endsEpisode, type Action } from '../data/action.js';
import type { Phone } from '../devices/phone/index.js';

/** Where a number of episodes are at the same time: the phone, and what the agent wrote last. */
export interface Position {
  /** names the random streams of this decision */
  readonly key: string;
  readonly phone: Phone;
  readonly previous: string;
  /** numbers of the episodes that are here; each has a random stream of its own */
  readonly members: readonly number[];
}

/** What some of the episodes at a position do next. */
export interface Choice {
  readonly text: string;
  /** none if the text is invalid */
  readonly action?: Action;
  readonly members: readonly number[];
}

/** Decides for many positions at once: the choices of a position share out its members. */
export type Decide = (positions: readonly Position[]) => Promise<readonly (readonly Choice[])[]>;

/** Episodes to play from a state. */
export interface Start {
  /** unique among the starts; names their random streams */
  readonly key: string;
  /** the phone in the state; it is not changed */
  readonly phone: Phone;
  /** text of the action before the state, '' at the first step */
  readonly previous: string;
  /** the action that all of them do first; without it the agent chooses that one too */
  readonly first?: { readonly text: string; readonly action?: Action };
  /** most actions, the first one included: at least 1 */
  readonly steps: number;
}

export interface PlayOptions {
  readonly decide: Decide;
  /** number of episodes for each start */
  readonly rollouts: number;
  /** whether an agent must declare the task complete, as for the state judge */
  readonly declare: 'required' | 'ignored';
  /** `step`: the first success ends an episode */
  readonly ask: 'end' | 'step';
  /** positions decided together @default 256 */
  readonly batch?: number;
  readonly signal?: AbortSignal;
}

/**
 * Plays episodes from states of the embedded phone to their ends, all of them together, and returns every episode's outcome:
 * [starts][rollouts], the number of actions up to the success, or 0 for a failure. Episodes of a start that reach the same
 * state after the same number of actions share its screen and its decision, each with its own random stream: the outcomes
 * have the distribution of independent episodes at the cost of the distinct states.
 */
export async function playOn(starts: readonly Start[], options: PlayOptions): Promise<number[][]> {
  const { decide, rollouts, batch = 256, signal } = options;
  const outcomes = starts.map(() => new Array<number>(rollouts).fill(0));
  const everyone = Array.from({ length: rollouts }, (_, i) => i);
  const reached = new Map<string, Open>();
  /** Does an action of some of the episodes at a position, which then end or go on in `reached`. */
  const advance = (start: number, depth: number, from: Phone, { text, action, members }: Choice): void => {
    const phone = from.copy();
    if (action) phone.apply(action);
    const completed = action?.type === 'STATUS_TASK_COMPLETE';
    const won = (options.declare === 'ignored' || completed) && phone.achieved();
    const over = (action !== undefined && endsEpisode(action)) || depth === starts[start].steps;
    if (over || (won && options.ask === 'step')) {
      if (won) for (const member of members) outcomes[start][member] = depth;
      return;
    }
    const same = digest(`${phone.stateText()}\n${text}`);
    const key = `${starts[start].key}/${depth}/${same}`;
    const found = reached.get(key);
    if (found) found.members.push(...members);
    else reached.set(key, { start, depth, key, phone, previous: text, members: [...members] });
  };
  starts.forEach(({ key, phone, previous, first, steps }, start) => {
    if (steps < 1) throw new RangeError(`${key}: expected at least 1 step, got ${steps}`);
    if (first) advance(start, 1, phone, { ...first, members: everyone });
    else reached.set(key, { start, depth: 0, key, phone, previous, members: [...everyone] });
  });
  for (;;) {
    const open = [...reached.values()];
    reached.clear();
    if (open.length === 0) return outcomes;
    for (let from = 0; from < open.length; from += batch) {
      signal?.throwIfAborted();
      const positions = open.slice(from, from + batch);
      for (const { members } of positions) members.sort((a, b) => a - b);
      const decided = await decide(positions);
      positions.forEach(({ start, depth, phone }, i) => {
        for (const choice of decided[i]) advance(start, depth + 1, phone, choice);
      });
    }
  }
}

interface Open extends Position {
  readonly start: number;
  /** actions done since the start's state */
  readonly depth: number;
  readonly members: number[];
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
