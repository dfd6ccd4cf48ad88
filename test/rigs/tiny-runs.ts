/** Runs of the real stages with tiny settings, in this process. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { registry } from '../../pipelines/index.js';
import { Journal } from '../../src/data/store/journal.js';
import { Display } from '../../src/runner/display.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { loadSettings, type Config } from '../../src/settings/settings.js';
import { contents, emptyFolder } from './process.js';
import { TINY_OFFLINE } from './tiny-settings.js';

const TINY = [
  'device.count=4',
  'tasks.max_steps=3',
  'demos.episodes=5',
  'demos.shard=4',
  'sft.epochs=2',
  'sft.batch=8',
  'sft.width=16',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=16',
  ...TINY_OFFLINE,
  'candidates.samples=3',
  'workers=1',
];

const loaded = await loadRegistry(registry);
let base: string;
let data: string;

/** Runs a stage. @returns what it said */
export async function run(data: string, stage: string, overrides: string[], options: RunOptions = {}): Promise<string> {
  let said = '';
  const display = new Display('normal', { write: (piece: string) => (said += piece) });
  await runStage(loaded, stage, configOf(data, overrides), { display, ...options });
  return said;
}

/** The settings of such a run. */
export function configOf(data: string, overrides: string[]): Config {
  return loadSettings(loaded.schema, {
    file: registry.defaultConfig,
    overrides: [...TINY, `data=${data}`, ...overrides],
    aliases: loaded.aliases,
  });
}

/** Episodes that ended. */
export const played: string[] = [];

const { append } = Journal.prototype;
Journal.prototype.append = function (episode) {
  played.push(episode.episode);
  return append.call(this, episode);
};

/** A run with a base policy, made once. */
export async function withPolicy(t: TestContext): Promise<string> {
  if (!base) {
    // removed by the first hook would be too early
    base = emptyFolder({ after: (fn) => process.once('exit', fn) });
    await run(base, 'sft', []);
  }
  const data = emptyFolder(t);
  cpSync(base, data, { recursive: true });
  return data;
}

/** Files of some data sets. */
export function files(data: string, ...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) =>
      Object.entries(contents(join(data, 'pocket', name))).map(([file, digest]) => [`${name}/${file}`, digest]),
    ),
  );
}

/** A run with everything that trainings read, made once. */
export async function withData(t: TestContext): Promise<string> {
  if (!data) {
    data = emptyFolder({ after: (fn) => process.once('exit', fn) });
    await run(data, 'represent', []);
  }
  const copy = emptyFolder(t);
  cpSync(data, copy, { recursive: true });
  return copy;
}
