import {
  concat,
  constant,
  div,
  gather,
  linear,
  mul,
  reshape,
  scalar,
  slice,
  sub,
  sum,
  type Tensor,
} from '../graph/index.js';
import type { AutoUIConfig } from './autoui-config.js';
import { decode, encodeText, fuseImage } from './autoui.js';
import type { Weights } from './t5.js';

/**
 * The pocket VLM: Auto-UI's graph, started from the policy's weights, that reads a screenshot with a cursor at the tap,
 * the prompt and the action's text, and answers Yes or No to "does this action change the screen?" (ALGORITHMS §2.2).
 * Its hidden states are the representation of (state, action) (§2.3). Digi-Q starts from a pre-trained LLaVA for the same
 * reason that this starts from the policy: yes and no alone teach too little.
 */
export interface PocketVlmConfig {
  readonly model_type: 'critiq-pocket-vlm';
  readonly autoui: AutoUIConfig;
  /** token ids of the two answers */
  readonly yes: number;
  readonly no: number;
}

/** Hidden states kept of one action: after its type, after its touch point, at its end, and the mean over its tokens. */
export const SLOTS = 4;

/** Length of a representation. */
export function pocketVlmDim(config: PocketVlmConfig): number {
  return SLOTS * config.autoui.width;
}

/** S states, R rows (actions) that belong to them, L prompt tokens, T decoder tokens: the padded shapes of one batch. */
export interface VlmBucket {
  readonly states: number;
  readonly rows: number;
  readonly prompt: number;
  readonly action: number;
}

export interface VlmInputs {
  /** int64 [S, L] */
  readonly ids: Tensor;
  /** float32 [S, L] */
  readonly mask: Tensor;
  /** int64 [R]: the state of each row */
  readonly state: Tensor;
  /** float32 [R, image]: image vectors of the screenshots with their cursors */
  readonly image: Tensor;
  /** int64 [R, T]: the action's tokens with its end token, then padding; an empty action leaves only padding */
  readonly action: Tensor;
  /** int64 [R, SLOTS - 1]: rows of the flattened [R × T] hidden states that are kept; the last is where the answer is read */
  readonly slots: Tensor;
  /** float32 [R, T]: 1 at the decoder positions of the action (start token included) */
  readonly actionMask: Tensor;
}

/**
 * Representations and answers.
 * @returns `representation` [R, SLOTS × width]; `logit` [R]: log-odds of Yes
 */
export function pocketVlm(
  w: Weights,
  config: PocketVlmConfig,
  x: VlmInputs,
): { representation: Tensor; logit: Tensor } {
  const { autoui } = config;
  const [rows, length] = x.action.shape;
  // the prompt is encoded once a state; only the picture differs between its actions (the cursor)
  const text = gather(encodeText(w, autoui, x.ids, x.mask), x.state);
  const mask = gather(x.mask, x.state);
  const hidden = decode(w, autoui, fuseImage(w, autoui, text, x.image), mask, x.action);
  const flat = reshape(hidden, [rows * length, autoui.width]);
  const kept = reshape(gather(flat, x.slots), [rows, (SLOTS - 1) * autoui.width]);
  const weight = reshape(x.actionMask, [rows, length, 1]);
  const average = sum(mul(hidden, weight), [1]);
  const count = sum(weight, [1]);
  const representation = concat([kept, div(average, count)], 1);
  const answer = slice(kept, 1, (SLOTS - 2) * autoui.width, (SLOTS - 1) * autoui.width);
  const table = gather(
    w[autoui.tied ? 'shared.weight' : 'lm_head.weight'],
    constant(BigInt64Array.of(BigInt(config.yes), BigInt(config.no)), [2], 'int64'),
  );
  const logits = linear(mul(answer, scalar(autoui.tied ? autoui.width ** -0.5 : 1)), table);
  const logit = reshape(sub(slice(logits, 1, 0, 1), slice(logits, 1, 1, 2)), [rows]);
  return { representation, logit };
}
