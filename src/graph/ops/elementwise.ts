import { broadcastShape, checkFloat, Cotangent, defineOp, operands } from '../rule.js';
import { Operand, Tensor, fail, shapeText } from '../tensor.js';
import { cast, sumTo } from './broadcast.js';

type None = Record<string, never>;

/** Defines a binary operation with broadcasting. `vjp` returns gradients in the broadcast shape, which are summed back. */
function binary(op: string, onnx: string, vjp: (c: Cotangent<None>) => [() => Tensor, () => Tensor]) {
  const build = defineOp<None>(op, {
    infer: (inputs) => {
      if (inputs[0].dtype === 'bool') fail(op, `expected numbers, got ${inputs.map((t) => t.dtype).join(' x ')}`);
      return {
        shape: broadcastShape(
          op,
          inputs.map((t) => t.shape),
        ),
      };
    },
    emit: (e, names) => e.node(onnx, names),
    vjp: (c) => vjp(c).map((side, i) => (c.needs[i] ? sumTo(side(), c.inputs[i].shape) : null)),
  });
  return (a: Operand, b: Operand): Tensor => build(operands(op, [a, b]), {});
}

export const add = binary('add', 'Add', ({ dy }) => [() => dy, () => dy]);
export const sub = binary('sub', 'Sub', ({ dy }) => [() => dy, () => neg(dy)]);
export const mul = binary('mul', 'Mul', ({ inputs: [a, b], dy }) => [() => mul(dy, b), () => mul(dy, a)]);
export const div = binary('div', 'Div', ({ inputs: [, b], y, dy }) => [
  () => div(dy, b),
  () => neg(div(mul(dy, y), b)),
]);

/** 1 where this operand was chosen, 0 where not, 0.5 where both are equal, as in torch.minimum and torch.maximum. */
function winner(better: Tensor, a: Tensor, b: Tensor): Tensor {
  return add(cast(better, a.dtype), mul(cast(equal(a, b), a.dtype), 0.5));
}

/** Elementwise minimum. Equal operands share the gradient. */
export const minimum = binary('minimum', 'Min', ({ inputs: [a, b], dy }) => [
  () => mul(dy, winner(less(a, b), a, b)),
  () => mul(dy, winner(less(b, a), a, b)),
]);
/** Elementwise maximum. Equal operands share the gradient. */
export const maximum = binary('maximum', 'Max', ({ inputs: [a, b], dy }) => [
  () => mul(dy, winner(greater(a, b), a, b)),
  () => mul(dy, winner(greater(b, a), a, b)),
]);

function unary(op: string, onnx: string, vjp: (c: Cotangent<None> & { x: Tensor }) => Tensor, floatOnly = true) {
  const build = defineOp<None>(op, {
    infer: ([x]) => {
      if (floatOnly) checkFloat(op, x);
      return { shape: x.shape };
    },
    emit: (e, names) => e.node(onnx, names),
    vjp: (c) => [vjp({ ...c, x: c.inputs[0] })],
  });
  return (x: Tensor): Tensor => build([x], {});
}

export const neg = unary('neg', 'Neg', ({ dy }) => neg(dy), false);
/** max(x, 0); the gradient at 0 is 0, as in torch. */
export const relu = unary('relu', 'Relu', ({ y, dy }) => where(greater(y, 0), dy, 0));
export const sigmoid = unary('sigmoid', 'Sigmoid', ({ y, dy }) => mul(dy, mul(y, sub(1, y))));
export const tanh = unary('tanh', 'Tanh', ({ y, dy }) => mul(dy, sub(1, square(y))));
/** Gauss's error function. */
export const erf = unary('erf', 'Erf', ({ x, dy }) => mul(dy, mul(exp(neg(square(x))), 2 / Math.sqrt(Math.PI))));
export const exp = unary('exp', 'Exp', ({ y, dy }) => mul(dy, y));
/** Natural logarithm. */
export const log = unary('log', 'Log', ({ x, dy }) => div(dy, x));
export const sqrt = unary('sqrt', 'Sqrt', ({ y, dy }) => div(mul(dy, 0.5), y));
/** |x|; the gradient at 0 is 0. */
export const abs = unary('abs', 'Abs', ({ x, dy }) => mul(dy, sign(x)), false);

