/**
 * A random walk over commands and settings: numbers go up and down, settings change with and without --redo, results are
 * restored, and commands die at random changes to the file system. After every step each result that ever was is still
 * there, in the data set, in the trash or aside, and each current result has the bytes of a run made at once.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../../src/random.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { runStage, underLock, type RunOptions } from '../../src/runner/run.js';
import { Trash } from '../../src/runner/trash.js';
import { loadSettings, type Config } from '../../src/settings/settings.js';
import { Display } from '../../src/runner/display.js';
import { crashing } from '../rigs/crash.js';
import { plays, registry } from '../rigs/growing.js';
import { contents, emptyFolder } from '../rigs/process.js';

// commands that die do not take back their listeners for the end of the process
process.setMaxListeners(0);

const loaded = await loadRegistry(registry);

type Settings = Record<string, number | string>;
/** Values that the walk tries, and the settings that decide the bytes of each data set. */
const VALUES: Record<string, readonly (number | string)[]> = {
  seed: [0, 0, 0, 1],
  'items.scale': [100, 100, 7],
  'items.count': [1, 2, 3, 4, 5, 7, 8, 9, 11],
  'copies.noise': [10, 10, 3],
  'copies.count': [1, 2, 3],
  'fit.name': ['all', 'other'],
  'fit.lr': [0.5, 0.25],
  'fit.steps': [0, 2, 3, 5, 8],
  'score.count': [1, 2, 4],
  'score.name': ['', 'named'],
};
const CHAIN = {
  items: ['seed', 'items.scale', 'items.count'],
  copies: ['copies.noise', 'copies.count'],
  fit: ['fit.lr', 'fit.steps'],
  score: ['score.count'],
} as const;
const STAGES = ['items', 'copies', 'fit', 'score'] as const;
type StageName = (typeof STAGES)[number];

function config(data: string, settings: Settings): Config {
  const given = Object.entries({ ...settings, 'score.fit': settings['fit.name'] }).map(
    ([key, value]) => `${key}=${value}`,
  );
  return loadSettings(loaded.schema, { overrides: [`data=${data}`, 'workers=1', 'threads=1', ...given] });
}

/** The data sets that a stage writes with these settings. */
function dataSets(stage: StageName, settings: Settings): string[] {
  if (stage === 'items') return ['items', 'marks'];
  if (stage === 'copies') return ['copies'];
  if (stage === 'fit') return [`fit/${settings['fit.name']}`];
  return [`score/${settings['score.name'] || settings['fit.name']}`];
}

/** A file of a result: its name in the data set and its rows, or its bytes if it has no rows. */
interface Result {
  readonly dataset: string;
  readonly file: string;
  readonly text: string;
}

const rowsOf = ({ file, text }: Result): unknown[] | undefined => {
  if (file === 'fit.json') return undefined;
  return file.endsWith('.txt') ? text.split('\n') : (JSON.parse(text) as unknown[]);
};

/** Whether `kept` holds all that `lost` had. */
function holds(kept: unknown, lost: unknown): boolean {
  if (!Array.isArray(kept) || !Array.isArray(lost)) return kept === lost;
  return kept.length >= lost.length && lost.every((row, i) => holds(kept[i], row));
}

/** The walk's memory and its run. */
class Walk {
  readonly data: string;
  private readonly random: Random;
  private readonly seen = new Map<string, Result>();
  private readonly fresh = new Map<string, Record<string, string>>();
  /** seeds and scales of items that were made again with --force: what was kept aside before does not belong to them */
  private readonly forced = new Set<string>();
  private settings: Settings = Object.fromEntries(Object.entries(VALUES).map(([key, [value]]) => [key, value]));
  readonly count = { commands: 0, refused: 0, crashed: 0, restored: 0 };

  constructor(
    private readonly t: TestContext,
    seed: number,
  ) {
    this.data = emptyFolder(t);
    this.random = new Random(seed, 'walk');
  }

  private get run(): string {
    return join(this.data, 'pocket');
  }

  get results(): number {
    return this.seen.size;
  }

  async step(): Promise<void> {
    const { random } = this;
    const entries = existsSync(this.run) ? new Trash(this.run).list() : [];
    if (entries.length > 0 && random.chance(0.08)) await this.restore(random.pick(entries).id);
    for (const key of Object.keys(VALUES)) if (random.chance(0.2)) this.settings[key] = random.pick(VALUES[key]);
    const stage = random.pick(STAGES);
    const redo = random.chance(0.5);
    const before = this.available(this.settings);
    plays.length = 0;
    const force = random.chance(0.03);
    let outcome: 'done' | 'refused' | 'crashed';
    try {
      outcome = await this.command(stage, { redo, force }, random.chance(0.3) ? random.int(120) : undefined);
    } catch (error) {
      assert.equal((error as Error).name, 'UserError', (error as Error).stack);
      assert.match((error as Error).message, /this would (rebuild|drop)/);
      outcome = 'refused';
      this.count.refused += 1;
    }
    if (force) this.forced.add(this.kind());
    if (!redo && !this.forced.has(this.kind()))
      for (const play of plays) assert.ok(!before.has(play), `made again: ${play} (seed, scale, number)`);
    if (outcome === 'done') await this.checkFresh(stage);
    this.nothingIsLost();
  }

  private kind(): string {
    return `${this.settings.seed} ${this.settings['items.scale']}`;
  }

