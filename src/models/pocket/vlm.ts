import {
  concat,
  constant,
  div,
  gather,
  linear,
  matmul,
  mul,
  reshape,
  scalar,
  slice,
  softmax,
  sub,
  sum,
  type Tensor,
} from '../../graph/index.js';
import type { AutoUIConfig } from '../autoui/config.js';
import { decode, encodeText, fuseImage, head } from '../autoui/autoui.js';
import type { Weights } from '../t5.js';

/**
 * The pocket VLM: Auto-UI's graph, started from the policy's weights, that reads a screenshot with a cursor at the tap,
 * the prompt and the action's text, and answers Yes or No to "does this action change the screen?" (docs/algorithms.md §2.2).
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

/** Hidden states kept of one action: after its type, after its touch point, and at its end. */
export const SLOTS = 3;

/** Vectors in a representation: the kept hidden states, the mean over the action's tokens, and `agreement`. */
const VECTORS = SLOTS + 2;

/** Length of a representation. */
export function pocketVlmDim(config: PocketVlmConfig): number {
  return VECTORS * config.autoui.width;
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
  /** int64 [R, SLOTS]: rows of the flattened [R × T] hidden states that are kept; the last is where the answer is read */
  readonly slots: Tensor;
  /** float32 [R, T]: 1 at the decoder positions of the action (start token included) */
  readonly actionMask: Tensor;
}

/**
 * Representations and answers.
 * @returns `representation` [R, VECTORS × width]; `logit` [R]: log-odds of Yes
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
  const kept = reshape(gather(flat, x.slots), [rows, SLOTS * autoui.width]);
  const weight = reshape(x.actionMask, [rows, length, 1]);
  const average = sum(mul(hidden, weight), [1]);
  const count = sum(weight, [1]);
  const representation = concat([kept, div(average, count), agreement(w, autoui, hidden, x)], 1);
  const answer = slice(kept, 1, (SLOTS - 1) * autoui.width, SLOTS * autoui.width);
  const table = gather(
    w[autoui.tied ? 'shared.weight' : 'lm_head.weight'],
    constant(BigInt64Array.of(BigInt(config.yes), BigInt(config.no)), [2], 'int64'),
  );
  const logits = linear(mul(answer, scalar(autoui.tied ? autoui.width ** -0.5 : 1)), table);
  const logit = reshape(sub(slice(logits, 1, 0, 1), slice(logits, 1, 1, 2)), [rows]);
  return { representation, logit };
}

/**
 * How the action's tokens agree with what the model expected after the tokens before them, given prompt and screen:
 * Σ_t h_t ⊙ (e(token_t) - Σ_v p_t(v) e(v)), [R, width]. Its sum is √width times that of each token's logit above the expected
 * one (the factor brings it to the size of the hidden states), and tokens that had to come add nothing. A large VLM's last hidden state tells by itself that the typed shop is not the one
 * of the goal; two layers of width 96 don't get there, though their predictions know it.
 */
function agreement(w: Weights, config: AutoUIConfig, hidden: Tensor, { action, actionMask }: VlmInputs): Tensor {
  const [rows, length, width] = hidden.shape;
  const table = w[config.tied ? 'shared.weight' : 'lm_head.weight'];
  const expected = matmul(reshape(softmax(head(w, config, hidden)), [rows * length, -1]), table);
  const surplus = sub(gather(table, action), reshape(expected, [rows, length, width]));
  // position t predicts token t, and there is one position more than tokens
  const predicts = concat([slice(actionMask, 1, 1, length), constant(new Float32Array(rows), [rows, 1])], 1);
  const scaled = config.tied ? hidden : mul(hidden, scalar(width ** 0.5));
  return sum(mul(mul(scaled, surplus), reshape(predicts, [rows, length, 1])), [1]);
}
