/**
 * A small pipeline for the runner's tests, run in this process or as its own program:
 * numbers (6 shards) -> squares (a shard for each shard of numbers) -> total/<name> (one shard, with checkpoints).
 * `node dist/test/rigs/stages.js <critiq arguments>`; CRITIQ_TEST_DELAY_MS slows the shards down.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { z } from 'zod';
import { main } from '../../src/cli/main.js';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { RunError, UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import type { Registry } from '../../src/runner/registry.js';
import { stage, type StageContext } from '../../src/runner/stage.js';
import { MlflowSettings } from '../../src/tracking/mlflow.js';

const delayMs = Number(process.env.CRITIQ_TEST_DELAY_MS ?? 0);

export const numbers = stage({
  name: 'numbers',
  summary: 'draw numbers',
  settings: z.object({
    shards: z.int().min(0).default(6).describe('how many shards'),
    count: z.int().min(1).default(50).describe('numbers in a shard'),
    fail: z.enum(['', 'user', 'run', 'bug']).default('').describe('fail in shard 2').meta({ scope: 'command' }),
    workers: z.int().min(1).default(2).describe('shards at the same time'),
    bytes: z.int().min(0).default(0).describe('bytes of ballast in a shard'),
  }),
  uses: ['seed', 'shared.scale'],
  neutral: ['shards', 'fail'],
  outputs: () => ['numbers', 'notes'],
  plan: ({ settings }) => Array.from({ length: settings.shards }, (_, n) => ({ id: `n${n}`, n })),
  run: async (shard, { settings, config, dataset, seed, metrics, signal }) => {
    // later shards end first
    await sleep(delayMs * (1 + ((5 - shard.n) % 3)), undefined, { signal });
    if (shard.n === 2 && settings.fail === 'user') throw new UserError('numbers: the user is wrong; be right');
    if (shard.n === 2 && settings.fail === 'run') throw new RunError('numbers: the phone died');
    if (shard.n === 2 && settings.fail === 'bug') throw new TypeError('x is not\na function');
    const random = new Random(seed, 'numbers', shard.n);
    const { scale } = config.shared as { scale: number };
    const values = Array.from({ length: settings.count }, () => Math.floor(random.next() * scale));
    for (let i = 0; i < 5; i++) metrics.write(shard.n * 5 + i, { value: values[i % values.length] });
    const file = `${shard.id}.json`;
    await writeAtomic(join(dataset('numbers'), file), JSON.stringify(values) + ' '.repeat(settings.bytes));
    await writeAtomic(join(dataset('notes'), `${shard.id}.txt`), `${values.length} numbers`);
    return { numbers: { files: [file], facts: { count: values.length } }, notes: [`${shard.id}.txt`] };
  },
});

export const squares = stage({
  name: 'squares',
  summary: 'square them',
  settings: z.object({ power: z.number().default(2).describe('exponent') }),
  inputs: () => ['numbers'],
  outputs: () => ['squares'],
  plan: ({ dataset }) =>
    files(dataset('numbers')).map((file) => ({
      id: `s-${file.slice(0, -5)}`,
      file,
      inputs: { numbers: [file.slice(0, -5)] },
    })),
  run: async (shard, { settings, dataset, signal }) => {
    await sleep(delayMs, undefined, { signal });
    const values = JSON.parse(readFileSync(join(dataset('numbers'), shard.file), 'utf8')) as number[];
    await writeAtomic(join(dataset('squares'), shard.file), JSON.stringify(values.map((v) => v ** settings.power)));
    return [shard.file];
  },
});

const Total = z.object({
  name: z.string().default('all').describe('name of the sum').meta({ scope: 'result' }),
  steps: z.int().default(20).describe('steps of the summation'),
  lr: z.number().positive().default(0.5).describe('a number'),
});

/** Like a training: one shard that saves its state to `scratch` every 5 steps and resumes from there. */
export const total = stage({
  name: 'total',
  summary: 'add them up, slowly',
  settings: Total,
  uses: ['seed'],
  results: { sections: [] },
  instance: ({ name }) => `total/${name}`,
  inputs: () => ['squares'],
  outputs: ({ name }) => [`total/${name}`],
  provides: (dataset) => (dataset.startsWith('total/') ? { 'total.name': dataset.slice(6) } : undefined),
  plan: () => [{ id: 'all' }],
  run: async (_, ctx) => {
    const { settings, dataset, metrics, scratch, signal, progress } = ctx;
    const checkpoint = join(scratch(), 'state.json');
    let state = { step: 0, sum: 0 };
    if (readdirSync(scratch()).includes('state.json'))
      state = JSON.parse(readFileSync(checkpoint, 'utf8')) as typeof state;
    if (state.step > 0) ctx.log.info(`resuming from step ${state.step}`);
    metrics.resume(state.step);
    const values = files(dataset('squares')).flatMap(
      (file) => JSON.parse(readFileSync(join(dataset('squares'), file), 'utf8')) as number[],
    );
    const bar = progress(settings.steps, 'steps', state.step);
    while (state.step < settings.steps) {
      signal.throwIfAborted();
      await sleep(delayMs / 4);
      state = { step: state.step + 1, sum: state.sum + settings.lr * values[state.step % values.length] };
      metrics.write(state.step, { sum: state.sum });
      if (state.step % 5 === 0) await writeAtomic(checkpoint, JSON.stringify(state));
      bar.advance();
    }
    await writeAtomic(join(dataset(`total/${settings.name}`), 'total.json'), JSON.stringify(state));
    return ['total.json'];
  },
});

/** Compares two totals, so that there is an input that no other stage's settings name. */
export const versus = stage({
  name: 'versus',
  summary: 'versus two totals',
  settings: z.object({
    a: z.string().default('all').describe('one'),
    b: z.string().default('other').describe('the other'),
  }),
  instance: ({ a, b }) => `versus/${a}-${b}`,
  inputs: ({ a, b }) => [`total/${a}`, `total/${b}`],
  outputs: ({ a, b }) => [`versus/${a}-${b}`],
  plan: () => [{ id: 'all' }],
  run: async (_, { settings: { a, b }, dataset }) => {
    const sum = (name: string): number =>
      (JSON.parse(readFileSync(join(dataset(`total/${name}`), 'total.json'), 'utf8')) as { sum: number }).sum;
    await writeAtomic(
      join(dataset(`versus/${a}-${b}`), 'versus.json'),
      JSON.stringify({ difference: sum(a) - sum(b) }),
    );
    return ['versus.json'];
  },
  finish: async ({ folder, dataset, settings: { a, b } }: StageContext<{ a: string; b: string }>) => {
    await writeAtomic(join(folder, 'versus.json'), readFileSync(join(dataset(`versus/${a}-${b}`), 'versus.json')));
  },
});

function files(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => /^n\d+\.json$/.test(file))
    .sort();
}

export const registry: Registry = {
  module: import.meta.url,
  stages: [numbers, squares, total, versus].map((s) => ({ name: s.name, summary: s.summary, load: async () => s })),
  sections: async () => ({
    mlflow: MlflowSettings,
    shared: z.object({
      scale: z.number().default(1000).describe('largest number'),
      label: z.string().default('a').describe('a name'),
    }),
  }),
  aliases: { total_lr: 'total.lr' },
};

// worker threads that run shards load this module too
if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url))
  process.exit(await main(process.argv.slice(2), registry));
