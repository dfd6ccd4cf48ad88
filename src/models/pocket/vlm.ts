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
import { decode, encodeText, fuseImage, head, logProb } from '../autoui/autoui.js';
import type { Weights } from '../t5.js';

/**
 * The pocket VLM: Auto-UI's graph, initialized with the policy's weights. It reads a screenshot with a cursor at the tap,
 * the prompt and the action's text, and answers Yes or No to "does this action change the screen?" (docs/algorithms.md §2.2).
 * Its hidden states are the representation of (state, action) (§2.3). It starts from the policy for the same reason that
 * Digi-Q starts from a pre-trained LLaVA: Yes and No alone are too little to learn from.
 */
export interface PocketVlmConfig {
  readonly model_type: 'critiq-pocket-vlm';
  readonly autoui: AutoUIConfig;
  /** token ids of the two answers */
  readonly yes: number;
  readonly no: number;
}

/** Number of hidden states kept per action: after its type, after its touch point, and at its end. */
export const SLOTS = 3;

/** Number of vectors in a representation: the kept hidden states, the mean over the action's tokens, and `agreement`. */
const VECTORS = SLOTS + 2;

/** Length of a representation. */
export function pocketVlmDim(config: PocketVlmConfig): number {
  return VECTORS * config.autoui.width;
}

/** The padded sizes of a batch: S states, R rows (actions of these states), L prompt tokens, T decoder tokens. */
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
  /** int64 [R]: index of each row's state */
  readonly state: Tensor;
  /** float32 [R, image]: image vectors of the screenshots with cursors */
  readonly image: Tensor;
  /** int64 [R, T]: the action's tokens with the end token, then padding; only padding for an empty action */
  readonly action: Tensor;
  /** int64 [R, SLOTS]: which rows of the flattened [R × T] hidden states are kept; the answer is read from the last */
  readonly slots: Tensor;
  /** float32 [R, T]: 1 at the decoder positions of the action (start token included) */
  readonly actionMask: Tensor;
}

/**
 * Representations and answers.
 * @returns `representation` [R, VECTORS × width]; `logit` [R]: log-odds of Yes; `likelihood` [R]: log-probability of the
 * action's tokens
 */
export function pocketVlm(
  w: Weights,
  config: PocketVlmConfig,
  x: VlmInputs,
): { representation: Tensor; logit: Tensor; likelihood: Tensor } {
  const { autoui } = config;
  const [rows, length] = x.action.shape;
  // The prompt is encoded once per state; between its actions only the image differs, by the cursor.
  const text = gather(encodeText(w, autoui, x.ids, x.mask), x.state);
  const mask = gather(x.mask, x.state);
  const hidden = decode(w, autoui, fuseImage(w, autoui, text, x.image), mask, x.action);
  const flat = reshape(hidden, [rows * length, autoui.width]);
  const kept = reshape(gather(flat, x.slots), [rows, SLOTS * autoui.width]);
  const weight = reshape(x.actionMask, [rows, length, 1]);
  const average = sum(mul(hidden, weight), [1]);
  const count = sum(weight, [1]);
  const logits = head(w, autoui, hidden);
  const representation = concat([kept, div(average, count), agreement(w, autoui, hidden, logits, x)], 1);
  const answer = slice(kept, 1, (SLOTS - 1) * autoui.width, SLOTS * autoui.width);
  const table = gather(
    w[autoui.tied ? 'shared.weight' : 'lm_head.weight'],
    constant(BigInt64Array.of(BigInt(config.yes), BigInt(config.no)), [2], 'int64'),
  );
  const answers = linear(mul(answer, scalar(autoui.tied ? autoui.width ** -0.5 : 1)), table);
  const logit = reshape(sub(slice(answers, 1, 0, 1), slice(answers, 1, 1, 2)), [rows]);
  return { representation, logit, likelihood: likelihood(logits, x) };
}

/**
 * How well the action's tokens agree with the model's predictions, given prompt and screen:
 * Σ_t h_t ⊙ (e(token_t) - Σ_v p_t(v) e(v)), [R, width]. The sum of its elements is √width times the sum, over tokens, of
 * the logit minus the expected logit; the factor scales it to the size of the hidden states. Tokens that were certain add
 * nothing. The last hidden state of a large VLM shows by itself that the typed shop is not that of the goal; that of two
 * layers of width 96 does not, although their predictions do.
 */
function agreement(
  w: Weights,
  config: AutoUIConfig,
  hidden: Tensor,
  logits: Tensor,
  { action, actionMask }: VlmInputs,
): Tensor {
  const [rows, length, width] = hidden.shape;
  const table = w[config.tied ? 'shared.weight' : 'lm_head.weight'];
  const expected = matmul(reshape(softmax(logits), [rows * length, -1]), table);
  const surplus = sub(gather(table, action), reshape(expected, [rows, length, width]));
  const predicts = predicting(actionMask);
  const scaled = config.tied ? hidden : mul(hidden, scalar(width ** 0.5));
  return sum(mul(mul(scaled, surplus), reshape(predicts, [rows, length, 1])), [1]);
}

/** The log-probability [R] of the action's tokens, as the model predicts them: a policy's log π(a|s). */
function likelihood(logits: Tensor, { action, actionMask }: VlmInputs): Tensor {
  return sum(logProb(logits, action, predicting(actionMask)), [1]);
}

/** 1 at the decoder positions that predict a token [R, T]: position t predicts token t, and there is one more position than tokens. */
function predicting(actionMask: Tensor): Tensor {
  const [rows, length] = actionMask.shape;
  return concat([slice(actionMask, 1, 1, length), constant(new Float32Array(rows), [rows, 1])], 1);
}
