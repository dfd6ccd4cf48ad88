import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Parameters, type ParameterSpec } from '../src/graph/index.js';
import { Random } from '../src/random.js';

/** Helpers for benchmarks that measure critiq and PyTorch in turns, each in its own process. */

/** The last line that such a process prints. */
export interface Timing {
  /** milliseconds of each repetition, after a warm-up */
  readonly ms: readonly number[];
  /** peak resident memory */
  readonly gib: number;
}

/** Parameters of realistic magnitude, with repeated values: drawing hundreds of millions takes longer than the benchmark. */
export function tiledParameters(specs: Readonly<Record<string, ParameterSpec>>): Parameters {
  const params = Parameters.zeros(Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, shape])));
  const random = new Random(0, 'bench');
  const tile = Float32Array.from({ length: 4099 }, () => random.normal());
  for (const [name, { init }] of Object.entries(specs)) {
    const { data } = params.get(name);
    if (init === 'zeros') continue;
    if (init === 'ones') {
      data.fill(1);
      continue;
    }
    const std = 'normal' in init ? init.normal : init.uniform / Math.sqrt(3);
    const scaled = tile.map((value) => value * std);
    for (let i = 0; i < data.length; i += tile.length) data.set(scaled.subarray(0, data.length - i), i);
  }
  return params;
}

/** Times `steps` calls, after a warm-up that loads the sessions and touches the memory. */
export async function timed(steps: number, run: (step: number) => Promise<unknown>): Promise<Timing> {
  const ms: number[] = [];
  for (let step = -1; step < steps; step++) {
    const start = performance.now();
    await run(step);
    if (step >= 0) ms.push(performance.now() - start);
  }
  return { ms, gib: process.resourceUsage().maxRSS / 2 ** 20 };
}

/** The start of the Python programs: `timed` prints the Timing of `run(step)`; `sys.argv[1]` has the settings as JSON. */
export const TORCH_TIMED = `
import json, resource, sys, time, torch
settings = json.loads(sys.argv[1])
torch.set_num_threads(settings['threads'])
torch.manual_seed(0)
def timed(steps, run):
    ms = []
    for step in range(-1, steps):
        start = time.perf_counter()
        run(step)
        if step >= 0: ms.append((time.perf_counter() - start) * 1000)
    print(json.dumps({'ms': ms, 'gib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20}))
`;

/** The last line that a program prints, parsed. @throws Error with the last line of its stderr */
export function lastLine(program: string, args: readonly string[]): Timing {
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 24 });
  if (status !== 0) throw new Error(`${program}: exit code ${status}: ${stderr.trim().split('\n').at(-1)}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Timing;
}

/** Runs this benchmark's script with further arguments. */
export function ownMeasurement(...args: string[]): Timing {
  return lastLine(process.execPath, [...process.argv.slice(1), ...args]);
}

/** A Python that can import torch and transformers: `named`, $PYTHON, one on the PATH, or that of a virtual environment nearby. */
export function pythonWithTorch(named?: string): string | undefined {
  const neighbour = fileURLToPath(new URL('../../../venv/bin/python', import.meta.url));
  const candidates = [named, process.env.PYTHON, 'python3', 'python', existsSync(neighbour) ? neighbour : undefined];
  return candidates.find((python) => python && spawnSync(python, ['-c', 'import torch, transformers']).status === 0);
}

export function median(values: readonly number[]): number {
  return [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)];
}

/** `name   median ms (minimum to maximum)   peak GiB` */
export function timingLine(name: string, timings: readonly Timing[]): string {
  const all = timings.flatMap(({ ms }) => ms);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const peak = Math.max(...timings.map(({ gib }) => gib));
  return (
    `${name.padEnd(34)} ${median(all).toFixed(1).padStart(9)} ms   (${least.toFixed(1)} to ${most.toFixed(1)})` +
    `   peak ${peak.toFixed(2)} GiB`
  );
}

/** How many times as fast critiq is: the median of the rounds, and each round. */
export function speedLine(ours: readonly Timing[], theirs: readonly Timing[], of: string): string {
  const ratios = theirs.map(({ ms }, round) => median(ms) / median(ours[round].ms));
  return `  critiq is ${median(ratios).toFixed(2)} times as fast as ${of} (rounds: ${ratios.map((r) => r.toFixed(2)).join(', ')})`;
}
