import { cast, expand, kept, reduction, sum } from './broadcast.js';
import { div, equal, mul } from './elementwise.js';

/** Mean over the given axes (default: all). */
export const mean = reduction('mean', 'ReduceMean', ({ inputs: [x], attrs, dy }) => {
  const count = attrs.axes.reduce((product, axis) => product * x.shape[axis], 1);
  return expand(mul(kept(dy, x, attrs), 1 / count), x.shape);
});

/** Maximum over the given axes (default: all). Equal maxima share the gradient evenly, as in torch.amax. */
export const reduceMax = reduction('reduceMax', 'ReduceMax', ({ inputs: [x], attrs, y, dy }) => {
  const chosen = cast(equal(x, kept(y, x, attrs)), x.dtype);
  return mul(chosen, div(kept(dy, x, attrs), sum(chosen, attrs.axes, true)));
});
