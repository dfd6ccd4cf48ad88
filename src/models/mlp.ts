import {
  abs,
  add,
  exp,
  greater,
  linear,
  log,
  logSoftmax,
  mean,
  mul,
  neg,
  relu,
  reshape,
  slice,
  softmax,
  sub,
  where,
  type Tensor,
} from '../graph/index.js';
import type { Weights } from './attention.js';
import type { ParameterSpecs } from './checkpoint/checkpoint.js';

/**
 * A multilayer perceptron with ReLU between its layers: [B, out] from x [B, in]. Parameter names are those of a PyTorch
 * Sequential: `name.0.weight` is the first layer, `name.2.weight` the next.
 */
export function mlp(w: Weights, name: string, layers: number, x: Tensor): Tensor {
  let h = x;
  for (let i = 0; i < layers; i++) {
    h = linear(h, w[`${name}.${2 * i}.weight`], w[`${name}.${2 * i}.bias`]);
    if (i + 1 < layers) h = relu(h);
  }
  return h;
}

/** Parameters by name, with PyTorch's default initialization. @param widths of all layers, including input and output */
export function mlpSpecs(name: string, widths: readonly number[]): ParameterSpecs {
  const specs: ParameterSpecs = {};
  for (let i = 0; i + 1 < widths.length; i++) {
    const init = { uniform: widths[i] ** -0.5 };
    specs[`${name}.${2 * i}.weight`] = { shape: [widths[i + 1], widths[i]], init };
    specs[`${name}.${2 * i}.bias`] = { shape: [widths[i + 1]], init };
  }
  return specs;
}

/** Mean cross-entropy of logits [B, 2] (failure, success) against returns [B] > 0 (docs/algorithms.md §2.4 and §3). */
export function successCrossEntropy(logits: Tensor, mcReturn: Tensor): Tensor {
  const logs = logSoftmax(logits);
  const [batch] = mcReturn.shape;
  const of = (label: number) => reshape(slice(logs, 1, label, label + 1), [batch]);
  return neg(mean(where(greater(mcReturn, 0), of(1), of(0))));
}

/** Mean binary cross-entropy of log-odds [B] against labels [B] of 0 and 1, without overflow: max(x,0) - x y + log(1 + e^-|x|). */
export function binaryCrossEntropy(logit: Tensor, label: Tensor): Tensor {
  return mean(add(sub(relu(logit), mul(logit, label)), log(add(exp(neg(abs(logit))), 1))));
}

/** Probability of success [B] from logits [B, 2] (failure, success). */
export function successProbability(logits: Tensor): Tensor {
  return reshape(slice(softmax(logits), 1, 1, 2), [logits.shape[0]]);
}
