import { imageId } from '../../data/images.js';
import type { Critic, Values } from './critic.js';
import { BatchingAgent } from '../policy/policy-agent.js';
import type { Truncation } from '../policy/truncation.js';
import type { Candidate, Policy } from '../policy/policy.js';
import { policyPrompt } from '../policy/prompt.js';
import type { Representer } from '../representers/representer.js';
import type { Decision, Observation } from '../rollout.js';

export interface BestOfQOptions extends Truncation {
  readonly seed: number;
  /** samples for each state; the one with the largest Q is executed */
  readonly samples: number;
  readonly temperature: number;
  /** combines the twin Q values into one */
  readonly aggregate: (q1: number, q2: number) => number;
  /** most observations in a batch @default 32 */
  readonly batch?: number;
}

/** The models that rank actions: the representation and the critic. */
export interface Ranker {
  readonly representer: Representer;
  readonly critic: Critic;
}

/**
 * Takes the sample with the largest Q of the critic among N samples of a policy. Digi-Q distils this choice into a policy;
 * here it is made at inference, without training. Ties go to the more frequent sample.
 */
export class BestOfQ extends BatchingAgent {
  constructor(
    policy: Policy,
    private readonly ranker: Ranker,
    private readonly options: BestOfQOptions,
  ) {
    super(policy, options.batch ?? 32);
  }

  protected async decide(observations: readonly Observation[], vectors: readonly Float32Array[]): Promise<Decision[]> {
    const { representer, critic } = this.ranker;
    const { seed, samples, temperature, topK, topP } = this.options;
    const prompts = observations.map(({ task, previous }) => policyPrompt(task.text, previous));
    const drawn = await this.policy.draw(
      observations.map(({ key }, i) => ({ key, prompt: prompts[i], vector: vectors[i] })),
      { seed, count: samples, temperature, topK, topP },
    );
    const previous = await this.previousVectors(observations, vectors);
    const state = critic.wantsStateRep ? [''] : [];
    const texts = drawn.map((candidates) => [...candidates.map(({ text }) => text), ...state]);
    const reps = await representer.represent(
      observations.map(({ task, frame }, i) => ({
        prompt: prompts[i],
        goal: task.text,
        // a getter: not every representer needs the pixels' hash
        get image() {
          return imageId(frame);
        },
        frame: async () => frame,
        actions: texts[i],
      })),
    );
    const values = await critic.value(
      observations.map((observation, i) => {
        const end = (reps[i].length / texts[i].length) * drawn[i].length;
        return {
          previous: observation.previous,
          goal: observation.task.text,
          previousImage: previous[i],
          image: vectors[i],
          rep: state.length > 0 ? reps[i].subarray(end) : undefined,
          actions: drawn[i].map(({ text }) => text),
          reps: reps[i].subarray(0, end),
        };
      }),
    );
    return drawn.map((candidates, i) => {
      const { text, action } = candidates[this.best(candidates, values[i])];
      return { text, action, vector: vectors[i] };
    });
  }

  private best(candidates: readonly Candidate[], { q1, q2 }: Values): number {
    const score = (i: number) => (candidates[i].action ? this.options.aggregate(q1[i], q2[i]) : -Infinity);
    let best = 0;
    for (let i = 1; i < candidates.length; i++) {
      const better = score(i) - score(best);
      if (better > 0 || (better === 0 && candidates[i].count > candidates[best].count)) best = i;
    }
    return best;
  }

  /** Image vectors of the previous frames; at the first step, that of the frame itself. */
  private async previousVectors(
    observations: readonly Observation[],
    vectors: readonly Float32Array[],
  ): Promise<Float32Array[]> {
    const { tower } = this.policy;
    const different = observations.filter(({ frame, previousFrame }) => frame !== previousFrame);
    const made = (await tower.vectors(different.map(({ previousFrame }) => tower.prepare(previousFrame))))[
      Symbol.iterator
    ]();
    return observations.map(({ frame, previousFrame }, i) =>
      frame === previousFrame ? vectors[i] : made.next().value!,
    );
  }
}
