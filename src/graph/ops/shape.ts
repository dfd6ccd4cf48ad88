import { axisOf, defineOp } from '../rule.js';
import { DType, Operand, Tensor, fail, sameShape, scalar, shapeText } from '../tensor.js';
import { expand } from './broadcast.js';

const transposeOp = defineOp<{ perm: readonly number[] }>('transpose', {
  infer: ([x], { perm }) => {
    if ([...perm].sort((a, b) => a - b).some((axis, i) => axis !== i) || perm.length !== x.shape.length)
      fail('transpose', `${shapeText(x.shape)} by ${shapeText(perm)}: expected each axis once`);
    return { shape: perm.map((axis) => x.shape[axis]) };
  },
  emit: (e, [x], { attrs: { perm } }) => e.node('Transpose', [x], { perm }),
  vjp: ({ attrs: { perm }, dy }) => [
    transpose(
      dy,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
});

/** Permutes axes: axis i of the result is axis perm[i] of x. */
export function transpose(x: Tensor, perm: readonly number[]): Tensor {
  return transposeOp([x], { perm: [...perm] });
}

/** Swaps the last two axes. */
export function swapLast(x: Tensor): Tensor {
  const rank = x.shape.length;
  if (rank < 2) fail('transpose', `${shapeText(x.shape)}: expected at least two axes`);
  return transpose(x, [...x.shape.keys()].slice(0, -2).concat(rank - 1, rank - 2));
}

const concatOp = defineOp<{ axis: number }>('concat', {
  infer: (xs, { axis }) => {
    const [first] = xs;
    for (const x of xs)
      if (x.dtype !== first.dtype || !sameShape(x.shape.with(axis, 1), first.shape.with(axis, 1)))
        fail('concat', `${xs.map((t) => t.dtype + shapeText(t.shape)).join(' x ')} differ off axis ${axis}`);
    return {
      shape: first.shape.with(
        axis,
        xs.reduce((total, x) => total + x.shape[axis], 0),
      ),
    };
  },
  emit: (e, xs, { attrs: { axis } }) => e.node('Concat', xs, { axis }),
  vjp: ({ inputs, attrs: { axis }, dy, needs }) => {
    let end = 0;
    return inputs.map((x, i) => {
      const start = end;
      end += x.shape[axis];
      return needs[i] ? slice(dy, axis, start, end) : null;
    });
  },
});

/** Concatenates tensors along an axis; all other sizes must be equal. */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  if (xs.length === 0) fail('concat', 'expected at least one tensor, got none');
  const rank = xs[0].shape.length;
  const at = axisOf('concat', axis, xs[0].shape);
  if (xs.some((x) => x.shape.length !== rank))
    fail('concat', `${xs.map((x) => shapeText(x.shape)).join(' x ')}: the number of axes differs`);
  return xs.length === 1 ? xs[0] : concatOp(xs, { axis: at });
}

const sliceOp = defineOp<{ axis: number; start: number; end: number }>('slice', {
  infer: ([x], { axis, start, end }) => ({ shape: x.shape.with(axis, end - start) }),
  emit: (e, [x], { attrs: { axis, start, end } }) =>
    e.node('Slice', [x, e.ints([start]), e.ints([end]), e.ints([axis])]),
  vjp: ({ inputs: [x], attrs: { axis, start, end }, dy }) => [pad(dy, axis, start, x.shape[axis] - end)],
});

/** Elements start to end - 1 along an axis; negative bounds count from the end. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = axisOf('slice', axis, x.shape);
  const size = x.shape[at];
  const [from, to] = [start, end].map((bound) => (bound < 0 ? bound + size : bound));
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= size))
    fail('slice', `${shapeText(x.shape)}: ${start} to ${end} is not a valid range of axis ${axis}`);
  return from === 0 && to === size ? x : sliceOp([x], { axis: at, start: from, end: to });
}

const padOp = defineOp<{ axis: number; before: number; after: number }>('pad', {
  infer: ([x], { axis, before, after }) => ({ shape: x.shape.with(axis, before + x.shape[axis] + after) }),
  emit: (e, [x], { shape, attrs: { axis, before, after } }) =>
    e.node('Pad', [
      x,
      e.ints([...shape.map((_, i) => (i === axis ? before : 0)), ...shape.map((_, i) => (i === axis ? after : 0))]),
    ]),
  vjp: ({ inputs: [x], attrs: { axis, before }, dy }) => [slice(dy, axis, before, before + x.shape[axis])],
});

/** Pads with zeros before and after along an axis. */
export function pad(x: Tensor, axis: number, before: number, after: number): Tensor {
  const at = axisOf('pad', axis, x.shape);
  if (!(Number.isInteger(before) && Number.isInteger(after) && before >= 0 && after >= 0))
    fail('pad', `${shapeText(x.shape)}: expected whole numbers of at least 0, got ${before} and ${after}`);
  return before + after === 0 ? x : padOp([x], { axis: at, before, after });
}

const stopOp = defineOp('stopGradient', {
  infer: ([x]) => ({ shape: x.shape }),
  emit: (_, [x]) => x,
  vjp: null,
});

/** The same value, with a gradient of 0. */
export function stopGradient(x: Tensor): Tensor {
  return stopOp([x], {});
}

/** A scalar expanded to a shape, without storing the values. */
export function filled(value: Operand, shape: readonly number[], dtype: DType): Tensor {
  return expand(typeof value === 'number' ? scalar(value, dtype) : value, shape);
}
