import { z } from 'zod';
import { ACTION_TYPES, isTap, type Action } from '../data/action.js';
import { div, mean, mul, sub, sum, type Tensor } from '../graph/index.js';

/**
 * CoSo (arXiv 2505.03792; docs/algorithms.md §4): explore with the tokens that matter. A causal model (models/causal.ts)
 * learns to classify actions by their tokens. A token matters as much as its removal changes the predicted class; an
 * entropy bonus makes the policy explore there. The rest of the policy's loss is DigiRL's. P: the paper, C: the released
 * code.
 */
export const CoSo = z
  .object({
    classes: z
      .enum(['type', 'type+target'])
      .default('type')
      .describe('classes of the causal model: action types (C), or also the tapped region and the typed text'),
    regions: z
      .tuple([z.int().min(1).max(64), z.int().min(1).max(64)])
      .default([6, 3])
      .describe('type+target: rows and columns of the grid of screen regions'),
    texts: z.int().min(1).max(4096).default(32).describe('type+target: number of classes for typed texts'),
    window: z.int().min(1).default(4).describe('number of consecutive tokens that are masked together (C: 4)'),
    width: z.int().min(4).default(128).describe('width of the causal model (C: 128)'),
    layers: z.int().min(1).default(3).describe('layers of the causal model (C: 3)'),
    heads: z.int().min(1).default(4).describe('attention heads of the causal model (C: 4)'),
    feed_forward: z.int().min(4).default(512).describe('feed-forward width of the causal model (C: 512)'),
    pretrain_rounds: z
      .int()
      .min(0)
      .default(500)
      .describe(
        'optimizer steps of the causal model on the first actions, before policy training (C: 500 calls of 2 steps, so 1000)',
      ),
    rounds: z.int().min(0).default(2).describe('optimizer steps of the causal model per iteration after that (C: 2)'),
    lr: z.number().positive().default(1e-5).describe('learning rate of the causal model (C: 1e-5)'),
    max_grad_norm: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe("maximum global norm of the causal model's gradient (C: 0.01); null: not clipped")
      .meta({ added: true }),
    dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe('dropout while the causal model is trained, after attention and in the feed-forward layers (C: 0.1)')
      .meta({ added: true }),
    invalid: z
      .enum(['class', 'left_out'])
      .default('class')
      .describe('invalid actions are a class of their own, or are left out of the training of the causal model (C)')
      .meta({ added: true }),
    batch_size: z.int().min(1).default(512).describe('actions per optimizer step of the causal model (C: 1024)'),
  })
  .refine(({ width, heads }) => width % heads === 0, {
    path: ['width'],
    message: 'expected a multiple of online.coso.heads',
  })
  .describe('CoSo: the causal model of actions and their tokens');
export type CoSo = z.infer<typeof CoSo>;

/** The class of invalid actions. C has eight classes: seven action types and this. */
const INVALID = ACTION_TYPES.length;

type ClassSettings = Pick<CoSo, 'classes' | 'regions' | 'texts'>;

/** Number of classes of actions. */
export function classCount({ classes, regions: [rows, columns], texts }: ClassSettings): number {
  // The types, then a class for each region (taps), each direction (swipes) and each group of texts (typing).
  return classes === 'type' ? INVALID + 1 : INVALID + 1 + rows * columns + 4 + texts;
}

/**
 * The class of an action. `type`: its type (C). `type+target`: taps by region, swipes by direction, typing by a hash of
 * the text, all others by type.
 * @param action undefined for an invalid action
 */
export function classOf(action: Action | undefined, settings: ClassSettings): number {
  if (!action) return INVALID;
  if (settings.classes === 'type') return ACTION_TYPES.indexOf(action.type);
  const [rows, columns] = settings.regions;
  const first = INVALID + 1;
  if (action.type === 'TYPE') return first + rows * columns + 4 + (textHash(action.text) % settings.texts);
  if (action.type !== 'DUAL_POINT') return ACTION_TYPES.indexOf(action.type);
  const { touch, lift } = action;
  if (isTap(action)) {
    const cell = (part: number, count: number) => Math.min(count - 1, Math.floor(part * count));
    return first + cell(touch[0], rows) * columns + cell(touch[1], columns);
  }
  const [dy, dx] = [lift[0] - touch[0], lift[1] - touch[1]];
  const direction = Math.abs(dy) >= Math.abs(dx) ? (dy < 0 ? 0 : 1) : dx < 0 ? 2 : 3;
  return first + rows * columns + direction;
}

/** FNV-1a of a text's UTF-16 units, 32 bits. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * The entropy bonus mean_b (Σ_t B_t H_t m_t / Σ_t m_t): the policy's entropy, weighted by each token's influence. With B = 1
 * it is the naive entropy bonus. (C divides by a (B, 1) tensor, which gives a B × B matrix; this is what C intends.)
 * @param entropies H(π(.|y_<t, s)) [B, T] in nats @param weights B_t [B, T], undefined for 1 @param mask [B, T]
 */
export function entropyBonus(entropies: Tensor, weights: Tensor | undefined, mask: Tensor): Tensor {
  const masked = mul(weights ? mul(weights, entropies) : entropies, mask);
  return mean(div(sum(masked, [1]), sum(mask, [1])));
}

/** The objective to minimize: policy loss - α · bonus. */
export function withBonus(policyLoss: Tensor, bonus: Tensor, alpha: number): Tensor {
  return sub(policyLoss, mul(bonus, alpha));
}

/**
 * The variants of an action with masked tokens: [L, L] token ids, where row i has tokens i..i+window-1 replaced by
 * `unknown`. Windows are cut off at the end.
 */
export function holedTokens(tokens: BigInt64Array, window: number, unknown: number): BigInt64Array {
  const length = tokens.length;
  const variants = new BigInt64Array(length * length);
  for (let i = 0; i < length; i++) {
    variants.set(tokens, i * length);
    variants.fill(BigInt(unknown), i * length + i, i * length + Math.min(length, i + window));
  }
  return variants;
}

/**
 * The effect of each token i, |P(c|y) - P(c|y without the window at i)|, for the action's class c.
 * @param whole probability of the class given all tokens
 * @param holed [L] probability of the class given each variant of `holedTokens`
 * @param special selects tokens without effect: special and punctuation tokens, padding
 */
export function tokenEffects(
  whole: number,
  holed: ArrayLike<number>,
  special: (position: number) => boolean,
): Float32Array {
  return Float32Array.from({ length: holed.length }, (_, i) => (special(i) ? 0 : Math.abs(whole - holed[i])));
}

/**
 * The weight B_i of each token in the entropy bonus: the square root of its effect, scaled to [0, 1] within the sequence.
 * If all effects are equal, all weights are 0.
 */
export function influenceWeights(effects: ArrayLike<number>): Float32Array {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < effects.length; i++) {
    low = Math.min(low, effects[i]);
    high = Math.max(high, effects[i]);
  }
  const range = high - low;
  return Float32Array.from(effects, (effect) => (range > 0 ? Math.sqrt((effect - low) / range) : 0));
}
