/**
 * A training step of the pocket policy (32 demonstrations) in three ways, in turns: one thread; two threads within each
 * operation; two concurrent micro-batches with one thread each (Trainer's lanes).
 *
 *   npm run bench -- lanes -- [--steps N] [--rounds N]
 */
import { parseArgs } from 'node:util';
import {
  chain,
  clipByGlobalNorm,
  input,
  mean,
  openRuntime,
  Parameters,
  scaleByAdam,
  scaleByLearningRate,
  Trainer,
  type TypedArray,
} from '../src/graph/index.js';
import { autoUISpecs } from '../src/models/autoui/config.js';
import { decodeTeacherForced, encode, logProb } from '../src/models/autoui/autoui.js';
import { convTower, convTowerSpecs, POCKET_TOWER } from '../src/models/conv-tower.js';
import { sft } from '../src/algorithms/digiq.js';
import { Random } from '../src/random.js';
import { POCKET_POLICY } from './real-sizes.js';

const { values: options } = parseArgs({
  options: { steps: { type: 'string', default: '15' }, rounds: { type: 'string', default: '3' } },
});
const [ROWS, PROMPT, ACTION] = [32, 40, 17];
const config = POCKET_POLICY;
const WAYS = {
  'one thread': { threads: 1, lanes: 1 },
  'two threads per operation': { threads: 2, lanes: 1 },
  'two lanes with one thread': { threads: 2, lanes: 2 },
};

async function stepper({ threads, lanes }: { threads: number; lanes: number }): Promise<() => Promise<number>> {
  const batch = ROWS / lanes;
  const trainer = new Trainer<number>({
    runtime: await openRuntime({ threads }),
    params: Parameters.init({ ...autoUISpecs(config), ...convTowerSpecs(POCKET_TOWER) }, 1),
    lanes,
    optimizer: chain(clipByGlobalNorm(1), scaleByAdam(), scaleByLearningRate()),
    loss: (p, rows) => {
      const labels = input('labels', [rows, ACTION], 'int64');
      const labelMask = input('label_mask', [rows, ACTION]);
      const mask = input('mask', [rows, PROMPT]);
      const image = convTower(p, POCKET_TOWER, input('pixels', [rows, 3, ...POCKET_TOWER.image_size]));
      const memory = encode(p, config, input('ids', [rows, PROMPT], 'int64'), mask, image);
      const logs = logProb(decodeTeacherForced(p, config, memory, mask, labels), labels, labelMask);
      return { loss: sft(mean(logs, [1])) };
    },
  });
  const random = new Random(0, 'bench', 'lanes');
  const ids = (count: number) => BigInt64Array.from({ length: count }, () => BigInt(random.int(config.vocabulary)));
  const feeds: Record<string, TypedArray> = {
    labels: ids(batch * ACTION),
    label_mask: new Float32Array(batch * ACTION).fill(1),
    mask: new Float32Array(batch * PROMPT).fill(1),
    ids: ids(batch * PROMPT),
    pixels: Float32Array.from({ length: batch * 3 * 195 * 90 }, () => random.int(256)),
  };
  return async () => {
    const start = performance.now();
    await Promise.all(Array.from({ length: lanes }, () => trainer.accumulate(batch, feeds)));
    await trainer.apply(1e-3, lanes);
    return performance.now() - start;
  };
}

const steppers = await Promise.all(
  Object.entries(WAYS).map(async ([name, way]) => ({ name, step: await stepper(way), medians: [] as number[] })),
);
for (const { step } of steppers) await step();
for (let round = 0; round < Number(options.rounds); round++) {
  for (const { step, medians } of steppers) {
    const took: number[] = [];
    for (let i = 0; i < Number(options.steps); i++) took.push(await step());
    medians.push(took.sort((a, b) => a - b)[took.length >> 1]);
  }
}
for (const { name, medians } of steppers) {
  const ratios = medians.map((ms, round) => (steppers[0].medians[round] / ms).toFixed(2));
  console.log(`${name.padEnd(28)} ${ratios.join(', ')} times as fast as one thread (medians of the rounds)`);
}
process.exit(0);
