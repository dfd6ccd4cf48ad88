/**
 * Checks that the GPU computes correctly, and how much faster it is. Trains, saves, resumes, averages and infers on the CPU
 * and on the GPU, compares the numbers, then times a step. Exit code 1 if the numbers differ by more than float32 explains;
 * skipped without a GPU.
 *
 *   npm run bench -- gpu [-- --device N] [--steps N] [--scale N] [--tf32] [--stand-in]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sft } from '../src/algorithms/digiq.js';
import {
  adamW,
  chain,
  clipByGlobalNorm,
  Forward,
  input,
  linear,
  mean,
  openRuntime,
  Parameters,
  polyak,
  relu,
  reshape,
  scaleByLearningRate,
  square,
  sub,
  Trainer,
  type Runtime,
  type Tensor,
  type TypedArray,
} from '../src/graph/index.js';
import { SECOND_HOST } from '../src/graph/ort/device.js';
import { openFfi } from '../src/graph/ort/ffi.js';
import { autoUISpecs } from '../src/models/autoui/config.js';
import { decodeTeacherForced, encode, logProb } from '../src/models/autoui/autoui.js';
import { convTower, convTowerSpecs, POCKET_TOWER } from '../src/models/conv-tower.js';
import { Random } from '../src/random.js';
import { POCKET_POLICY } from './real-sizes.js';

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: '0' },
    steps: { type: 'string', default: '20' },
    // divides the widths of the timed critic: 1 is the real size, which takes 7 GB of GPU memory
    scale: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
    tf32: { type: 'boolean', default: false },
    // uses the CPU with separate memory in place of the GPU, to test this script
    'stand-in': { type: 'boolean', default: false },
  },
});
const threads = Number(options.threads);

/** A model to train: the pocket policy for its graph operations, or the critic for its large matrix products. */
interface Subject {
  readonly params: () => Parameters;
  readonly loss: (p: Record<string, Tensor>) => Tensor;
  readonly feeds: (random: Random) => Record<string, TypedArray>;
}

const numbers = (random: Random, n: number) => Float32Array.from({ length: n }, () => random.next() * 2 - 1);

function policy(rows: number): Subject {
  const [prompt, action] = [40, 17];
  const config = POCKET_POLICY;
  const pixels = [rows, 3, ...POCKET_TOWER.image_size];
  return {
    params: () => Parameters.init({ ...autoUISpecs(config), ...convTowerSpecs(POCKET_TOWER) }, 1),
    loss: (p) => {
      const labels = input('labels', [rows, action], 'int64');
      const mask = input('mask', [rows, prompt]);
      const image = convTower(p, POCKET_TOWER, input('pixels', pixels));
      const memory = encode(p, config, input('ids', [rows, prompt], 'int64'), mask, image);
      const logs = logProb(
        decodeTeacherForced(p, config, memory, mask, labels),
        labels,
        input('label_mask', [rows, action]),
      );
      return sft(mean(logs, [1]));
    },
    feeds: (random) => {
      const ids = (n: number) => BigInt64Array.from({ length: n }, () => BigInt(random.int(config.vocabulary)));
      return {
        labels: ids(rows * action),
        label_mask: new Float32Array(rows * action).fill(1),
        mask: new Float32Array(rows * prompt).fill(1),
        ids: ids(rows * prompt),
        pixels: Float32Array.from({ length: pixels.reduce((a, b) => a * b) }, () => random.int(256)),
      };
    },
  };
}

/** One of the twin Q networks of Digi-Q's critic (docs/algorithms.md §2.4). */
function critic(rows: number, scale: number): Subject {
  const text = 768 / scale;
  const wide = (5 * 768 + 2 * 1408 + 4096) / scale;
  const sizes = [wide, wide, 5 * text, 5 * text, 5 * text, 1];
  const layers = sizes.slice(1).map((size, i) => ({ shape: [size, sizes[i]], bound: sizes[i] ** -0.5 }));
  return {
    params: () =>
      Parameters.init(
        Object.fromEntries(
          layers.flatMap(({ shape, bound }, i) => [
            [`${i}.weight`, { shape, init: { uniform: bound } }],
            [`${i}.bias`, { shape: [shape[0]], init: 'zeros' as const }],
          ]),
        ),
        1,
      ),
    loss: (p) => {
      let x: Tensor = input('x', [rows, wide]);
      layers.forEach((_, i) => (x = linear(i > 0 ? relu(x) : x, p[`${i}.weight`], p[`${i}.bias`])));
      return mean(square(sub(reshape(x, [rows]), input('target', [rows]))));
    },
    feeds: (random) => ({ x: numbers(random, rows * wide), target: numbers(random, rows) }),
  };
}

function trainerOf(runtime: Runtime, params: Parameters, { loss }: Subject, lanes = 1): Trainer<null> {
  return new Trainer<null>({
    runtime,
    params,
    lanes,
    // A large epsilon, because Adam turns gradients that are only rounding errors into full steps of random sign.
    optimizer: chain(clipByGlobalNorm(1), ...adamW({ eps: 1e-3, weightDecay: 0.01 }), scaleByLearningRate()),
    loss: (p) => ({ loss: loss(p) }),
  });
}

