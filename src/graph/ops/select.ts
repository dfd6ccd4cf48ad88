import { axisOf, defineOp } from '../rule.js';
import { Tensor, fail, shapeText, sizeOf, constant } from '../tensor.js';
import { equal } from './elementwise.js';
import { gemm } from './matrix.js';
import { filled } from './shape.js';
import { cast, expand, reshape } from './broadcast.js';

/** Up to this many table rows, the gradient is a product with one-hot rows; for larger tables a scatter is faster. */
const ONE_HOT_ROWS = 256;

function checkIndices(op: string, indices: Tensor): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32')
    fail(op, `expected int64 indices, got ${indices.dtype}${shapeText(indices.shape)}`);
}

const gatherOp = defineOp('gather', {
  infer: ([table, ids]) => {
    checkIndices('gather', ids);
    if (table.shape.length === 0) fail('gather', 'expected a table of at least one axis, got a scalar');
    return { shape: [...ids.shape, ...table.shape.slice(1)] };
  },
  emit: (e, names) => e.node('Gather', names, { axis: 0 }),
  vjp: ({ inputs: [table, ids], dy }) => {
    const [rows, ...rest] = table.shape;
    const [count, width] = [sizeOf(ids.shape), sizeOf(rest)];
    const flat = reshape(dy, [count, width]);
    if (rows > ONE_HOT_ROWS) {
      const at = expand(reshape(ids, [count, 1]), [count, width]);
      return [reshape(scatterAdd(at, flat, 0, [rows, width]), table.shape), null];
    }
    const numbers = constant(
      BigInt64Array.from({ length: rows }, (_, i) => BigInt(i)),
      [1, rows],
    );
    const oneHot = cast(equal(cast(reshape(ids, [count, 1]), 'int64'), numbers), dy.dtype);
    return [reshape(gemm(oneHot, flat, { transA: true }), table.shape), null];
  },
});

/** Rows of a table [V, ...] by index: ids of any shape to [...ids, ...]. */
export function gather(table: Tensor, ids: Tensor): Tensor {
  return gatherOp([table, ids], {});
}

const takeAlongOp = defineOp<{ axis: number }>('takeAlong', {
  infer: ([x, idx], { axis }) => {
    checkIndices('takeAlong', idx);
    if (idx.shape.length !== x.shape.length || idx.shape.some((size, i) => i !== axis && size > x.shape[i]))
      fail('takeAlong', `${shapeText(x.shape)} by ${shapeText(idx.shape)}: expected sizes equal off axis ${axis}`);
    return { shape: idx.shape };
  },
  emit: (e, names, { attrs: { axis } }) => e.node('GatherElements', names, { axis }),
  vjp: ({ inputs: [x, idx], attrs: { axis }, dy }) => [scatterAdd(idx, dy, axis, x.shape), null],
});

/** Elements of x at the given indices along one axis, elementwise along the others: torch.gather. */
export function takeAlong(x: Tensor, idx: Tensor, axis: number): Tensor {
  return takeAlongOp([x, idx], { axis: axisOf('takeAlong', axis, x.shape) });
}

const scatterOp = defineOp<{ axis: number }>('scatterAdd', {
  infer: ([zeros]) => ({ shape: zeros.shape }),
  // ScatterElements adds serially, so repeated indices are correct; ScatterND's addition has a data race on the CPU.
  emit: (e, names, { attrs: { axis } }) => e.node('ScatterElements', names, { axis, reduction: 'add' }),
  vjp: ({ inputs: [, idx], attrs: { axis }, dy }) => [dy, null, takeAlong(dy, idx, axis)],
});

/** Zeros of `shape` with each update added at its index along the axis. Updates at the same index add up. */
function scatterAdd(idx: Tensor, updates: Tensor, axis: number, shape: readonly number[]): Tensor {
  return scatterOp([filled(0, shape, updates.dtype), idx, updates], { axis });
}
