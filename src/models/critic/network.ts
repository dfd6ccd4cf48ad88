import { concat, gather, input, mul, slice, type Tensor } from '../../graph/index.js';
import type { Weights } from '../attention.js';
import type { ParameterSpecs } from '../checkpoint/checkpoint.js';
import { actionVector, criticSpecs, stateVector, type CriticConfig } from './critic.js';
import { robertaPooled, robertaSpecs, type RobertaConfig } from '../roberta/roberta.js';

/** The critic and, if it trains one, its text tower: the model in the `model.safetensors` of a critic's folder. */
export interface CriticNetworkConfig {
  readonly model_type: 'critiq-critic';
  readonly critic: CriticConfig;
  /**
   * RoBERTa encoders that are trained with the heads, and the lengths of their texts. `shared`: one for all texts, with
   * parameters `text.*`; `three`: one for types, texts and goals each, as released, with parameters `text.type.*`,
   * `text.action.*` and `text.goal.*`. Without `text`, the network's text inputs are the vectors of frozen towers.
   */
  readonly text?: { readonly tower: RobertaConfig; readonly lengths: TextLengths; readonly towers?: Towers };
  /** inputs replaced by zeros, for ablations */
  readonly drop: readonly string[];
}

/** Whether one text tower reads all texts, or each kind of text has its own. */
export type Towers = 'shared' | 'three';

/** Padded lengths of the texts in tokens. */
export interface TextLengths {
  readonly type: number;
  readonly action: number;
  readonly goal: number;
}

/** The kinds of texts, in the order of the released critic's towers: goals, types, typed texts. */
export const TEXT_KINDS: readonly (keyof TextLengths)[] = ['goal', 'type', 'action'];

/** What the names of the parameters of each tower begin with. */
export function towerPrefixes(towers: Towers = 'shared'): string[] {
  return towers === 'shared' ? ['text.'] : TEXT_KINDS.map((kind) => `text.${kind}.`);
}

/** The parameters of text towers by name. */
export function towerSpecs(tower: RobertaConfig, towers?: Towers): ParameterSpecs {
  const specs = Object.entries(robertaSpecs(tower));
  return Object.fromEntries(
    towerPrefixes(towers).flatMap((prefix) => specs.map(([name, spec]) => [`${prefix}${name}`, spec])),
  );
}

/** All parameters by name. */
export function criticNetworkSpecs({ critic, text }: CriticNetworkConfig): ParameterSpecs {
  return { ...criticSpecs(critic), ...(text ? towerSpecs(text.tower, text.towers) : {}) };
}

/** Graph inputs of `rows` states. Their names start with `prefix`. */
export function stateInputs(config: CriticNetworkConfig, prefix: string, rows: number): Record<string, Tensor> {
  const { image, state = 0 } = config.critic;
  return {
    ...textInputs(config, `${prefix}previous_type`, rows, 'type'),
    ...textInputs(config, `${prefix}previous_text`, rows, 'action'),
    ...textInputs(config, `${prefix}goal`, rows, 'goal'),
    [`${prefix}images`]: input(`${prefix}images`, [rows, 2 * image]),
    ...(state > 0 ? { [`${prefix}rep`]: input(`${prefix}rep`, [rows, state]) } : {}),
  };
}

/** Graph inputs of `rows` actions. Their names start with `prefix`. */
export function actionInputs(config: CriticNetworkConfig, prefix: string, rows: number): Record<string, Tensor> {
  return {
    ...textInputs(config, `${prefix}type`, rows, 'type'),
    ...textInputs(config, `${prefix}text`, rows, 'action'),
    [`${prefix}rep`]: input(`${prefix}rep`, [rows, config.critic.rep]),
  };
}

/** Returns the vector [rows, critic.text] of the text input with a name. */
export type TextVectors = (name: string) => Tensor;

/**
 * The vectors of all text inputs: as fed, or computed by the network's own tower. Texts padded to the same length go
 * through the tower together, because it is small and a few separate passes cost several times as much as one.
 */
export function textVectors(w: Weights, { text }: CriticNetworkConfig, x: Record<string, Tensor>): TextVectors {
  if (!text) return (name) => x[`${name}.vector`];
  const names = Object.keys(x).flatMap((name) => (name.endsWith('.ids') ? [name.slice(0, -'.ids'.length)] : []));
  const vectors = new Map<string, Tensor>();
  for (const prefix of towerPrefixes(text.towers)) {
    const own = Object.fromEntries(
      Object.entries(w).flatMap(([name, value]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
      ),
    );
    const read = names.filter((name) => text.towers !== 'three' || prefix === `text.${kindOf(name)}.`);
    for (const length of new Set(read.map((name) => x[`${name}.ids`].shape[1]))) {
      const together = read.filter((name) => x[`${name}.ids`].shape[1] === length);
      const joined = (part: string) =>
        concat(
          together.map((name) => x[`${name}.${part}`]),
          0,
        );
      const pooled = robertaPooled(own, text.tower, joined('ids'), joined('mask'));
      let start = 0;
      for (const name of together) {
        const end = start + x[`${name}.ids`].shape[0];
        vectors.set(name, slice(pooled, 0, start, end));
        start = end;
      }
    }
  }
  return (name) => vectors.get(name)!;
}

/** The V heads' input [rows, stateWidth] from `stateInputs` and their `textVectors`. */
export function stateFeatures(
  config: CriticNetworkConfig,
  prefix: string,
  x: Record<string, Tensor>,
  text: TextVectors,
): Tensor {
  return stateVector({
    previousType: dropped(config, 'previous', text(`${prefix}previous_type`)),
    previousText: dropped(config, 'previous', text(`${prefix}previous_text`)),
    goal: dropped(config, 'goal', text(`${prefix}goal`)),
    images: dropped(config, 'image', x[`${prefix}images`]),
    rep: x[`${prefix}rep`] && dropped(config, 'rep', x[`${prefix}rep`]),
  });
}

/** The action's part of the Q heads' input, from `actionInputs` and their `textVectors`. */
export function actionFeatures(
  config: CriticNetworkConfig,
  prefix: string,
  x: Record<string, Tensor>,
  text: TextVectors,
): Tensor {
  return actionVector({
    type: dropped(config, 'action', text(`${prefix}type`)),
    text: dropped(config, 'action', text(`${prefix}text`)),
    rep: dropped(config, 'rep', x[`${prefix}rep`]),
  });
}

/** The state features of each action's state: [R, width] from features [S, width] and state indices int64 [R]. */
export function featuresOf(states: Tensor, state: Tensor): Tensor {
  return gather(states, state);
}

/** The kind of a text input, by the end of its name. */
function kindOf(name: string): keyof TextLengths {
  return name.endsWith('type') ? 'type' : name.endsWith('goal') ? 'goal' : 'action';
}

function textInputs(
  { text, critic }: CriticNetworkConfig,
  name: string,
  rows: number,
  kind: keyof TextLengths,
): Record<string, Tensor> {
  if (!text) return { [`${name}.vector`]: input(`${name}.vector`, [rows, critic.text]) };
  const length = text.lengths[kind];
  return {
    [`${name}.ids`]: input(`${name}.ids`, [rows, length], 'int64'),
    [`${name}.mask`]: input(`${name}.mask`, [rows, length]),
  };
}

/** The input, or zeros of the same width if the ablation drops it. */
function dropped(config: CriticNetworkConfig, name: string, x: Tensor): Tensor {
  return config.drop.includes(name) ? mul(x, 0) : x;
}
