/** Logs of lines and records: journals, manifests, metrics, shared answers, command logs, TensorBoard events, cached vectors. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { encodeLine } from '../../../src/data/formats/jsonl.js';
import { lastMetrics, readMetrics } from '../../../src/data/metrics.js';
import { Journal } from '../../../src/data/store/journal.js';
import { committedShards } from '../../../src/data/store/manifest.js';
import { sealed, readSealed } from '../../../src/data/store/sealed.js';
import { SharedLines } from '../../../src/data/store/shared-lines.js';
import { VectorCache } from '../../../src/data/vector-cache.js';
import { livingHolder } from '../../../src/data/store/lock.js';
import { readCommands } from '../../../src/runner/log/commands.js';
import { shardTimes } from '../../../src/runner/log/shards.js';
import { recordTimes, scalarsRecord, versionRecord } from '../../../src/runner/tfevents.js';
import { mutatedBytes } from '../bytes.js';
import { resealedLine } from '../containers.js';
import { mutatedJson, mutatedJsonLine, mutatedLines } from '../texts.js';
import { Used, type Kind } from '../kind.js';
import { fixtures } from './tensors.js';

function file(folder: string, name: string, input: Buffer): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, input);
  return path;
}

const EPISODES = [0, 1, 2].map((n) => ({
  episode: `e${n}`,
  ...{
    task: 't',
    family: 'f',
    goal: 'Open the clock',
    seed: n,
    finalImage: 'a'.repeat(32),
    finalPrompt: 'p',
    reward: n % 2,
    truncated: false,
  },
  steps: [{ image: 'b'.repeat(32), prompt: 'p', action: 'a', applied: 'yes' }],
}));
const lines = (values: readonly object[]): Buffer => Buffer.from(values.map((value) => encodeLine(value)).join(''));

/** Lines with checksums: damage, without new checksums, must never give a line that was not there. */
const damagedLines: Kind['mutate'] = (random, bytes, other) =>
  mutatedLines(random, bytes, other, (line) => mutatedJsonLine(random, line));
/** A stranger's lines: other values, with whole checksums. */
const strangeLines: Kind['mutate'] = (random, bytes, other) =>
  mutatedLines(random, bytes, other, (line) => resealedLine(random, line));

function onlyKnown(read: Iterable<unknown>, known: readonly unknown[], what: string): void {
  for (const value of read)
    if (!known.some((one) => isDeepStrictEqual(one, value)))
      throw new Used(`${what} that was never written: ${JSON.stringify(value).slice(0, 300)}`);
}

const MANIFESTS = () => fixtures('run-v1', /^manifest\.jsonl$/);
const RESULT = {
  policy: 'base',
  episodes: 6,
  successes: 2,
  rate: 1 / 3,
  ci95: [0.1, 0.7],
  mode: 'greedy',
  unseen: { episodes: 6, rate: 0 },
};
const journal = lines(EPISODES);

