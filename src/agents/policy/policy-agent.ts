import type { Pixels } from '../../models/vision.js';
import type { Policy } from './policy.js';
import { policyPrompt } from './prompt.js';
import type { Truncation } from './truncation.js';
import type { Agent, Decision, Observation } from '../rollout.js';

export interface PolicyAgentOptions extends Truncation {
  readonly seed: number;
  /** 0: the likeliest action @default 1 */
  readonly temperature?: number;
  /** most observations in a batch @default 32 */
  readonly batch?: number;
}

interface Waiting {
  readonly observation: Observation;
  readonly pixels: Pixels;
  readonly resolve: (decision: Decision) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * An agent that decides the observations of many devices in batches; what arrives while a batch runs goes into the next
 * one. A decision does not depend on the rest of its batch.
 */
export abstract class BatchingAgent implements Agent {
  private readonly waiting: Waiting[] = [];
  private running = false;

  protected constructor(
    protected readonly policy: Policy,
    private readonly batch: number,
  ) {}

  /** Decides a batch of observations, given with their image vectors. */
  protected abstract decide(
    observations: readonly Observation[],
    vectors: readonly Float32Array[],
  ): Promise<Decision[]>;

  act(observation: Observation): Promise<Decision> {
    // the device only lends the frame, so it is resized now
    const pixels = this.policy.tower.prepare(observation.frame);
    return new Promise((resolve, reject) => {
      this.waiting.push({ observation, pixels, resolve, reject });
      if (!this.running) {
        this.running = true;
        // wait one turn, so that all devices that are ready get into the batch
        setImmediate(() => void this.drain());
      }
    });
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.batch);
      try {
        const vectors = await this.policy.tower.vectors(batch.map(({ pixels }) => pixels));
        const decisions = await this.decide(
          batch.map(({ observation }) => observation),
          vectors,
        );
        batch.forEach(({ resolve }, i) => resolve(decisions[i]));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.running = false;
  }
}

/** Takes one sample of the policy for each observation, or its likeliest action at temperature 0. */
export class PolicyAgent extends BatchingAgent {
  constructor(
    policy: Policy,
    private readonly options: PolicyAgentOptions,
  ) {
    super(policy, options.batch ?? 32);
  }

  protected async decide(observations: readonly Observation[], vectors: readonly Float32Array[]): Promise<Decision[]> {
    const { seed, temperature = 1, topK, topP } = this.options;
    const states = observations.map(({ key, task, previous }, i) => ({
      key,
      prompt: policyPrompt(task.text, previous),
      vector: vectors[i],
    }));
    // no retries: an acting policy's first sample counts, valid or not
    const drawn = await this.policy.draw(states, { seed, count: 1, temperature, topK, topP, retries: 0 });
    return drawn.map(([{ text, action }], i) => ({ text, action, vector: vectors[i] }));
  }
}
