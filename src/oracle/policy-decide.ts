import type { Policy } from '../agents/policy/policy.js';
import { policyPrompt } from '../agents/policy/prompt.js';
import type { Truncation } from '../agents/policy/truncation.js';
import type { World } from '../devices/phone/world.js';
import type { Decide } from './play.js';

export interface PolicyDecideOptions extends Truncation {
  readonly seed: number;
  readonly temperature: number;
}

/** Screens whose vectors the tower computes together. */
const SCREENS = 64;

/** Holds the place of a vector that is being computed. */
const NOT_YET = new Float32Array(0);

/** Lets a policy decide as it acts: one sample for each episode, valid or not. Equal screens are read once. */
export function policyDecide(policy: Policy, options: PolicyDecideOptions): Decide {
  // by episode and state: the copies of a phone share its world
  const known = new WeakMap<World, Map<string, Float32Array>>();
  const vectorsOf = (world: World): Map<string, Float32Array> => {
    let vectors = known.get(world);
    if (!vectors) known.set(world, (vectors = new Map()));
    return vectors;
  };
  return async (positions) => {
    const screens = positions.map(({ phone }) => ({
      vectors: vectorsOf(phone.world),
      state: phone.stateText(),
      phone,
    }));
    const fresh: (typeof screens)[number][] = [];
    for (const screen of screens) {
      if (screen.vectors.has(screen.state)) continue;
      screen.vectors.set(screen.state, NOT_YET);
      fresh.push(screen);
    }
    for (let at = 0; at < fresh.length; at += SCREENS) {
      const some = fresh.slice(at, at + SCREENS);
      // a copy, so that no position keeps its pixels: there are thousands
      const pixels = some.map(({ phone }) => policy.tower.prepare(phone.copy().frame()));
      const made = await policy.tower.vectors(pixels);
      some.forEach(({ vectors, state }, i) => vectors.set(state, made[i]));
    }
    const states = positions.map(({ key, phone, previous, members }, i) => ({
      key,
      prompt: policyPrompt(phone.task.text, previous),
      vector: screens[i].vectors.get(screens[i].state)!,
      members,
    }));
    return policy.draw(states, { ...options, count: 1, retries: 0 });
  };
}
