/** A training of a large model has sessions for many lengths of its texts; together they need the memory of one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chain,
  mean,
  mul,
  openRuntime,
  Parameters,
  scaleByLearningRate,
  sigmoid,
  Trainer,
  type Tensor,
} from '../../src/graph/index.js';

/** 134 MB of parameters, and several times as much of activations. */
const SIZE = 2 ** 25;

test('sessions of a large model give the memory of their activations back after each run', async (t) => {
  const runtime = await openRuntime({ threads: 2 });
  if (runtime.name !== 'ffi') return t.skip('only the C API has this option');
  const params = Parameters.zeros({ p: [SIZE] });
  const trainer = new Trainer<number>({
    runtime,
    params,
    optimizer: chain(scaleByLearningRate()),
    loss: (p, depth) => {
      let y: Tensor = p.p;
      for (let i = 0; i < depth; i++) y = sigmoid(mul(y, i + 2));
      return { loss: mean(y) };
    },
  });
  const kept: number[] = [];
  for (const depth of [3, 4, 5, 6]) {
    const { loss } = await trainer.accumulate(depth, {});
    assert.ok(loss[0] > 0.5 && loss[0] < 1);
    kept.push(process.memoryUsage().rss / 2 ** 20);
  }
  trainer.close();
  await runtime.close();
  t.diagnostic(`MiB after each: ${kept.map(Math.round).join(', ')}`);
  // the runtime keeps the first array of each session, here 256 MiB, and would keep about 1000 MiB
  assert.ok(kept[3] - kept[0] < 1500, `${kept.map(Math.round).join(', ')} MiB`);
});
