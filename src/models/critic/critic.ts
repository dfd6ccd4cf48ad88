import { concat, reshape, type Tensor } from '../../graph/index.js';
import type { Weights } from '../attention.js';
import type { ParameterSpecs } from '../checkpoint/checkpoint.js';
import { mlp, mlpSpecs, successProbability } from '../mlp.js';

/**
 * Digi-Q's critic (docs/algorithms.md §2.4): twin Q and V heads, each a multilayer perceptron with ReLU on concatenated
 * vectors. Parameter names are those of a PyTorch Sequential: `q1.0.weight` is the first layer, `q1.2.weight` the next.
 */
export interface CriticConfig {
  /** length of a text vector (RoBERTa-base: 768) */
  readonly text: number;
  /** length of an image vector (BLIP-2: 1408); the state has those of the previous and the current screen */
  readonly image: number;
  /** length of the action's representation (LLaVA-1.5-7B: 4096) */
  readonly rep: number;
  /** length of a representation of the state alone; the released critic has none. @default 0 */
  readonly state?: number;
  /** widths of the hidden layers. @default released: the input's own width, then 3840 × 3 */
  readonly qHidden?: readonly number[];
  /** @default released: 2304 × 3 */
  readonly vHidden?: readonly number[];
  /** outputs of a head: 1 value, or 2 logits (failure, success) in the MC classification variant. @default 1 */
  readonly outputs?: number;
}

export type Head = 'q1' | 'q2' | 'v1' | 'v2';
export const HEADS: readonly Head[] = ['q1', 'q2', 'v1', 'v2'];

/** The parts of the state vector, in this order; each [B, ...]. */
export interface CriticState {
  readonly previousType: Tensor;
  readonly previousText: Tensor;
  readonly goal: Tensor;
  /** image vectors of the previous and the current screen, concatenated */
  readonly images: Tensor;
  /** [B, config.state], if the critic has one */
  readonly rep?: Tensor;
}

/** The parts of the action vector, in this order; each [B, ...]. */
export interface CriticAction {
  readonly type: Tensor;
  readonly text: Tensor;
  readonly rep: Tensor;
}

/** Length of the state vector: three texts, two images and, if there is one, the state's own representation. */
export function stateWidth({ text, image, state = 0 }: CriticConfig): number {
  return 3 * text + 2 * image + state;
}

/** Length of the Q heads' input: the state, two more texts and the action's representation. */
export function actionStateWidth(config: CriticConfig): number {
  return stateWidth(config) + 2 * config.text + config.rep;
}

/** The V heads' input [B, stateWidth]. */
export function stateVector({ previousType, previousText, goal, images, rep }: CriticState): Tensor {
  return concat([previousType, previousText, goal, images, ...(rep ? [rep] : [])], 1);
}

/** The action's part of the Q heads' input, after the state: [B, 2 text + rep]. */
export function actionVector({ type, text, rep }: CriticAction): Tensor {
  return concat([type, text, rep], 1);
}

/** Widths of all layers of a head, including input and output. */
export function layerWidths(config: CriticConfig, head: Head): number[] {
  const { outputs = 1 } = config;
  if (head === 'v1' || head === 'v2') return [stateWidth(config), ...(config.vHidden ?? [2304, 2304, 2304]), outputs];
  const width = actionStateWidth(config);
  return [width, ...(config.qHidden ?? [width, 3840, 3840, 3840]), outputs];
}

/** Output [B] of a head for an input [B, width]; [B, outputs] if the head has several outputs. */
export function value(w: Weights, config: CriticConfig, head: Head, x: Tensor): Tensor {
  const h = mlp(w, head, layerWidths(config, head).length - 1, x);
  return h.shape[1] === 1 ? reshape(h, [h.shape[0]]) : h;
}

/** Q_i(s, a) [B] for concatenated state and action [B, actionStateWidth]. */
export function q(w: Weights, config: CriticConfig, i: 1 | 2, stateAction: Tensor): Tensor {
  return value(w, config, `q${i}`, stateAction);
}

/** V_i(s) [B] for the state [B, stateWidth]. */
export function v(w: Weights, config: CriticConfig, i: 1 | 2, state: Tensor): Tensor {
  return value(w, config, `v${i}`, state);
}

/** A head's output as a value [B]: logits [B, 2] become the probability of success, values [B] stay unchanged. */
export function asValue(output: Tensor): Tensor {
  return output.shape.length === 1 ? output : successProbability(output);
}

/** All parameters under their names in the checkpoint, with PyTorch's default initialization of linear layers. */
export function criticSpecs(config: CriticConfig, heads: readonly Head[] = HEADS): ParameterSpecs {
  return Object.assign({}, ...heads.map((head) => mlpSpecs(head, layerWidths(config, head)))) as ParameterSpecs;
}

/** The configuration of a checkpoint, from its tensor shapes and the input lengths, of which the shapes only tell the sum. */
export function criticConfigOf(
  shapes: ReadonlyMap<string, readonly number[]>,
  dims: { text: number; image: number; rep: number },
): CriticConfig {
  const hidden = (head: Head) => {
    const widths: number[] = [];
    for (let i = 0; shapes.has(`${head}.${2 * i}.weight`); i++) widths.push(shapes.get(`${head}.${2 * i}.weight`)![0]);
    return widths.slice(0, -1);
  };
  return { ...dims, qHidden: hidden('q1'), vHidden: hidden('v1') };
}
