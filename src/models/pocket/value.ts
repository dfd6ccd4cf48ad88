import { add, clip, concat, div, exp, reshape, type Tensor } from '../../graph/index.js';
import { autoUISpecs, type AutoUIConfig } from '../autoui/config.js';
import type { ParameterSpecs } from '../checkpoint/checkpoint.js';
import { mlp, mlpSpecs } from '../mlp.js';
import type { Weights } from '../t5.js';
import { pocketVlm, pocketVlmDim, type VlmInputs } from './vlm.js';

/**
 * The pocket value model of VEM (docs/algorithms.md §5): the pocket VLM, which reads a screenshot with a cursor at the tap,
 * the task with the earlier actions, and the action's text, and says `1` (bad) or `2` (good). A small network on its hidden
 * states, and on how likely the model itself finds the action, adds to the log-odds of the two tokens: two layers of width 96 cannot learn from thousands of labels what a large
 * VLM knows before.
 */
export interface PocketValueConfig {
  readonly model_type: 'critiq-pocket-value';
  readonly autoui: AutoUIConfig;
  /** token ids of the ratings `1` and `2` */
  readonly bad: number;
  readonly good: number;
  /** most earlier actions in the prompt */
  readonly history: number;
  /** hidden width of the network on the hidden states */
  readonly hidden: number;
}

const HEAD = 'rating';
/** Log-probabilities below minus this count as the same. */
const RAREST = 16;

/** The parameters: those of a policy, and the network `rating`. */
export function pocketValueSpecs(config: PocketValueConfig): ParameterSpecs {
  const width = pocketVlmDim({ ...config, model_type: 'critiq-pocket-vlm', yes: config.good, no: config.bad });
  return { ...autoUISpecs(config.autoui), ...mlpSpecs(HEAD, [width + 2, config.hidden, 1]) };
}

/** The log-odds [R] of rating 2 against rating 1. */
export function pocketValue(w: Weights, config: PocketValueConfig, x: VlmInputs): Tensor {
  const { autoui, good, bad } = config;
  const vlm = pocketVlm(w, { model_type: 'critiq-pocket-vlm', autoui, yes: good, no: bad }, x);
  const rows = vlm.representation.shape[0];
  // a rare action: its likelihood tells nothing beyond that
  const rare = div(clip(vlm.likelihood, -RAREST, 0), RAREST / 4);
  const read = concat([vlm.representation, reshape(rare, [rows, 1]), reshape(exp(vlm.likelihood), [rows, 1])], 1);
  return add(vlm.logit, reshape(mlp(w, HEAD, 2, read), [rows]));
}
