import { Forward, sigmoid, type Parameters, type Runtime } from '../../graph/index.js';
import { rowBucket } from '../../models/buckets.js';
import { pocketValue, type PocketValueConfig } from '../../models/pocket/value.js';
import type { VlmBucket } from '../../models/pocket/vlm.js';
import type { VisionTower } from '../../models/vision.js';
import { previousDecision } from '../policy/prompt.js';
import {
  cursorVectors,
  PocketRepresenter,
  touchPoint,
  vlmInputs,
  type FedState,
} from '../representers/pocket-representer.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { ratedKey, type RatedAction, type ValueModel } from './value-model.js';

/** The vector of a bare screenshot where none is needed. */
const NONE = new Float32Array(0);
/** Rows of a batch. */
const ROWS = 64;
/** Answers that are remembered. */
const REMEMBERED = 500_000;

/**
 * What the pocket value model reads: the policy's prompt, but with the decisions of all earlier actions, or of the newest
 * ones. Invalid actions leave no trace, as in the policy's prompt.
 */
export function pocketValuePrompt(goal: string, history: readonly string[], most: number): string {
  const decisions = (most === 0 ? [] : history.slice(-most)).map(previousDecision).filter((text) => text !== '');
  return `Previous Actions: ${decisions.map((text) => `${text} `).join('')}Goal: ${goal}</s>`;
}

/** Rates by the pocket value model and the vision tower that it was trained with. */
export class PocketValue implements ValueModel {
  private readonly forward: Forward<VlmBucket>;
  private readonly feeder: PocketRepresenter;
  private readonly known = new Map<string, number>();

  /** @param params read in place */
  constructor(
    runtime: Runtime,
    params: Parameters,
    private readonly config: PocketValueConfig,
    tokenizer: TextTokenizer,
    private readonly tower: VisionTower,
  ) {
    const { autoui, good, bad } = config;
    const asked = { model_type: 'critiq-pocket-vlm', autoui, yes: good, no: bad } as const;
    this.feeder = new PocketRepresenter(runtime, params, asked, tokenizer, tower);
    this.forward = new Forward<VlmBucket>(runtime, params, (p, bucket) => ({
      good: sigmoid(pocketValue(p, config, vlmInputs(bucket, autoui.image))),
    }));
  }

  async good(actions: readonly RatedAction[], signal: AbortSignal): Promise<number[]> {
    if (this.known.size > REMEMBERED) this.known.clear();
    const keys = actions.map((action) => ratedKey(action, this.config.history));
    const fresh = new Map<string, RatedAction>();
    keys.forEach((key, i) => {
      if (!this.known.has(key)) fresh.set(key, actions[i]);
    });
    const asked = [...fresh];
    for (let start = 0; start < asked.length; start += ROWS) {
      signal.throwIfAborted();
      const part = asked.slice(start, start + ROWS);
      const states = await this.fed(part.map(([, action]) => action));
      const rated = await this.rate(states);
      part.forEach(([key], i) => this.known.set(key, rated[i]));
    }
    return keys.map((key) => this.known.get(key)!);
  }

  /** Actions as inputs of the graph: their prompts, and the image vectors of the screenshots with cursors. */
  async fed(actions: readonly RatedAction[]): Promise<FedState[]> {
    const frames = await Promise.all(actions.map(({ frame }) => frame()));
    const bare = actions.flatMap(({ action }, i) => (touchPoint(action) ? [] : [this.tower.prepare(frames[i])]));
    const plain = (await this.tower.vectors(bare))[Symbol.iterator]();
    const vectors = await cursorVectors(
      this.tower,
      actions.map(({ action }, i) => ({
        actions: [action],
        plain: touchPoint(action) ? NONE : plain.next().value!,
        frame: () => Promise.resolve(frames[i]),
      })),
    );
    return actions.map(({ goal, history, action }, i) => ({
      prompt: pocketValuePrompt(goal, history, this.config.history),
      rows: [{ action, vector: vectors[i][0] }],
    }));
  }

  /** The feeds of the graph for some rows, padded to `size` of them. */
  feeds(states: readonly FedState[], indices: readonly number[], size: number) {
    return this.feeder.feeds(
      states,
      indices.map((state) => ({ state, row: 0 })),
      { rows: size, states: size },
    );
  }

  /** The probability of rating 2 for each row. */
  async rate(states: readonly FedState[]): Promise<number[]> {
    const rated: number[] = [];
    for (let start = 0; start < states.length; start += ROWS) {
      const indices = [...states.keys()].slice(start, start + ROWS);
      const { bucket, feeds } = this.feeds(states, indices, rowBucket(indices.length));
      const { good } = await this.forward.run(bucket, feeds);
      indices.forEach((_, i) => rated.push(Number(good[i])));
    }
    return rated;
  }

  close(): void {
    this.forward.close();
  }
}
