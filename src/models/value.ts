import { concat, type Tensor } from '../graph/index.js';
import type { Weights } from './attention.js';
import type { ParameterSpecs } from './checkpoint/checkpoint.js';
import { mlp, mlpSpecs } from './mlp.js';
import { robertaPooled, robertaSpecs, type RobertaConfig } from './roberta/roberta.js';

/**
 * DigiRL's value functions (docs/algorithms.md §3): twin step-level values of the prompt's vector and the previous and
 * current screen's image vectors (768 + 2816 -> 768 -> 768 -> 2 as released), and an instruction-level value of the first
 * prompt's vector alone.
 */
export interface ValueConfig {
  /** length of a text's vector (RoBERTa-base: 768) */
  readonly text: number;
  /** length of an image vector (BLIP-2: 1408); there are two */
  readonly image: number;
  /** widths of the hidden layers of every head */
  readonly hidden: readonly number[];
  /** a RoBERTa encoder that is trained with the heads (parameters `text.*`); without it, text inputs are vectors */
  readonly tower?: RobertaConfig;
  /**
   * a RoBERTa encoder of the instruction-level value alone (parameters `instruction.text.*`), which then has one linear
   * layer, as released; without it, that value reads the same vectors as the others
   */
  readonly encoder?: RobertaConfig;
}

/** The heads: step-level values `v1` and `v2`, and the instruction-level value. */
export type ValueHead = 'v1' | 'v2' | 'instruction';
export const VALUE_HEADS: readonly ValueHead[] = ['v1', 'v2', 'instruction'];

function widths({ text, image, hidden, encoder }: ValueConfig, head: ValueHead): number[] {
  if (head === 'instruction' && encoder) return [encoder.hidden_size, 2];
  return [head === 'instruction' ? text : text + 2 * image, ...hidden, 2];
}

/** All parameters by name. */
export function valueSpecs(config: ValueConfig): ParameterSpecs {
  const of = (tower: RobertaConfig | undefined, prefix: string) =>
    Object.fromEntries(
      Object.entries(tower ? robertaSpecs(tower) : {}).map(([name, spec]) => [`${prefix}${name}`, spec]),
    );
  const heads = VALUE_HEADS.map((head) => mlpSpecs(head, widths(config, head)));
  return Object.assign({}, ...heads, of(config.tower, 'text.'), of(config.encoder, 'instruction.text.'));
}

/** Vectors [B, width] of tokens [B, L], computed by one of the network's own towers. @param prefix of its parameters */
export function towerVectors(
  w: Weights,
  tower: RobertaConfig,
  ids: Tensor,
  mask: Tensor,
  prefix: 'text.' | 'instruction.text.' = 'text.',
): Tensor {
  const own = Object.entries(w).filter(([name]) => name.startsWith(prefix));
  return robertaPooled(
    Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value])),
    tower,
    ids,
    mask,
  );
}

/** Logits [B, 2] (failure, success) for a step. @param text [B, text] @param images [B, 2 image], previous screen first */
export function stepLogits(w: Weights, config: ValueConfig, head: 'v1' | 'v2', text: Tensor, images: Tensor): Tensor {
  return logits(w, config, head, concat([text, images], 1));
}

/** Logits [B, 2] (failure, success) for a task. @param text [B, text] the vector of its first prompt */
export function instructionLogits(w: Weights, config: ValueConfig, text: Tensor): Tensor {
  return logits(w, config, 'instruction', text);
}

function logits(w: Weights, config: ValueConfig, head: ValueHead, x: Tensor): Tensor {
  return mlp(w, head, widths(config, head).length - 1, x);
}