  private async command(stage: StageName, options: RunOptions, crash?: number): Promise<'done' | 'crashed'> {
    this.count.commands += 1;
    const work = () => runStage(loaded, stage, config(this.data, this.settings), options);
    if (crash === undefined) {
      await work();
      return 'done';
    }
    const died = await crashing(crash, work);
    // the lock of a dead process
    rmSync(join(this.run, 'lock'), { force: true });
    if (died) this.count.crashed += 1;
    return died ? 'crashed' : 'done';
  }

  private async restore(id: string): Promise<void> {
    await underLock(config(this.data, this.settings), new Display('quiet'), async () => {
      const trash = new Trash(this.run);
      await trash.finish();
      await trash.restore(id);
    });
    this.count.restored += 1;
  }

  /** Items with these settings that need not be made again, as `plays` names them. */
  private available(settings: Settings): Set<string> {
    const [seed, scale] = [settings.seed, settings['items.scale']];
    const found = new Set<string>();
    for (const result of [...this.current(), ...this.aside('.spare')]) {
      const shard = /^i(\d+)\.json$/.exec(result.file);
      if (!shard || result.dataset === 'copies') continue;
      for (const [i, item] of (rowsOf(result) as number[]).entries()) {
        const n = Number(shard[1]) * 4 + i;
        if (new Random(Number(seed), 'items', n).int(Number(scale)) === item) found.add(`${seed} ${scale} ${n}`);
      }
    }
    return found;
  }

  /** Compares what a command left with a run made at once. */
  private async checkFresh(stage: StageName): Promise<void> {
    const chain = STAGES.slice(0, STAGES.indexOf(stage) + 1);
    const deciding = chain.flatMap((name) => CHAIN[name].map((key) => [key, this.settings[key]]));
    const names = chain.flatMap((name) => dataSets(name, this.settings));
    const key = JSON.stringify([names, deciding]);
    let wanted = this.fresh.get(key);
    if (!wanted) {
      const data = emptyFolder(this.t);
      await runStage(loaded, stage, config(data, this.settings));
      wanted = filesOf(join(data, 'pocket'), names);
      rmSync(data, { recursive: true });
      this.fresh.set(key, wanted);
    }
    assert.deepEqual(filesOf(this.run, names), wanted, `${stage} with ${JSON.stringify(this.settings)}`);
  }

  /** Every result that ever was complete must be found. */
  private nothingIsLost(): void {
    const current = this.current();
    for (const result of current) this.seen.set(JSON.stringify(result), result);
    const there = [...current, ...this.aside('.spare'), ...this.aside('.trash')];
    for (const lost of this.seen.values()) {
      const rows = rowsOf(lost);
      const kept = there.filter(({ file }) => file === lost.file);
      const found = kept.some((one) => one.text === lost.text || (rows !== undefined && holds(rowsOf(one), rows)));
      assert.ok(found, `${lost.dataset}/${lost.file}: ${lost.text} is gone`);
    }
  }

  /** The files that manifests name and that are whole. */
  private current(): Result[] {
    const names = ['items', 'marks', 'copies', 'fit/all', 'fit/other', 'score/all', 'score/other', 'score/named'];
    return names.flatMap((dataset) => {
      const manifest = join(this.run, dataset, '_manifest.jsonl');
      if (!existsSync(manifest)) return [];
      const lines = new Map(
        readFileSync(manifest, 'utf8')
          .split('\n')
          .filter((line) => line.endsWith('}'))
          .map(
            (line) => JSON.parse(line) as { shard: string; removed?: true; files: { file: string; bytes: number }[] },
          )
          .map((line) => [line.shard, line]),
      );
      return [...lines.values()]
        .filter(({ removed }) => !removed)
        .flatMap(({ files }) => files)
        .flatMap(({ file, bytes }) => {
          const path = join(this.run, dataset, file);
          const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
          return text.length === bytes ? [{ dataset, file, text }] : [];
        });
    });
  }

  /** The files in the trash or aside. */
  private aside(where: string): Result[] {
    const folder = join(this.run, where);
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /^(i\d+\.(json|txt)|fit\.json|score\.json)$/.test(entry.name))
      .map((entry) => {
        const dataset = /copies/.test(entry.parentPath.slice(folder.length)) ? 'copies' : '';
        return { dataset, file: entry.name, text: readFileSync(join(entry.parentPath, entry.name), 'utf8') };
      });
  }
}

/** Digests of all files of some data sets, plans, manifests and metrics included. */
function filesOf(run: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) =>
      Object.entries(contents(join(run, name))).map(([file, digest]) => [`${name}/${file}`, digest]),
    ),
  );
}

test('after every step of a random walk nothing is lost, and every result is that of a run made at once', async (t) => {
  const steps = Number(process.env.CRITIQ_WALK_STEPS ?? 500);
  const walk = new Walk(t, Number(process.env.CRITIQ_WALK_SEED ?? 1));
  for (let n = 0; n < steps; n++) {
    try {
      await walk.step();
    } catch (error) {
      (error as Error).message = `step ${n}: ${(error as Error).message}`;
      throw error;
    }
  }
  t.diagnostic(`${JSON.stringify(walk.count)}, ${walk.results} results`);
  if (steps < 500) return;
  const { refused, crashed, restored } = walk.count;
  assert.ok(refused > 20 && crashed > 20 && restored > 10 && walk.results > 100, JSON.stringify(walk.count));
});
