import { Cotangent, axisOf, defineOp } from '../rule.js';
import { Attrs, Tensor, fail, sameShape, shapeText } from '../tensor.js';
import { cast, expand, reshape } from './shape.js';
import { div, equal, mul } from './elementwise.js';

interface Reduction extends Attrs {
  readonly axes: readonly number[];
  readonly keep: boolean;
}

function reducedShape(shape: readonly number[], { axes, keep }: Reduction): number[] {
  return keep ? shape.map((size, i) => (axes.includes(i) ? 1 : size)) : shape.filter((_, i) => !axes.includes(i));
}

/** y or dy with the reduced axes back as size 1 */
function kept(t: Tensor, x: Tensor, { axes }: Reduction): Tensor {
  return reshape(t, reducedShape(x.shape, { axes, keep: true }));
}

function reduction(op: string, onnx: string, vjp: (c: Cotangent<Reduction>) => Tensor) {
  const build = defineOp<Reduction>(op, {
    infer: ([x], attrs) => ({ shape: reducedShape(x.shape, attrs) }),
    emit: (e, [x], { attrs: { axes, keep } }) => e.node(onnx, [x, e.ints(axes)], { keepdims: keep ? 1 : 0 }),
    vjp: (c) => [vjp(c)],
  });
  return (x: Tensor, axes?: number | readonly number[], keep = false): Tensor => {
    const listed = axes === undefined ? [...x.shape.keys()] : typeof axes === 'number' ? [axes] : axes;
    const positive = listed.map((axis) => axisOf(op, axis, x.shape)).sort((a, b) => a - b);
    if (new Set(positive).size < positive.length) fail(op, `axes ${shapeText(listed)} repeat one`);
    if (positive.length === 0) return x;
    return build([x], { axes: positive, keep });
  };
}

/** Sum over the given axes (default: all). `keep` leaves them as size 1. */
export const sum = reduction('sum', 'ReduceSum', ({ inputs: [x], attrs, dy }) => expand(kept(dy, x, attrs), x.shape));

/** Mean over the given axes (default: all). */
export const mean = reduction('mean', 'ReduceMean', ({ inputs: [x], attrs, dy }) => {
  const count = attrs.axes.reduce((product, axis) => product * x.shape[axis], 1);
  return expand(mul(kept(dy, x, attrs), 1 / count), x.shape);
});

/** Largest element over the given axes. Equal largest ones share the gradient evenly, as in torch.amax. */
export const reduceMax = reduction('reduceMax', 'ReduceMax', ({ inputs: [x], attrs, y, dy }) => {
  const chosen = cast(equal(x, kept(y, x, attrs)), x.dtype);
  return mul(chosen, div(kept(dy, x, attrs), sum(chosen, attrs.axes, true)));
});

/** Undoes broadcasting: sums the axes along which `shape` was repeated to become that of x. */
export function sumTo(x: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = [...x.shape.keys()].filter((i) => i < lead || (shape[i - lead] === 1 && x.shape[i] !== 1));
  return reshape(sum(x, axes, true), shape);
}
