import { add, div, minimum, mul, sqrt, square, sub } from './ops/elementwise.js';
import { Tensor, fail } from './tensor.js';

/** A training step: its number, counted from 1, and its learning rate. */
export interface Step {
  readonly count: number;
  readonly lr: number;
}

/** The value of an update on its way from the gradient to the parameter, without its factor, and the new slots. */
export interface Update {
  readonly value: Tensor;
  readonly slots: Readonly<Record<string, Tensor>>;
}

/**
 * What a transform does in a step. An update is the product `value · factor`; the factor is a scalar, so scaling costs
 * nothing per element.
 */
export interface Plan {
  /** the factor after this transform */
  readonly factor: Tensor;
  /** scalars that `block` uses */
  readonly uses?: readonly Tensor[];
  /** the new update of a block of values, with the new values of the transform's slots */
  readonly block?: (update: Tensor, parameter: Tensor, slots: Readonly<Record<string, Tensor>>) => Update;
}

/** A link of an optimizer: it maps updates to updates, as in optax. */
export interface Transform {
  /** names of the arrays it keeps for each parameter from step to step, in the parameter's shape; zeros at first */
  readonly slots: readonly string[];
  /** the parameters it applies to; default all */
  readonly only?: (name: string) => boolean;
  /** numbers that change from step to step, computed in double precision; `plan` gets them as graph inputs */
  scalars?(step: Step): Readonly<Record<string, number>>;
  /** @param context the factor so far, the norm of the averaged gradient over all parameters, and the step's numbers */
  plan(context: { factor: Tensor; gradNorm: Tensor; scalars: Readonly<Record<string, Tensor>> }): Plan;
}

/** An optimizer: its transforms, in the order in which the gradient passes through them. */
export type Optimizer = readonly Transform[];

/** Composes transforms into an optimizer. */
export function chain(...transforms: Transform[]): Optimizer {
  const slots = transforms.flatMap((transform) => transform.slots);
  if (new Set(slots).size < slots.length)
    fail('chain', `two transforms have a slot of the same name: ${slots.join(', ')}`);
  return transforms;
}

/** Scales all gradients by min(1, maxNorm / (norm + 1e-6)), with the norm over all parameters: torch.nn.utils.clip_grad_norm_. */
export function clipByGlobalNorm(maxNorm: number): Transform {
  if (!(maxNorm > 0)) fail('clipByGlobalNorm', `expected a norm above 0, got ${maxNorm}`);
  return {
    slots: [],
    plan: ({ factor, gradNorm }) => ({ factor: mul(factor, minimum(div(maxNorm, add(gradNorm, 1e-6)), 1)) }),
  };
}

/**
 * Adam's direction m̂ / (√v̂ + eps) with bias correction (arXiv 1412.6980, algorithm 1; torch.optim.Adam). It is computed
 * as m / (√v + eps √c₂) · √c₂ / c₁ with cᵢ = 1 - bᵢ^t, which saves two operations per element.
 */
export function scaleByAdam({ b1 = 0.9, b2 = 0.999, eps = 1e-8 } = {}): Transform {
  return {
    slots: ['m', 'v'],
    scalars: ({ count }) => {
      const [c1, c2] = [1 - b1 ** count, 1 - b2 ** count];
      return { adamEps: eps * Math.sqrt(c2), adamFactor: Math.sqrt(c2) / c1 };
    },
    plan: ({ factor, scalars: { adamEps, adamFactor } }) => {
      const intoM = mul(factor, 1 - b1);
      const intoV = mul(square(factor), 1 - b2);
      return {
        factor: adamFactor,
        uses: [intoM, intoV, adamEps],
        block: (gradient, _, slots) => {
          const m = add(mul(slots.m, b1), mul(gradient, intoM));
          const v = add(mul(slots.v, b2), mul(square(gradient), intoV));
          return { value: div(m, add(sqrt(v), adamEps)), slots: { m, v } };
        },
      };
    },
  };
}

/** Adds decay · parameter to the update. After scaleByAdam this is AdamW (arXiv 1711.05101, torch.optim.AdamW). */
export function addDecayedWeights(decay: number, only?: (name: string) => boolean): Transform {
  return {
    slots: [],
    only,
    plan: ({ factor }) => {
      const relative = div(decay, factor);
      return {
        factor,
        uses: [relative],
        block: (update, parameter) => ({ value: add(update, mul(parameter, relative)), slots: {} }),
      };
    },
  };
}

/** AdamW's transforms. With a decay of 0, the default, it is Adam. `decays` selects the parameters that decay (default all). */
export function adamW({
  weightDecay = 0,
  decays,
  ...adam
}: {
  b1?: number;
  b2?: number;
  eps?: number;
  weightDecay?: number;
  decays?: (name: string) => boolean;
} = {}): Transform[] {
  return weightDecay === 0 ? [scaleByAdam(adam)] : [scaleByAdam(adam), addDecayedWeights(weightDecay, decays)];
}

/** Multiplies the update by the learning rate given to `Trainer.apply`. */
export function scaleByLearningRate(): Transform {
  return {
    slots: [],
    scalars: ({ lr }) => ({ lr }),
    plan: ({ factor, scalars: { lr } }) => ({ factor: mul(factor, lr) }),
  };
}

/** The last step of every optimizer: parameter - factor · update. */
export function descend(parameter: Tensor, update: Tensor, factor: Tensor): Tensor {
  return sub(parameter, mul(update, factor));
}

/**
 * AdamW, or Adam with a decay of 0, with the learning rate given to `Trainer.apply`, on gradients that are clipped first.
 * @param maxNorm largest global norm of the gradient; null: not clipped @param weightDecay decoupled
 */
export function clippedAdamW(maxNorm: number | null, weightDecay = 0): Optimizer {
  const clip = maxNorm === null ? [] : [clipByGlobalNorm(maxNorm)];
  return chain(...clip, ...adamW({ weightDecay }), scaleByLearningRate());
}
