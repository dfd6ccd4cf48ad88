import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as graph from '../../src/graph/index.js';
import type { Runtime, Tensor } from '../../src/graph/index.js';

/** Gradients at ties, kinks and bounds, where the derivative is a convention. All follow torch. */
let runtime: Runtime;
before(async () => {
  runtime = await graph.openRuntime({ kind: 'ffi', threads: 1 });
});
after(() => runtime.close());

async function gradients(build: (...xs: Tensor[]) => Tensor, ...values: number[][]): Promise<number[][]> {
  const xs = values.map((data, i) => graph.input(`x${i}`, [data.length]));
  const feeds = Object.fromEntries(values.map((data, i) => [`x${i}`, Float32Array.from(data)]));
  const outputs = Object.fromEntries(graph.grad(graph.sum(build(...xs)), xs).map((g, i) => [`d${i}`, g]));
  const model = graph.toOnnx(outputs);
  const session = await runtime.session(model);
  const got = await session.run(Object.fromEntries(model.inputs.map(({ name }) => [name, feeds[name]])));
  session.close();
  return values.map((_, i) => Array.from(got[`d${i}`] as Float32Array));
}

const CONVENTIONS: [string, (...xs: Tensor[]) => Tensor, number[][], number[][]][] = [
  ['the gradient of relu at 0 is 0', graph.relu, [[-1, 0, 1]], [[0, 0, 1]]],
  ['the gradient of abs at 0 is 0', graph.abs, [[-2, 0, 2]], [[-1, 0, 1]]],
  ['the gradient of clip at its bounds is 1', (x) => graph.clip(x, -1, 1), [[-2, -1, 0, 1, 2]], [[0, 1, 1, 1, 0]]],
  [
    'equal operands of maximum share the gradient',
    graph.maximum,
    [
      [1, 2, 3],
      [2, 2, 2],
    ],
    [
      [0, 0.5, 1],
      [1, 0.5, 0],
    ],
  ],
  [
    'equal operands of minimum share the gradient',
    graph.minimum,
    [
      [1, 2, 3],
      [2, 2, 2],
    ],
    [
      [1, 0.5, 0],
      [0, 0.5, 1],
    ],
  ],
  ['equal maxima share the gradient', (x) => graph.reduceMax(x), [[4, 1, 4, 4, 4]], [[0.25, 0, 0.25, 0.25, 0.25]]],
  ['stopGradient passes no gradient', (x) => graph.mul(graph.stopGradient(x), x), [[3, 5]], [[3, 5]]],
  ['a tensor used twice gets both gradients', (x) => graph.mul(graph.add(x, x), x), [[3, -1]], [[12, -4]]],
  ['an input that the loss does not use has a gradient of zeros', (x) => graph.square(x), [[3], [1, 2]], [[6], [0, 0]]],
  [
    'where passes the gradient to the chosen operand only',
    (x, y) => graph.where(graph.greater(x, 0), x, y),
    [
      [1, -1],
      [5, 5],
    ],
    [
      [1, 0],
      [0, 1],
    ],
  ],
];

for (const [what, build, values, expected] of CONVENTIONS)
  test(what, async () => {
    assert.deepEqual(await gradients(build, ...values), expected);
  });

test('gradients of repeated rows of a large table add up to the same sum in every run', async () => {
  const [rows, width, count] = [1000, 64, 4096];
  const table = graph.input('table', [rows, width]);
  const ids = graph.input('ids', [count], 'int64');
  const dy = graph.input('dy', [count, width]);
  const [g] = graph.grad(graph.sum(graph.mul(graph.gather(table, ids), dy)), [table]);
  const threaded = await graph.openRuntime({ kind: 'ffi', threads: 2 });
  const session = await threaded.session(graph.toOnnx({ g }));
  const feeds = {
    ids: BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 3)),
    dy: new Float32Array(count * width).fill(1),
  };
  for (let run = 0; run < 10; run++) {
    const { g: got } = await session.run(feeds);
    for (let row = 0; row < 3; row++) assert.equal(got[row * width], row < 1 ? 1366 : 1365);
    assert.equal(
      (got as Float32Array).reduce((a, b) => a + b, 0),
      count * width,
    );
  }
  await threaded.close();
});

test('a node that a gradient shares with the forward pass is written once', () => {
  const x = graph.input('x', [3]);
  const count = (outputs: Record<string, Tensor>) =>
    Buffer.from(graph.toOnnx(outputs).bytes).toString('latin1').split('Sigmoid').length - 1;
  const loss = graph.sum(graph.sigmoid(x));
  assert.equal(count({ loss, again: graph.sum(graph.square(graph.sigmoid(x))), d: graph.grad(loss, [x])[0] }), 1);
});

test('the same graph gives the same bytes, and a deep graph does not overflow the stack', () => {
  const build = () => {
    const x = graph.input('x', [2]);
    let y: Tensor = x;
    for (let i = 0; i < 20_000; i++) y = graph.mul(y, graph.add(y, i));
    return graph.toOnnx({ y, d: graph.grad(graph.sum(y), [x])[0] }).bytes;
  };
  assert.ok(Buffer.from(build()).equals(Buffer.from(build())));
});
