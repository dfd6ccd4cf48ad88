import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  Parameters,
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
import { Random } from '../src/random.js';

/**
 * Times one training step of Digi-Q's critic at its real sizes (ALGORITHMS §2.4: 417.7 million parameters, batch 32):
 * graph A (forward, backward), graph B (clipping, Adam) and the peak of memory; beside it PyTorch's step with Adam and
 * fused Adam, where a python with torch is found. Each is measured in a process of its own, in turns.
 *
 *   npm run bench -- [--scale N] [--steps N] [--rounds N] [--runtime ffi|node] [--threads N] [--python PATH]
 */
const { values: options } = parseArgs({
  options: {
    // divides every width: 1 is the real size, 8 a quick look
    scale: { type: 'string', default: '1' },
    steps: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '2' },
    runtime: { type: 'string', default: 'ffi' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string' },
    // what one of the processes does
    measure: { type: 'boolean', default: false },
  },
});

const BATCH = 32;

/** Milliseconds of each step, or of its two halves, and the peak of resident memory. */
interface Timing {
  readonly a?: number[];
  readonly b?: number[];
  readonly step: number[];
  readonly gib: number;
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

/** Values of about the right size, repeated: drawing 417.7 million would take longer than the measurement. */
function fill(data: Float32Array, bound: number): void {
  const random = new Random(0, 'bench');
  const block = Float32Array.from({ length: Math.min(data.length, 4099) }, () => bound * (2 * random.next() - 1));
  for (let i = 0; i < data.length; i += block.length) data.set(block.subarray(0, data.length - i), i);
}

async function measure(scale: number, steps: number): Promise<Timing> {
  const nets = networks(scale);
  const shapes: Record<string, number[]> = {};
  for (const [net, sizes] of Object.entries(nets))
    for (let i = 0; i + 1 < sizes.length; i++) {
      shapes[`${net}.${2 * i}.weight`] = [sizes[i + 1], sizes[i]];
      shapes[`${net}.${2 * i}.bias`] = [sizes[i + 1]];
    }
  const params = Parameters.zeros(shapes);
  for (const name of params.names()) fill(params.get(name).data, 1 / Math.sqrt(params.get(name).shape.at(-1)!));

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
  const feeds: Record<string, TypedArray> = {};
  for (const [net, sizes] of Object.entries(nets)) {
    fill((feeds[`${net[0]} input`] = new Float32Array(BATCH * sizes[0])), 1);
    fill((feeds[`${net} target`] = new Float32Array(BATCH)), 1);
  }
  const [a, b]: [number[], number[]] = [[], []];
  // The first step loads the sessions and touches the memory.
  for (let i = -1; i < steps; i++) {
    const start = performance.now();
    await trainer.accumulate(null, feeds);
    const middle = performance.now();
    await trainer.apply(1e-5, 1);
    if (i < 0) continue;
    a.push(middle - start);
    b.push(performance.now() - middle);
  }
  trainer.close();
  await runtime.close();
  return { a, b, step: a.map((ms, i) => ms + b[i]), gib: process.resourceUsage().maxRSS / 2 ** 20 };
}

const TORCH = `
import json, resource, sys, time, torch
from torch import nn
nets, batch, steps, threads, fused = json.loads(sys.argv[1])
torch.set_num_threads(threads)
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
optimizer = torch.optim.Adam(params, lr=1e-5, fused=fused)
inputs = {name[0]: torch.rand(batch, sizes[0]) for name, sizes in nets.items()}
targets = {name: torch.rand(batch) for name in nets}
took = []
for i in range(steps + 1):
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = sum(((m(inputs[name[0]])[:, 0] - targets[name]) ** 2).mean() for name, m in models.items())
    loss.backward()
    nn.utils.clip_grad_norm_(params, 0.01)
    optimizer.step()
    if i > 0: took.append((time.perf_counter() - start) * 1000)
print(json.dumps({'step': took, 'gib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20}))
`;

function json(program: string, args: string[]): Timing {
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 24 });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr.trim().split('\n').at(-1)}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Timing;
}

/** A python that can import torch: the one named, one on the path, or one in a neighbouring virtual environment. */
function pythonWithTorch(): string | undefined {
  const neighbour = fileURLToPath(new URL('../../../venv/bin/python', import.meta.url));
  const candidates = [
    options.python,
    process.env.PYTHON,
    'python3',
    'python',
    existsSync(neighbour) ? neighbour : undefined,
  ];
  return candidates.find((python) => python && spawnSync(python, ['-c', 'import torch']).status === 0);
}

function median(values: readonly number[]): number {
  return [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)];
}

function line(name: string, values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${name.padEnd(34)} ${median(values).toFixed(1).padStart(8)} ms   (${least.toFixed(1)} to ${most.toFixed(1)})`;
}

function compare(): void {
  const [scale, steps, rounds] = [Number(options.scale), Number(options.steps), Number(options.rounds)];
  const nets = networks(scale);
  const python = pythonWithTorch();
  const ours: Timing[] = [];
  const theirs: Record<string, Timing[]> = { 'PyTorch, Adam': [], 'PyTorch, fused Adam': [] };
  for (let round = 0; round < rounds; round++) {
    ours.push(json(process.execPath, [...process.argv.slice(1), '--measure']));
    if (!python) continue;
    for (const name of Object.keys(theirs)) {
      const settings = [nets, BATCH, steps, Number(options.threads), name.includes('fused')];
      theirs[name].push(json(python, ['-c', TORCH, JSON.stringify(settings)]));
    }
  }
  const all = (timings: readonly Timing[], what: 'a' | 'b' | 'step') => timings.flatMap((timing) => timing[what] ?? []);
  const peak = (timings: readonly Timing[]) => `peak ${Math.max(...timings.map(({ gib }) => gib)).toFixed(2)} GiB`;
  const count = Object.values(nets).reduce(
    (n, s) => n + s.slice(1).reduce((m, size, i) => m + size * (s[i] + 1), 0),
    0,
  );
  console.log(
    `critic step: ${(count / 1e6).toFixed(1)}M parameters, batch ${BATCH}, ${options.threads} threads, runtime ${options.runtime}`,
  );
  console.log(line('A: forward, backward', all(ours, 'a')));
  console.log(line('B: clip, Adam', all(ours, 'b')));
  console.log(`${line('critiq, whole step', all(ours, 'step'))}   ${peak(ours)}`);
  if (!python) {
    console.log(
      'no python with torch found; measured elsewhere (DESIGN §3, 417.7M parameters, 2 threads, another machine):',
    );
    console.log(
      'PyTorch Adam 2608 ms, fused Adam 1184 ms, 7.4 GB; the prototype of this engine 1405 ms (541 + 864), 6.4 GB',
    );
    return;
  }
  for (const [name, timings] of Object.entries(theirs)) {
    console.log(`${line(name, all(timings, 'step'))}   ${peak(timings)}`);
    const ratios = timings.map((timing, round) => median(ours[round].step) / median(timing.step));
    console.log(
      `  critiq takes ${median(ratios).toFixed(2)} of it (rounds: ${ratios.map((r) => r.toFixed(2)).join(', ')})`,
    );
  }
  console.log(
    'DESIGN §3: the prototype took 0.54 of Adam and 1.19 of fused Adam (1405, 2608, 1184 ms; 6.4 and 7.4 GB)',
  );
}

if (options.measure) console.log(JSON.stringify(await measure(Number(options.scale), Number(options.steps))));
else compare();
