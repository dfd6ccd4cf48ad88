import { parseArgs } from 'node:util';
import {
  Tensor,
  Trainer,
  TypedArray,
  add,
  chain,
  clipByGlobalNorm,
  input,
  linear,
  mean,
  openRuntime,
  relu,
  reshape,
  scaleByAdam,
  scaleByLearningRate,
  square,
  sub,
} from '../src/graph/index.js';
import type { ParameterSpec } from '../src/graph/index.js';
import {
  lastLine,
  ownMeasurement,
  pythonWithTorch,
  speedLine,
  tiledParameters,
  timed,
  timingLine,
  TORCH_TIMED,
  type Timing,
} from './side-by-side.js';

/**
 * Times a training step of Digi-Q's critic at its real sizes (docs/algorithms.md §2.4: 417.7 million parameters, batch 32):
 * graph A (forward, backward), graph B (clipping, Adam) and peak memory. If there is a Python with torch, it is compared
 * with PyTorch's step with Adam and fused Adam. Each runs in its own process, in turns.
 *
 *   npm run bench -- [--scale N] [--steps N] [--rounds N] [--runtime ffi|node] [--threads N] [--python PATH]
 */
const { values: options } = parseArgs({
  options: {
    // divides all widths: 1 is the real size, 8 a quick run
    scale: { type: 'string', default: '1' },
    steps: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '2' },
    runtime: { type: 'string', default: 'ffi' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string' },
    // set in the processes that measure
    measure: { type: 'boolean', default: false },
  },
});

const BATCH = 32;

/** The timing of whole steps, and of their two graphs. */
interface StepTiming extends Timing {
  /** milliseconds of graphs A and B in each step */
  readonly a: readonly number[];
  readonly b: readonly number[];
}

function networks(scale: number): Record<string, number[]> {
  const [text, image, rep] = [768 / scale, 1408 / scale, 4096 / scale];
  const [q, v] = [5 * text + 2 * image + rep, 3 * text + 2 * image];
  const [qs, vs] = [
    [q, q, 5 * text, 5 * text, 5 * text, 1],
    [v, 3 * text, 3 * text, 3 * text, 1],
  ];
  return { q1: qs, q2: qs, v1: vs, v2: vs };
}

async function measure(scale: number, steps: number): Promise<StepTiming> {
  const nets = networks(scale);
  const specs: Record<string, ParameterSpec> = {};
  for (const [net, sizes] of Object.entries(nets))
    for (let i = 0; i + 1 < sizes.length; i++) {
      const init = { uniform: 1 / Math.sqrt(sizes[i]) };
      specs[`${net}.${2 * i}.weight`] = { shape: [sizes[i + 1], sizes[i]], init };
      specs[`${net}.${2 * i}.bias`] = { shape: [sizes[i + 1]], init };
    }
  const params = tiledParameters(specs);
  const runtime = await openRuntime({ kind: options.runtime as 'ffi' | 'node', threads: Number(options.threads) });
  const trainer = new Trainer<null>({
    runtime,
    params,
    optimizer: chain(clipByGlobalNorm(0.01), scaleByAdam(), scaleByLearningRate()),
    loss: (p) => {
      const losses = Object.entries(nets).map(([net, sizes]) => {
        let x: Tensor = input(`${net[0]} input`, [BATCH, sizes[0]]);
        for (let i = 0; i + 1 < sizes.length; i++) {
          if (i > 0) x = relu(x);
          x = linear(x, p[`${net}.${2 * i}.weight`], p[`${net}.${2 * i}.bias`]);
        }
        return mean(square(sub(reshape(x, [BATCH]), input(`${net} target`, [BATCH]))));
      });
      return { loss: losses.reduce(add) };
    },
  });
  const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));
  const feeds: Record<string, TypedArray> = {};
  for (const [net, sizes] of Object.entries(nets)) {
    feeds[`${net[0]} input`] = wave(BATCH * sizes[0]);
    feeds[`${net} target`] = wave(BATCH);
  }
  const [a, b]: [number[], number[]] = [[], []];
  const timing = await timed(steps, async (step) => {
    const start = performance.now();
    await trainer.accumulate(null, feeds);
    const middle = performance.now();
    await trainer.apply(1e-5, 1);
    if (step < 0) return;
    a.push(middle - start);
    b.push(performance.now() - middle);
  });
  trainer.close();
  await runtime.close();
  return { ...timing, a, b };
}

const TORCH = `${TORCH_TIMED}
from torch import nn
nets, batch = settings['nets'], settings['batch']
def mlp(sizes):
    layers = []
    for i, (k, n) in enumerate(zip(sizes, sizes[1:])):
        if i > 0: layers.append(nn.ReLU())
        layer = nn.utils.skip_init(nn.Linear, k, n)
        bound = k ** -0.5
        with torch.no_grad():
            for p in layer.parameters():
                tile = torch.rand(4099) * 2 * bound - bound
                p.view(-1).copy_(tile.repeat(p.numel() // 4099 + 1)[:p.numel()])
        layers.append(layer)
    return nn.Sequential(*layers)
models = {name: mlp(sizes) for name, sizes in nets.items()}
params = [p for m in models.values() for p in m.parameters()]
optimizer = torch.optim.Adam(params, lr=1e-5, fused=settings['fused'])
inputs = {name[0]: torch.rand(batch, sizes[0]) for name, sizes in nets.items()}
targets = {name: torch.rand(batch) for name in nets}
def run(step):
    optimizer.zero_grad()
    loss = sum(((m(inputs[name[0]])[:, 0] - targets[name]) ** 2).mean() for name, m in models.items())
    loss.backward()
    nn.utils.clip_grad_norm_(params, 0.01)
    optimizer.step()
timed(settings['steps'], run)
`;

function compare(): void {
  const [scale, steps, threads] = [options.scale, options.steps, options.threads].map(Number);
  const nets = networks(scale);
  const python = pythonWithTorch(options.python);
  const ours: StepTiming[] = [];
  const theirs: Record<string, Timing[]> = { 'PyTorch, Adam': [], 'PyTorch, fused Adam': [] };
  for (let round = 0; round < Number(options.rounds); round++) {
    ours.push(ownMeasurement('--measure') as StepTiming);
    for (const [name, timings] of python ? Object.entries(theirs) : []) {
      const settings = { nets, batch: BATCH, steps, threads, fused: name.includes('fused') };
      timings.push(lastLine(python!, ['-c', TORCH, JSON.stringify(settings)]));
    }
  }
  const count = Object.values(nets).reduce(
    (n, s) => n + s.slice(1).reduce((m, size, i) => m + size * (s[i] + 1), 0),
    0,
  );
  console.log(
    `critic step: ${(count / 1e6).toFixed(1)}M parameters, batch ${BATCH}, ${options.threads} threads, runtime ${options.runtime}`,
  );
  const half = (which: 'a' | 'b') => ours.map((timing) => ({ ms: timing[which], gib: timing.gib }));
  console.log(timingLine('A: forward, backward', half('a')));
  console.log(timingLine('B: clip, Adam', half('b')));
  console.log(timingLine('critiq, whole step', ours));
  if (!python) console.log('PyTorch skipped: no Python with torch and transformers found; set one with --python PATH');
  for (const [name, timings] of Object.entries(theirs)) {
    if (timings.length === 0) continue;
    console.log(timingLine(name, timings));
    console.log(speedLine(ours, timings, name));
  }
}

if (options.measure) console.log(JSON.stringify(await measure(Number(options.scale), Number(options.steps))));
else compare();
