import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as graph from '../../src/graph/index.js';
import { RunError } from '../../src/errors.js';

const x = (...shape: number[]) => graph.input(`x${shape}`, shape);
const ids = (...shape: number[]) => graph.input(`ids${shape}`, shape, 'int64');

/** Wrong calls with their one-line messages: the operation, then the shapes. */
const WRONG: [() => unknown, string][] = [
  [() => graph.matmul(x(2, 3), x(4, 5)), 'matmul: [2,3] x [4,5]: inner sizes 3 and 4 differ'],
  [() => graph.matmul(x(3), x(3, 4)), 'matmul: [3] x [3,4]: expected at least two axes each'],
  [() => graph.matmul(x(2, 3, 4), x(3, 4, 5)), "matmul: [2] x [3]: sizes 2 and 3 can't be broadcast"],
  [() => graph.gemm(x(2, 3), x(2, 4)), 'gemm: [2,3] x [2,4]: inner sizes 3 and 2 differ'],
  [() => graph.gemm(x(2, 3), x(3, 4), { c: x(5) }), "gemm: [5] x [2,4]: sizes 5 and 4 can't be broadcast"],
  [() => graph.linear(x(2, 3), x(4, 5)), 'linear: [2,3] by weight [4,5]: expected x [..., k] and w [n, k]'],
  [() => graph.linear(x(2, 3), x(4, 3), x(3)), 'linear: weight [4,3] with bias [3]: expected [4]'],
  [() => graph.add(x(2, 3), x(2)), "add: [2,3] x [2]: sizes 3 and 2 can't be broadcast"],
  [() => graph.mul(x(2), ids(2)), 'mul: element types differ: float32[2] x int64[2]; cast one'],
  [() => graph.exp(ids(2)), 'exp: expected a floating-point tensor, got int64[2]'],
  [() => graph.where(x(2), 1, x(2)), 'where: expected a bool condition, got float32[2]'],
  [() => graph.reshape(x(2, 3), [4, -1]), "reshape: [2,3] to [4,-1]: 6 values don't fit"],
  [() => graph.reshape(x(2, 3), [-1, -1]), "reshape: [2,3] to [-1,-1]: 6 values don't fit"],
  [() => graph.expand(x(2, 3), [2, 6]), 'expand: [2,3] to [2,6]: only sizes of 1 can grow'],
  [() => graph.transpose(x(2, 3), [0, 0]), 'transpose: [2,3] by [0,0]: expected each axis once'],
  [() => graph.concat([x(2, 3), x(3, 3)], 1), 'concat: float32[2,3] x float32[3,3] differ off axis 1'],
  [() => graph.concat([x(2), x(2, 3)], 0), 'concat: [2] x [2,3]: the number of axes differs'],
  [() => graph.slice(x(2, 3), 1, 2, 4), 'slice: [2,3]: 2 to 4 is not a valid range of axis 1'],
  [() => graph.sum(x(2, 3), [0, -2]), 'sum: axes [0,-2] contain duplicates'],
  [() => graph.mean(x(2, 3), 2), 'mean: axis 2 is out of range for [2,3]'],
  [() => graph.softmax(x()), 'softmax: expected at least one axis, got a scalar'],
  [() => graph.gather(x(5, 2), x(3)), 'gather: expected int64 indices, got float32[3]'],
  [() => graph.takeAlong(x(3, 4), ids(2, 5), 0), 'takeAlong: [3,4] by [2,5]: expected sizes equal off axis 0'],
  [() => graph.rmsNorm(x(2, 3), x(2), 1e-6), "rmsNorm: [2,3] by [2]: expected a scale of the last axis' size"],
  [() => graph.conv2d(x(1, 3, 4, 4), x(2, 2, 3, 3)), 'conv2d: [1,3,4,4] by weight [2,2,3,3]: channels 3 and 2 differ'],
  [
    () => graph.conv2d(x(1, 2, 2, 2), x(2, 2, 3, 3)),
    'conv2d: [1,2,2,2] by weight [2,2,3,3]: the window is larger than the padded image',
  ],
  [() => graph.clip(x(2), 1, 0), 'clip: [2]: expected lo <= hi, got 1 and 0'],
  [() => graph.constant([1, 2], [3]), 'constant: expected 3 values for shape [3], got 2'],
  [() => graph.input('a', [2, 0]), 'input a: expected positive whole numbers as sizes, got [2,0]'],
  [() => graph.scan([x(2, 3), x(3, 3)], [], ([a]) => [a]), 'scan: [2,3] x [3,3]: first sizes differ'],
  [() => graph.grad(x(2), [x(2)]), 'grad: expected a floating-point scalar loss, got float32[2]'],
  [
    () => graph.toOnnx({ y: graph.add(graph.input('a', [2]), graph.input('a', [1])) }),
    'input a: declared both as float32[2] and as float32[1]',
  ],
  [() => graph.toOnnx({ a: graph.input('a', [2]), b: graph.input('b', [2]) }), 'output a: an input has the same name'],
];

for (const [call, message] of WRONG)
  test(message, () => {
    assert.throws(call, (error: Error) => {
      assert.ok(error instanceof RunError, `expected a RunError, got ${error.stack}`);
      assert.equal(error.message, message);
      return true;
    });
  });

test('an operation can be defined only once', () => {
  assert.throws(() => graph.defineOp('add', graph.ruleOf('add')), /^RunError: add: this operation is already defined$/);
});
