import { z } from 'zod';
import { ACTION_TYPES, isTap, type Action } from '../data/action.js';
import { div, mean, mul, sub, sum, type Tensor } from '../graph/index.js';

/**
 * CoSo (arXiv 2505.03792; docs/algorithms.md §4): explore where it matters. A causal model (models/causal.ts) learns what an
 * action's tokens mean; a token matters as far as that changes without it, and the policy's entropy is raised there. The
 * policy's own loss is DigiRL's. P: the paper, C: the released code.
 */
export const CoSo = z
  .object({
    classes: z
      .enum(['type', 'type+target'])
      .default('type')
      .describe(
        'what the causal model tells apart: action types (C), or also the region that is tapped and the text typed',
      ),
    regions: z
      .tuple([z.int().min(1).max(64), z.int().min(1).max(64)])
      .default([6, 3])
      .describe('type+target: rows and columns of the regions of the screen'),
    texts: z.int().min(1).max(4096).default(32).describe('type+target: classes that typed texts are divided among'),
    window: z.int().min(1).default(4).describe('tokens that are taken out together (C: 4)'),
    width: z.int().min(4).default(128).describe('width of the causal model (C: 128)'),
    layers: z.int().min(1).default(3).describe('its layers (C: 3)'),
    heads: z.int().min(1).default(4).describe('its attention heads (C: 4)'),
    feed_forward: z.int().min(4).default(512).describe('hidden width of its feed-forward layers (C: 512)'),
    pretrain_rounds: z
      .int()
      .min(0)
      .default(500)
      .describe('optimizer steps on the first actions, before the policy is trained by it (C: 500)'),
    rounds: z.int().min(0).default(2).describe('optimizer steps in each iteration after that (C: 2)'),
    lr: z.number().positive().default(1e-5).describe('its learning rate (C: 1e-5)'),
    batch_size: z.int().min(1).default(512).describe('actions in a step (C: 512)'),
  })
  .refine(({ width, heads }) => width % heads === 0, {
    path: ['width'],
    message: 'expected a multiple of online.coso.heads',
  })
  .describe('CoSo: the causal model of what tokens decide');
export type CoSo = z.infer<typeof CoSo>;

/** The class of what is no action: C has eight, seven types and this. */
const INVALID = ACTION_TYPES.length;

type ClassSettings = Pick<CoSo, 'classes' | 'regions' | 'texts'>;

/** How many classes of actions there are. */
export function classCount({ classes, regions: [rows, columns], texts }: ClassSettings): number {
  // the type, then for taps each region, for swipes each direction, for typing each text
  return classes === 'type' ? INVALID + 1 : INVALID + 1 + rows * columns + 4 + texts;
}

/**
 * The class of an action, undefined for a text that is none. `type`: its type (C). `type+target`: taps by the region they
 * hit, swipes by their direction, typing by its text (texts share classes by a hash), the rest by type.
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
 * The objective's bonus: mean_b (Σ_t B_t H_t m_t / Σ_t m_t), the entropy of the policy where it matters. With B = 1 it is the
 * naive entropy bonus. (C divides by a (B, 1) tensor, which makes a B × B matrix; this is what was meant.)
 * @param entropies H(π(.|y_<t, s)) [B, T] in nats @param weights B_t [B, T], undefined for 1 @param mask [B, T]
 */
export function entropyBonus(entropies: Tensor, weights: Tensor | undefined, mask: Tensor): Tensor {
  const masked = mul(weights ? mul(weights, entropies) : entropies, mask);
  return mean(div(sum(masked, [1]), sum(mask, [1])));
}

/** The whole objective, to be minimised: policy loss - α · bonus. */
export function withBonus(policyLoss: Tensor, bonus: Tensor, alpha: number): Tensor {
  return sub(policyLoss, mul(bonus, alpha));
}

/**
 * The variants of an action in which tokens i..i+window-1 are replaced by `unknown`, for every i: [L, L] token ids, row i
 * with its hole at i. A hole at the end is shorter.
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
 * The effect of each token, |P(c|y) - P(c|y without tokens i..i+3)| for the action's class c; 0 where `special` (special
 * and punctuation tokens, padding).
 * @param whole probability of the class given all tokens @param holed [L] the same given each variant of `holedTokens`
 */
export function tokenEffects(
  whole: number,
  holed: ArrayLike<number>,
  special: (position: number) => boolean,
): Float32Array {
  return Float32Array.from({ length: holed.length }, (_, i) => (special(i) ? 0 : Math.abs(whole - holed[i])));
}

/**
 * The weight B_i of each token in the entropy bonus: effects scaled to [0, 1] within the sequence, then their square root.
 * Where no token differs from the others every weight is 0.
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
