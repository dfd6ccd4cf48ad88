/**
 * A small pipeline whose results grow, run in this process or as its own program:
 * items (shards of 4) -> copies (a shard for each shard of items, some copies of each item) -> fit/<name> (a training) -> score.
 * `node dist/test/rigs/growing.js <critiq arguments>`; CRITIQ_TEST_DELAY_MS slows it down.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { z } from 'zod';
import { main } from '../../src/cli/main.js';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { Random } from '../../src/random.js';
import type { Registry } from '../../src/runner/registry.js';
import { stage, type Prior, type Shard } from '../../src/runner/stage.js';

const delayMs = Number(process.env.CRITIQ_TEST_DELAY_MS ?? 0);
const SIZE = 4;

/** How often each item was made, by this process: an item that is there must not be made again. */
export const plays: string[] = [];

interface Items extends Shard {
  readonly from: number;
  readonly to: number;
}

const json = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));

/** The rows that the versions of a shard have, the longest first. */
function stored<T>(priors: readonly Prior[], dataset: string): T[] {
  const [prior] = priors;
  return prior ? (json(join(prior.sets[dataset].folder, prior.sets[dataset].files[0].file)) as T[]) : [];
}

export const items = stage({
  name: 'items',
  summary: 'make items, slowly',
  settings: z.object({
    count: z.int().min(1).default(6).describe('how many'),
    scale: z.int().default(100).describe('largest item'),
  }),
  uses: ['seed'],
  counts: () => ['count'],
  workers: () => 1,
  outputs: () => ['items', 'marks'],
  plan: ({ settings: { count } }): Items[] =>
    Array.from({ length: Math.ceil(count / SIZE) }, (_, n) => {
      const [from, to] = [n * SIZE, Math.min(count, (n + 1) * SIZE)];
      return { id: `i${n}`, from, to, extent: { items: to - from } };
    }),
  run: async (shard, { settings, seed, dataset, priors, scratch, signal }) => {
    const made = stored<number>(priors, 'items').slice(0, shard.to - shard.from);
    const journal = join(scratch(), 'journal');
    const journaled = existsSync(journal) ? (json(journal) as number[]) : [];
    made.push(...journaled.slice(made.length, shard.to - shard.from));
    for (let n = shard.from + made.length; n < shard.to; n++) {
      await sleep(delayMs, undefined, { signal });
      plays.push(`${seed} ${settings.scale} ${n}`);
      if (process.env.CRITIQ_TEST_PLAYS) appendFileSync(process.env.CRITIQ_TEST_PLAYS, `${n}\n`);
      made.push(new Random(seed, 'items', n).int(settings.scale));
      await writeAtomic(journal, JSON.stringify(made));
    }
    await writeAtomic(join(dataset('items'), `${shard.id}.json`), JSON.stringify(made));
    await writeAtomic(join(dataset('marks'), `${shard.id}.txt`), made.map((n) => '.'.repeat(1 + (n % 3))).join('\n'));
    return { items: { files: [`${shard.id}.json`], facts: { items: made.length } }, marks: [`${shard.id}.txt`] };
  },
});

export const copies = stage({
  name: 'copies',
  summary: 'some copies of each item, each with noise of its own',
  settings: z.object({
    count: z.int().min(1).default(2).describe('copies of an item'),
    noise: z.int().default(10).describe('largest noise'),
  }),
  uses: ['seed'],
  counts: () => ['count'],
  inputs: () => ['items'],
  outputs: () => ['copies'],
  plan: async ({ dataset, settings: { count } }) =>
    (await openDataset(dataset('items'))).shards.map(({ shard, extent }) => ({
      id: shard,
      inputs: { items: [shard] },
      extent: { items: extent!.items, copies: count },
    })),
  run: async (shard, { settings, seed, dataset, priors, signal }) => {
    const read = json(join(dataset('items'), `${shard.id}.json`)) as number[];
    const known = priors.map((prior) => json(join(prior.sets.copies.folder, `${shard.id}.json`)) as number[][]);
    const made: number[][] = [];
    for (const [i, item] of read.entries()) {
      const row = [...(known.map((rows) => rows[i] ?? []).sort((a, b) => b.length - a.length)[0] ?? [])];
      row.length = Math.min(row.length, settings.count);
      for (let c = row.length; c < settings.count; c++) {
        await sleep(delayMs / 4, undefined, { signal });
        plays.push(`copy ${seed} ${settings.noise} ${shard.id} ${i} ${c} of ${item}`);
        row.push(item + new Random(seed, 'copies', shard.id, i, c).int(settings.noise));
      }
      made.push(row);
    }
    await writeAtomic(join(dataset('copies'), `${shard.id}.json`), JSON.stringify(made));
    return [`${shard.id}.json`];
  },
});