/** Losses, gradient norms and parameters of a training run with Polyak averaging, and a save and resume in the middle. */
async function course(runtime: Runtime, subject: Subject, folder: string): Promise<Record<string, Float32Array>> {
  const [stateFile, paramsFile] = ['state', 'params'].map((name) => join(folder, `${runtime.device}-${name}`));
  let params = subject.params();
  const target = params.clone();
  const forward = new Forward<null>(runtime, target, (p) => ({ loss: subject.loss(p) }));
  let trainer = trainerOf(runtime, params, subject, 2);
  const [losses, norms, evaluated]: number[][] = [[], [], []];
  for (let step = 0; step < 6; step++) {
    const micro = [0, 1, 2].map((k) => trainer.accumulate(null, subject.feeds(new Random(step, 'bench', k))));
    for (const { loss } of await Promise.all(micro)) losses.push(Number(loss[0]));
    norms.push((await trainer.apply(1e-3, 3)).gradNorm);
    polyak(target, params, 0.2);
    evaluated.push(Number((await forward.run(null, subject.feeds(new Random(step, 'evaluation')))).loss[0]));
    if (step !== 2) continue;
    await trainer.save(stateFile);
    await params.save(paramsFile);
    trainer.close();
    params = Parameters.load(paramsFile);
    trainer = trainerOf(runtime, params, subject, 2);
    await trainer.load(stateFile);
  }
  trainer.close();
  forward.close();
  const of = (set: Parameters, what: string) =>
    Object.fromEntries(set.names().map((name) => [`${what} ${name}`, set.get(name).data.slice()]));
  const seen = { losses, 'gradient norms': norms, 'losses of the averaged network': evaluated };
  return {
    ...Object.fromEntries(Object.entries(seen).map(([name, list]) => [name, Float32Array.from(list)])),
    ...of(params, 'parameters'),
    ...of(target, 'averaged parameters'),
  };
}

/** Prints the largest relative difference for each kind of number. @returns whether all are within the tolerance */
function compare(cpu: Record<string, Float32Array>, gpu: Record<string, Float32Array>, tolerance: number): boolean {
  const worst = new Map<string, number>();
  for (const [name, want] of Object.entries(cpu)) {
    const kind = name.replace(/parameters .*/, 'parameters');
    const top = want.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    const off = want.reduce((most, value, i) => {
      const difference = Math.abs(value - gpu[name][i]);
      return Number.isNaN(difference) ? Infinity : Math.max(most, difference);
    }, 0);
    worst.set(kind, Math.max(worst.get(kind) ?? 0, off / top));
  }
  for (const [kind, off] of worst)
    console.log(`  ${kind.padEnd(34)} differ by ${off.toExponential(1)}${off <= tolerance ? '' : '   TOO LARGE'}`);
  return [...worst.values()].every((off) => off <= tolerance);
}

/** Sorted milliseconds per step, after a first one that loads the sessions. */
async function time(runtime: Runtime, subject: Subject, steps: number): Promise<number[]> {
  const trainer = trainerOf(runtime, subject.params(), subject);
  const feeds = subject.feeds(new Random(0, 'bench'));
  const took: number[] = [];
  for (let i = 0; i <= steps; i++) {
    const start = performance.now();
    await trainer.accumulate(null, feeds);
    await trainer.apply(1e-5, 1);
    if (i > 0) took.push(performance.now() - start);
  }
  trainer.close();
  return took.sort((a, b) => a - b);
}

async function openDevice(): Promise<Runtime | undefined> {
  if (options['stand-in']) return openFfi(threads, () => SECOND_HOST);
  try {
    return await openRuntime({ provider: 'cuda', deviceId: Number(options.device), tf32: options.tf32, threads });
  } catch (error) {
    console.log(`skipped: no CUDA device: ${(error as Error).message}`);
    return undefined;
  }
}

const device = await openDevice();
if (device) {
  const host = await openRuntime({ kind: 'ffi', threads });
  const folder = mkdtempSync(join(tmpdir(), 'critiq-gpu-'));
  const tolerance = options.tf32 ? 2e-2 : 1e-3;
  const subjects = { 'pocket policy': policy(8), 'Q network, widths / 16': critic(32, 16) };
  let equal = true;
  for (const [name, subject] of Object.entries(subjects)) {
    console.log(`${name}: cpu and ${device.device}, 6 steps of 3 micro-batches, largest relative differences`);
    const [cpu, gpu] = [await course(host, subject, folder), await course(device, subject, folder)];
    equal = compare(cpu, gpu, tolerance) && equal;
  }
  rmSync(folder, { recursive: true });
  const scale = Number(options.scale);
  const timed = { 'pocket policy, 32 rows': policy(32), [`Q network, widths / ${scale}`]: critic(32, scale) };
  for (const [name, subject] of Object.entries(timed)) {
    const medians: number[] = [];
    for (const runtime of [host, device]) {
      const took = await time(runtime, subject, Number(options.steps));
      medians.push(took[took.length >> 1]);
      const spread = `(${took[0].toFixed(1)} to ${took.at(-1)!.toFixed(1)})`;
      console.log(
        `${name}: ${runtime.device.padEnd(12)} ${medians.at(-1)!.toFixed(1).padStart(8)} ms per step ${spread}`,
      );
    }
    console.log(`  ${device.device} is ${(medians[0] / medians[1]).toFixed(2)} times as fast`);
  }
  await device.close();
  await host.close();
  console.log(equal ? 'the numbers agree' : `the numbers differ by more than ${tolerance}`);
  process.exitCode = equal ? 0 : 1;
}
