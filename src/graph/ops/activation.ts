import { checkFloat, defineComposite, defineOp } from '../rule.js';
import { Tensor, fail, sameShape, shapeText } from '../tensor.js';
import { add, div, erf, exp, mul, sqrt, square, sub, tanh } from './elementwise.js';
import { mean } from './reduce.js';
import { sum, sumTo } from './broadcast.js';

function lastAxisOp(op: string, onnx: string, vjp: (y: Tensor, dy: Tensor) => Tensor) {
  const build = defineOp(op, {
    infer: ([x]) => {
      checkFloat(op, x);
      if (x.shape.length === 0) fail(op, 'expected at least one axis, got a scalar');
      return { shape: x.shape };
    },
    emit: (e, names) => e.node(onnx, names, { axis: -1 }),
    vjp: ({ y, dy }) => [vjp(y, dy)],
  });
  return (x: Tensor): Tensor => build([x], {});
}

/** exp(x) / Σ exp(x) over the last axis. */
export const softmax = lastAxisOp('softmax', 'Softmax', (y, dy) => mul(y, sub(dy, sum(mul(dy, y), -1, true))));

/** x - log Σ exp(x) over the last axis. */
export const logSoftmax = lastAxisOp('logSoftmax', 'LogSoftmax', (y, dy) => sub(dy, mul(exp(y), sum(dy, -1, true))));

const normalCdf = (x: Tensor) => mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);

const geluOp = defineComposite('gelu', {
  lower: ([x]) => mul(mul(x, add(erf(div(x, Math.SQRT2)), 1)), 0.5),
  // Φ(x) + x φ(x)
  vjp: ({ inputs: [x], dy }) => [
    mul(dy, add(normalCdf(x), mul(mul(x, exp(mul(square(x), -0.5))), 1 / Math.sqrt(2 * Math.PI)))),
  ],
});
/** x Φ(x) = 0.5 x (1 + erf(x / √2)): the exact GELU (arXiv 1606.08415). */
export function gelu(x: Tensor): Tensor {
  return geluOp([x], {});
}

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;
const geluInner = (x: Tensor) => tanh(mul(mul(x, add(mul(square(x), GELU_CUBIC), 1)), GELU_SCALE));

const geluTanhOp = defineComposite('geluTanh', {
  lower: ([x]) => mul(mul(x, 0.5), add(geluInner(x), 1)),
  vjp: ({ inputs: [x], dy }) => {
    const t = geluInner(x);
    const slope = mul(add(mul(square(x), 3 * GELU_CUBIC), 1), GELU_SCALE);
    return [mul(dy, add(mul(add(t, 1), 0.5), mul(mul(mul(x, 0.5), sub(1, square(t))), slope)))];
  },
});
/** 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))): GELU's tanh approximation, T5's `gated-gelu`. */
export function geluTanh(x: Tensor): Tensor {
  return geluTanhOp([x], {});
}

function checkScale(op: string, x: Tensor, ...scales: Tensor[]): void {
  checkFloat(op, x);
  const width = x.shape.at(-1);
  for (const scale of scales)
    if (width === undefined || !sameShape(scale.shape, [width]))
      fail(op, `${shapeText(x.shape)} by ${shapeText(scale.shape)}: expected a scale of the last axis' size`);
}

/** 1 / √(mean(x²) + eps) over the last axis, which stays as size 1 */
const inverseRms = (x: Tensor, eps: number) => div(1, sqrt(add(mean(square(x), -1, true), eps)));

/** d loss / d x from d = d loss / d x̂, where x̂ = x r and r = inverseRms(x) */
function throughRms(xHat: Tensor, r: Tensor, d: Tensor): Tensor {
  return mul(r, sub(d, mul(xHat, mean(mul(d, xHat), -1, true))));
}

const rmsNormOp = defineComposite<{ eps: number }>('rmsNorm', {
  lower: ([x, w], { eps }) => mul(mul(x, inverseRms(x, eps)), w),
  vjp: ({ inputs: [x, w], attrs: { eps }, dy, needs }) => {
    const r = inverseRms(x, eps);
    const xHat = mul(x, r);
    return [needs[0] ? throughRms(xHat, r, mul(dy, w)) : null, needs[1] ? sumTo(mul(dy, xHat), w.shape) : null];
  },
});
/** x / √(mean(x²) + eps) · w over the last axis (arXiv 1910.07467): T5's layer norm. w [d]. */
export function rmsNorm(x: Tensor, w: Tensor, eps: number): Tensor {
  checkScale('rmsNorm', x, w);
  return rmsNormOp([x, w], { eps });
}

const layerNormOp = defineOp<{ eps: number }>('layerNorm', {
  infer: ([x, w, b]) => {
    checkScale('layerNorm', x, w, b);
    return { shape: x.shape };
  },
  emit: (e, names, { attrs: { eps } }) => e.node('LayerNormalization', names, { axis: -1, epsilon: eps }),
  vjp: ({ inputs: [x, w, b], attrs: { eps }, dy, needs }) => {
    const centred = sub(x, mean(x, -1, true));
    const r = inverseRms(centred, eps);
    const xHat = mul(centred, r);
    const dCentred = throughRms(xHat, r, mul(dy, w));
    return [
      needs[0] ? sub(dCentred, mean(dCentred, -1, true)) : null,
      needs[1] ? sumTo(mul(dy, xHat), w.shape) : null,
      needs[2] ? sumTo(dy, b.shape) : null,
    ];
  },
});
/** (x - mean) / √(variance + eps) · w + b over the last axis (arXiv 1607.06450). w and b [d]. */
export function layerNorm(x: Tensor, w: Tensor, b: Tensor, eps: number): Tensor {
  return layerNormOp([x, w, b], { eps });
}