export const LINES: readonly Kind[] = [
  {
    name: 'journal',
    seeds: () => [{ name: 'journal', bytes: journal }],
    mutate: damagedLines,
    read: (input, _, folder) =>
      onlyKnown(Journal.open(file(folder, 'journal.jsonl', input)).episodes, EPISODES, 'an episode'),
  },
  {
    name: 'manifest',
    weight: 2,
    seeds: MANIFESTS,
    mutate: damagedLines,
    read: (input, { bytes }, folder) => {
      const whole = [...committedShards(dirname(file(folder, 'whole/manifest.jsonl', bytes)), 'x').values()];
      const all = MANIFESTS().flatMap((seed) => [
        ...committedShards(dirname(file(folder, 'other/manifest.jsonl', seed.bytes)), 'x').values(),
      ]);
      onlyKnown(
        committedShards(dirname(file(folder, 'set/manifest.jsonl', input)), 'run it again').values(),
        [...whole, ...all],
        'a shard',
      );
    },
  },
  {
    name: 'manifest-strange',
    seeds: MANIFESTS,
    mutate: strangeLines,
    read: (input, _, folder) => committedShards(dirname(file(folder, 'set/manifest.jsonl', input)), 'run it again'),
  },
  {
    name: 'result',
    seeds: () => [{ name: 'result', bytes: Buffer.from(sealed(RESULT)) }],
    mutate: mutatedBytes,
    read: (input, _, folder) => {
      const value = readSealed(file(folder, '_result.json', input), 'run it again');
      if (!isDeepStrictEqual(value, RESULT))
        throw new Used(`a result that was never written: ${JSON.stringify(value).slice(0, 300)}`);
    },
  },
  {
    name: 'metrics',
    seeds: () => fixtures('run-v1', /\.jsonl$/).filter(({ name }) => name.includes('/metrics/')),
    mutate: damagedLines,
    read: (input, _, folder) => {
      const path = file(folder, 'metrics.jsonl', input);
      readMetrics(path);
      lastMetrics(path);
    },
  },
  {
    name: 'shared-lines',
    weight: 0.5,
    seeds: () => [{ name: 'answers', bytes: journal }],
    mutate: damagedLines,
    read: (input, _, folder) => {
      file(folder, 'shared/aa.jsonl', input);
      const shared = new SharedLines<object>(join(folder, 'shared'));
      onlyKnown(shared.news(), EPISODES, 'a line');
      shared.close();
    },
  },
  {
    name: 'command-log',
    weight: 0.5,
    seeds: () => [
      {
        name: 'log',
        bytes: lines([
          {
            id: 'a',
            event: 'start',
            time: '2026-01-01T00:00:00.000Z',
            command: ['sft'],
            pid: 3,
            host: 'h',
            started: '1',
            version: '0.1.0',
          },
          { id: 'a', event: 'end', time: '2026-01-01T00:00:01.000Z', seconds: 1, code: 0, signal: null, error: null },
          { instance: 'sft', shard: 'all', seconds: 3, resumed: false, time: '2026-01-01T00:00:01.000Z' },
        ]),
      },
    ],
    mutate: strangeLines,
    read: (input, _, folder) => {
      file(folder, 'run/.log/commands.jsonl', input);
      file(folder, 'run/.log/shards.jsonl', input);
      readCommands(join(folder, 'run'), join(folder, 'run/lock'));
      shardTimes(join(folder, 'run'));
    },
  },
  {
    name: 'lock',
    weight: 0.5,
    seeds: () => [
      {
        name: 'lock',
        bytes: Buffer.from(
          JSON.stringify({ pid: 1, started: '1', host: 'h', running: 'sft', space: 's', token: 't', lease: 180_000 }),
        ),
      },
    ],
    mutate: mutatedJson,
    read: (input, _, folder) => livingHolder(file(folder, 'lock', input)),
  },
  {
    name: 'tfevents',
    seeds: () => {
      const records = [1, 2, 3].map((step) =>
        scalarsRecord({ step, values: { loss: step / 3 }, wallTime: 1e9 + step }),
      );
      return [{ name: 'events', bytes: Buffer.concat([versionRecord(1e9), ...records]) }];
    },
    mutate: mutatedBytes,
    read: (input) => {
      onlyKnown(
        recordTimes(input),
        [1, 2, 3].map((step) => ({ step, wallTime: 1e9 + step })),
        'a time',
      );
    },
  },
  {
    name: 'vector-cache',
    weight: 0.5,
    seeds: (scratch) => {
      const cache = VectorCache.open(join(scratch, 'cache'), 4);
      for (const n of [1, 2, 3]) cache.put(`key ${n}`, Float32Array.of(n, 2, 3, 4));
      cache.close();
      return readdirSync(join(scratch, 'cache'))
        .sort((a, b) => (a.endsWith('.keys') ? -1 : 1) - (b.endsWith('.keys') ? -1 : 1))
        .map((name) => ({
          name: name.slice(name.indexOf('.') + 1),
          bytes: readFileSync(join(scratch, 'cache', name)),
        }));
    },
    mutate: mutatedBytes,
    read: (input, seed, folder) => {
      const where = join(folder, 'cache');
      if (!VECTORS.whole) {
        rmSync(where, { recursive: true, force: true });
        const cache = VectorCache.open(where, 4);
        for (const n of [1, 2, 3]) cache.put(`key ${n}`, Float32Array.of(n, 2, 3, 4));
        cache.close();
        VECTORS.whole = Object.fromEntries(readdirSync(where).map((name) => [name, readFileSync(join(where, name))]));
      }
      for (const [name, bytes] of Object.entries(VECTORS.whole))
        writeFileSync(join(where, name), name.endsWith(seed.name) ? input : bytes);
      const cache = VectorCache.open(where, 4);
      try {
        for (const n of [1, 2, 3]) {
          const vector = cache.get(`key ${n}`);
          if (vector && !isDeepStrictEqual([...vector], [n, 2, 3, 4]))
            throw new Used(`a vector that was never stored: ${String(vector)}`);
        }
      } finally {
        cache.close();
      }
    },
  },
];

const VECTORS: { whole?: Record<string, Buffer> } = {};
