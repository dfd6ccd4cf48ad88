import { axisOf, defineOp, type Cotangent } from '../rule.js';
import { STORAGE, Attrs, DType, Tensor, fail, sameShape, shapeText, sizeOf } from '../tensor.js';

/**
 * Reshape, expand, cast and sum: the gradients of all other operations need them to undo broadcasting. Their own
 * gradients need each other, so they share a file.
 */

const reshapeOp = defineOp<{ shape: readonly number[] }>('reshape', {
  infer: (_, { shape }) => ({ shape }),
  emit: (e, [x], { shape }) => e.node('Reshape', [x, e.ints(shape)]),
  vjp: ({ inputs: [x], dy }) => [reshape(dy, x.shape)],
});

/** The same values in another shape; one size may be -1. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  const given = shape.filter((size) => size !== -1);
  const free = shape.length - given.length;
  const rest = sizeOf(x.shape) / sizeOf(given);
  if (free > 1 || (free === 0 && rest !== 1) || !Number.isInteger(rest))
    fail('reshape', `${shapeText(x.shape)} to ${shapeText(shape)}: ${sizeOf(x.shape)} values don't fit`);
  const full = shape.map((size) => (size === -1 ? rest : size));
  return sameShape(full, x.shape) ? x : reshapeOp([x], { shape: full });
}

const expandOp = defineOp<{ shape: readonly number[] }>('expand', {
  infer: ([x], { shape }) => {
    const lead = shape.length - x.shape.length;
    if (lead < 0 || x.shape.some((size, i) => size !== 1 && size !== shape[lead + i]))
      fail('expand', `${shapeText(x.shape)} to ${shapeText(shape)}: only sizes of 1 can grow`);
    return { shape };
  },
  emit: (e, [x], { shape }) => e.node('Expand', [x, e.ints(shape)]),
  vjp: ({ inputs: [x], dy }) => [sumTo(dy, x.shape)],
});

/** Repeats along axes of size 1 and new leading axes to the given shape. */
export function expand(x: Tensor, shape: readonly number[]): Tensor {
  return sameShape(x.shape, shape) ? x : expandOp([x], { shape });
}

const castOp = defineOp<{ to: DType }>('cast', {
  infer: ([x], { to }) => ({ shape: x.shape, dtype: to }),
  emit: (e, [x], { attrs: { to } }) => e.node('Cast', [x], { to: STORAGE[to].onnx }),
  vjp: ({ inputs: [x], dy }) => [dy.dtype === x.dtype || !x.dtype.startsWith('float') ? null : cast(dy, x.dtype)],
});

/** Converts the element type. Gradients pass between floating-point types only. */
export function cast(x: Tensor, to: DType): Tensor {
  if (!(to in STORAGE)) fail('cast', `unknown type ${to}`);
  return x.dtype === to ? x : castOp([x], { to });
}

export interface Reduction extends Attrs {
  readonly axes: readonly number[];
  readonly keep: boolean;
}

function reducedShape(shape: readonly number[], { axes, keep }: Reduction): number[] {
  return keep ? shape.map((size, i) => (axes.includes(i) ? 1 : size)) : shape.filter((_, i) => !axes.includes(i));
}

/** y or dy with the reduced axes restored as size 1 */
export function kept(t: Tensor, x: Tensor, { axes }: Reduction): Tensor {
  return reshape(t, reducedShape(x.shape, { axes, keep: true }));
}

/** Defines an operation that reduces axes; `vjp` returns the gradient in the shape of x. */
export function reduction(op: string, onnx: string, vjp: (c: Cotangent<Reduction>) => Tensor) {
  const build = defineOp<Reduction>(op, {
    infer: ([x], attrs) => ({ shape: reducedShape(x.shape, attrs) }),
    emit: (e, [x], { attrs: { axes, keep } }) => e.node(onnx, [x, e.ints(axes)], { keepdims: keep ? 1 : 0 }),
    vjp: (c) => [vjp(c)],
  });
  return (x: Tensor, axes?: number | readonly number[], keep = false): Tensor => {
    const listed = axes === undefined ? [...x.shape.keys()] : typeof axes === 'number' ? [axes] : axes;
    const positive = listed.map((axis) => axisOf(op, axis, x.shape)).sort((a, b) => a - b);
    if (new Set(positive).size < positive.length) fail(op, `axes ${shapeText(listed)} contain duplicates`);
    if (positive.length === 0) return x;
    return build([x], { axes: positive, keep });
  };
}

/** Sum over the given axes (default: all). `keep` retains them as size 1. */
export const sum = reduction('sum', 'ReduceSum', ({ inputs: [x], attrs, dy }) => expand(kept(dy, x, attrs), x.shape));

/** Undoes broadcasting: sums x over the axes along which `shape` was repeated. */
export function sumTo(x: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = [...x.shape.keys()].filter((i) => i < lead || (shape[i - lead] === 1 && x.shape[i] !== 1));
  return reshape(sum(x, axes, true), shape);
}