const Fit = z.object({
  name: z.string().default('all').describe('name of the fit'),
  steps: z.int().min(0).default(6).describe('steps'),
  lr: z.number().positive().default(0.5).describe('a number'),
  decay: z.boolean().default(false).describe('the rate depends on all steps'),
});

interface State {
  readonly step: number;
  readonly weight: number;
  readonly moment: number;
}

/** Like a training: a state of which the result shows only a part, and checkpoints. */
export const fit = stage({
  name: 'fit',
  summary: 'fit a number, step by step',
  settings: Fit,
  uses: ['seed'],
  counts: ({ decay }) => (decay ? [] : ['steps']),
  growth: 'training',
  instance: ({ name }) => `fit/${name}`,
  inputs: () => ['copies'],
  outputs: ({ name }) => [`fit/${name}`],
  provides: (dataset) => (dataset.startsWith('fit/') ? { 'fit.name': dataset.slice(4) } : undefined),
  plan: ({ settings: { decay, steps } }): Shard[] => [{ id: 'fit', ...(decay ? {} : { extent: { steps } }) }],
  run: async (_, { settings, dataset, metrics, scratch, keep, priors, signal }) => {
    const checkpoint = join(scratch(), 'state.json');
    const from = [checkpoint, ...priors.flatMap(({ state }) => (state ? [join(state, 'state.json')] : []))];
    const found = from.find((file) => existsSync(file));
    let state: State = found ? (json(found) as State) : { step: 0, weight: 0, moment: 0 };
    metrics.resume(state.step);
    const { shards } = await openDataset(dataset('copies'));
    const values = shards.flatMap(({ shard }) => (json(join(dataset('copies'), `${shard}.json`)) as number[][]).flat());
    for (let { step } = state; step < settings.steps;) {
      await sleep(delayMs / 4, undefined, { signal });
      const rate = settings.decay ? settings.lr * (1 - step / settings.steps) : settings.lr;
      const moment = 0.9 * state.moment + values[step % values.length] - state.weight;
      step += 1;
      state = { step, weight: state.weight + rate * moment, moment };
      metrics.write(step, { weight: state.weight });
      if (step % 2 === 0) await writeAtomic(checkpoint, JSON.stringify(state));
    }
    await writeAtomic(join(keep(), 'state.json'), JSON.stringify(state));
    await writeAtomic(join(dataset(`fit/${settings.name}`), 'fit.json'), JSON.stringify({ weight: state.weight }));
    return ['fit.json'];
  },
});

export const score = stage({
  name: 'score',
  summary: 'score a fit',
  settings: z.object({
    count: z.int().min(1).default(3).describe('how many scores'),
    fit: z.string().default('all').describe('which fit'),
    name: z.string().default('').describe('name of the score'),
    salt: z.string().default('').describe('names the shard after its content'),
  }),
  uses: ['seed'],
  neutral: ['name', 'salt'],
  counts: () => ['count'],
  instance: ({ fit, name }) => `score/${name || fit}`,
  inputs: ({ fit }) => [`fit/${fit}`],
  outputs: ({ fit, name }) => [`score/${name || fit}`],
  plan: ({ settings: { count, salt } }): Shard[] =>
    salt === '' ? [{ id: 'score', extent: { scores: count } }] : [{ id: `score-${salt}` }],
  run: async (_, { settings: { count, fit, name }, seed, dataset, priors }) => {
    const { weight } = json(join(dataset(`fit/${fit}`), 'fit.json')) as { weight: number };
    const scores = stored<number>(priors, `score/${name || fit}`).slice(0, count);
    for (let n = scores.length; n < count; n++) {
      plays.push(`score ${seed} ${weight} ${n}`);
      scores.push(weight + new Random(seed, 'score', n).next());
    }
    await writeAtomic(join(dataset(`score/${name || fit}`), 'score.json'), JSON.stringify(scores));
    return ['score.json'];
  },
});

export const registry: Registry = {
  module: import.meta.url,
  stages: [items, copies, fit, score].map((s) => ({ name: s.name, summary: s.summary, load: async () => s })),
};

if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url))
  process.exit(await main(process.argv.slice(2), registry));