const signOp = defineOp('sign', {
  infer: ([x]) => ({ shape: x.shape }),
  emit: (e, names) => e.node('Sign', names),
  vjp: null,
});
/** -1, 0 or 1. The gradient is 0. */
export function sign(x: Tensor): Tensor {
  return signOp([x], {});
}

const squareOp = defineOp('square', {
  infer: ([x]) => ({ shape: x.shape }),
  emit: (e, [x]) => e.node('Mul', [x, x]),
  vjp: ({ inputs: [x], dy }) => [mul(dy, mul(x, 2))],
});
/** x · x */
export function square(x: Tensor): Tensor {
  return squareOp([x], {});
}

const clipOp = defineOp<{ lo: number; hi: number }>('clip', {
  infer: ([x], { lo, hi }) => {
    if (!(lo <= hi)) fail('clip', `${shapeText(x.shape)}: expected lo <= hi, got ${lo} and ${hi}`);
    return { shape: x.shape };
  },
  emit: (e, [x], { attrs: { lo, hi }, dtype }) => e.node('Clip', [x, e.scalar(lo, dtype), e.scalar(hi, dtype)]),
  vjp: ({ inputs: [x], y, dy }) => [where(equal(x, y), dy, 0)],
});
/** x clamped to [lo, hi]; the gradient passes where lo <= x <= hi, as in torch.clamp. */
export function clip(x: Tensor, lo: number, hi: number): Tensor {
  return clipOp([x], { lo, hi });
}

function comparison(op: string, onnx: string) {
  const build = defineOp(op, {
    infer: (inputs) => ({
      shape: broadcastShape(
        op,
        inputs.map((t) => t.shape),
      ),
      dtype: 'bool',
    }),
    emit: (e, names) => e.node(onnx, names),
    vjp: null,
  });
  return (a: Operand, b: Operand): Tensor => build(operands(op, [a, b]), {});
}
export const equal = comparison('equal', 'Equal');
export const greater = comparison('greater', 'Greater');
export const less = comparison('less', 'Less');

function logical(op: string, onnx: string) {
  const build = defineOp(op, {
    infer: (inputs) => {
      if (inputs.some((t) => t.dtype !== 'bool'))
        fail(op, `expected bool, got ${inputs.map((t) => t.dtype + shapeText(t.shape)).join(' x ')}`);
      return {
        shape: broadcastShape(
          op,
          inputs.map((t) => t.shape),
        ),
      };
    },
    emit: (e, names) => e.node(onnx, names),
    vjp: null,
  });
  return (...xs: Tensor[]): Tensor => build(xs, {});
}
export const and: (a: Tensor, b: Tensor) => Tensor = logical('and', 'And');
export const or: (a: Tensor, b: Tensor) => Tensor = logical('or', 'Or');
export const not: (a: Tensor) => Tensor = logical('not', 'Not');

const whereOp = defineOp('where', {
  infer: ([cond, a, b]) => {
    if (cond.dtype !== 'bool') fail('where', `expected a bool condition, got ${cond.dtype}${shapeText(cond.shape)}`);
    return { shape: broadcastShape('where', [cond.shape, a.shape, b.shape]), dtype: a.dtype };
  },
  emit: (e, names) => e.node('Where', names),
  vjp: ({ inputs: [cond, a, b], dy, needs }) => [
    null,
    needs[1] ? sumTo(where(cond, dy, 0), a.shape) : null,
    needs[2] ? sumTo(where(cond, 0, dy), b.shape) : null,
  ],
});
/** a where `cond` is true, else b; all three are broadcast. */
export function where(cond: Tensor, a: Operand, b: Operand): Tensor {
  return whereOp([cond, ...operands('where', [a, b])], {});
}
