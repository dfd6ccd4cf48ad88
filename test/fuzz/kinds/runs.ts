/**
 * A whole run of which one file is damaged, through all that reads it: `status`, `doctor`, `runs`, `compare`, the viewer,
 * and what checks the inputs of stages. A data file that a manifest names must be named, not used.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { registry } from '../../../pipelines/index.js';
import { sealed } from '../../../src/data/store/sealed.js';
import { isObject } from '../../../src/data/formats/json.js';
import { committedShards } from '../../../src/data/store/manifest.js';
import type { Random } from '../../../src/random.js';
import { examineRun } from '../../../src/runner/examine.js';
import { verifyInputs } from '../../../src/runner/inputs.js';
import { inspectRun } from '../../../src/runner/inspect.js';
import { datasetFolder, Instance } from '../../../src/runner/instance.js';
import { loadRegistry, type LoadedRegistry } from '../../../src/runner/registry.js';
import { loadRunSettings } from '../../../src/runner/run-settings.js';
import { runStage } from '../../../src/runner/run.js';
import { Spare } from '../../../src/runner/spare.js';
import { Trash } from '../../../src/runner/trash.js';
import { compareRuns } from '../../../src/runs/compare.js';
import { listRuns } from '../../../src/runs/listing.js';
import { readSweep, sweepNames } from '../../../src/runs/sweep/definition.js';
import { loadSettings, type Config } from '../../../src/settings/settings.js';
import { apiRoutes } from '../../../src/viewer/api-routes.js';
import { Pictures } from '../../../src/viewer/pictures.js';
import { PictureCache } from '../../../src/viewer/picture-cache.js';
import { PolicyScorer } from '../../../src/viewer/policy-scores.js';
import { RunFolders } from '../../../src/viewer/run-folders.js';
import { Runs } from '../../../src/viewer/runs.js';
import { fixture } from '../../rigs/files.js';
import { registry as growing } from '../../rigs/growing.js';
import { mutatedBytes } from '../bytes.js';
import { resealedLine } from '../containers.js';
import { mutatedJson, mutatedLines, mutatedValue } from '../texts.js';
import { Used, type Kind, type Seed } from '../kind.js';
import { each } from './models.js';

const SETTINGS = JSON.parse(readFileSync(fixture('run-v1', 'settings.json'), 'utf8')) as string[];
const loading = loadRegistry(registry);
const METADATA = /(^|\/)_?(manifest\.jsonl|plan\.json|result\.json|run\.json)$|^metrics\//;

/** The recorded run, with a sealed result; made once for a folder. */
function wholeRun(folder: string): string {
  const run = join(folder, 'data/pocket');
  if (existsSync(run)) return run;
  cpSync(fixture('run-v1', 'run'), run, { recursive: true });
  const result = join(run, 'eval/base-test/result.json');
  writeFileSync(result, sealed(JSON.parse(readFileSync(result, 'utf8')) as object));
  return run;
}

/** The files of a folder, by their paths in it. */
export function filesIn(folder: string): Seed[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ name: path.slice(folder.length + 1), bytes: readFileSync(path) }));
}

/** Damaged JSON; of a sealed file mostly with a right checksum, so that the damage reaches what lies behind it. */
function mutatedRecord(random: Random, bytes: Buffer): Buffer {
  const value = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  if (value.crc32 === undefined || random.next() < 0.3) return mutatedJson(random, bytes);
  delete value.crc32;
  const mutated = mutatedValue(random, value);
  return isObject(mutated) && Object.keys(mutated).length > 0
    ? Buffer.from(sealed(mutated))
    : mutatedJson(random, bytes);
}

/** With a file of the run replaced while something reads it. */
async function replaced(run: string, { name, bytes }: Seed, input: Buffer, use: () => unknown): Promise<void> {
  // another file under the name, as a process that checks files once for a file expects
  writeFileSync(join(run, `${name}.new`), input);
  renameSync(join(run, `${name}.new`), join(run, name));
  try {
    await use();
  } finally {
    writeFileSync(join(run, `${name}.new`), bytes);
    renameSync(join(run, `${name}.new`), join(run, name));
  }
}

const PAGES = [
  '',
  '/trajectories',
  '/values',
  '/worklist',
  '/evaluations',
  '/tokens',
  '/metrics',
  '/metrics-tail?instance=critic',
  '/paired?before=base-test&after=base-test',
];

/** The viewer's answers for a run, from fresh memory. */
async function viewed(data: string, scratch: string): Promise<void> {
  const runs = new Runs(RunFolders.open(data, 'pocket'));
  const pictures = new Pictures(new PictureCache(join(scratch, 'pictures')));
  const scorer = new PolicyScorer();
  const app = apiRoutes({ runs, pictures, scorer, images: undefined });
  let failed: unknown;
  app.onError((error, c) => {
    if (error.name !== 'UserError') failed ??= error;
    return c.json({ error: error.message }, 404);
  });
  try {
    for (const page of PAGES) await (await app.request(`/runs/pocket${page}`)).text();
  } finally {
    await pictures.close();
    await scorer.close();
  }
  if (failed) throw failed;
}

const config = ({ schema, aliases }: LoadedRegistry, data: string): Config =>
  loadSettings(schema, { file: registry.defaultConfig, aliases, overrides: [`data=${data}`, ...SETTINGS] });

const named = ({ schema, aliases }: LoadedRegistry) => new Map([['defaults', loadSettings(schema, { aliases })]]);

const readersOf = new Map<string, Promise<Map<string, Instance>>>();

/** For each file that a stage reads, the instance of that stage. */
function readers(data: string): Promise<Map<string, Instance>> {
  const found = readersOf.get(data) ?? findReaders(data);
  readersOf.set(data, found);
  return found;
}

async function findReaders(data: string): Promise<Map<string, Instance>> {
  const loaded = await loading;
  const settings = config(loaded, data);
  const found = new Map<string, Instance>();
  for (const stage of loaded.stages.values()) {
    const instance = new Instance(stage, settings);
    for (const name of instance.inputs)
      for (const { files } of committedShards(datasetFolder(settings, name), '').values())
        for (const { file } of files) found.set(join(name, file), instance);
  }
  return found;
}

/** A run of the small growing pipeline that has replaced and kept results, made once for a folder. */
async function grownRun(folder: string): Promise<string> {
  const data = join(folder, 'grown');
  if (existsSync(data)) return data;
  const loaded = await loadRegistry(growing);
  const made = async (...overrides: string[]): Promise<void> => {
    const settings = loadSettings(loaded.schema, {
      overrides: [`data=${data}`, 'workers=1', 'threads=1', ...overrides],
    });
    await runStage(loaded, 'score', settings, { redo: true });
  };
  await made('items.count=9');
  await made('items.count=5');
  await made('items.count=5', 'items.scale=7');
  mkdirSync(join(data, '.sweeps'), { recursive: true });
  const member = { run: 'pocket', settings: { 'fit.lr': 0.5 }, seed: null };
  writeFileSync(
    join(data, '.sweeps/s.json'),
    JSON.stringify({ name: 's', base: 'pocket', stages: ['fit'], plain: [], config: null, members: [member] }),
  );
  return data;
}

export const RUNS: readonly Kind[] = [
  {
    name: 'run-inputs',
    weight: 1,
    seeds: async (scratch) => {
      const run = wholeRun(scratch);
      const read = await readers(join(scratch, 'data'));
      return filesIn(run).filter(({ name, bytes }) => read.has(name) && bytes.length > 0);
    },
    mutate: mutatedBytes,
    read: async (input, seed, folder) => {
      const run = wholeRun(folder);
      const instance = (await readers(join(folder, 'data'))).get(seed.name);
      if (input.equals(seed.bytes) || !instance) return;
      await replaced(run, seed, input, async () => {
        await verifyInputs(instance, [{ id: 'all' }]);
        throw new Used(`${seed.name}: ${instance.name} would read it, and did not notice that it is another file`);
      });
    },
  },
  {
    name: 'run-metadata',
    weight: 0.4,
    lines: 21,
    seeds: (scratch) => filesIn(wholeRun(scratch)).filter(({ name }) => METADATA.test(name)),
    mutate: (random, bytes, _, { name }) => {
      if (name.startsWith('metrics/')) return mutatedLines(random, bytes, bytes, (line) => resealedLine(random, line));
      if (name.endsWith('.jsonl')) return mutatedLines(random, bytes, bytes, (line) => resealedLine(random, line));
      return mutatedRecord(random, bytes);
    },
    read: async (input, seed, folder) => {
      const run = wholeRun(folder);
      const data = join(folder, 'data');
      const loaded = await loading;
      await replaced(run, seed, input, () =>
        each(
          async () => {
            const { config: settings } = loadRunSettings(loaded, { overrides: [`data=${data}`] });
            await inspectRun(loaded, settings);
          },
          () => inspectRun(loaded, config(loaded, data)),
          () => examineRun(run),
          () => listRuns(loaded, data, named(loaded)),
          () => compareRuns(loaded, data, ['pocket', 'pocket']),
          () => viewed(data, folder),
        ),
      );
    },
  },
  {
    name: 'run-kept',
    weight: 0.4,
    lines: 21,
    seeds: async (scratch) =>
      filesIn(await grownRun(scratch)).filter(({ name }) =>
        /entry\.json$|\.sweeps|run\.json|_plan\.json|_manifest\.jsonl|scratch/.test(name),
      ),
    mutate: (random, bytes, _, { name }) =>
      name.endsWith('.jsonl')
        ? mutatedLines(random, bytes, bytes, (line) => resealedLine(random, line))
        : mutatedRecord(random, bytes),
    read: async (input, { name }, folder) => {
      const whole = await grownRun(folder);
      const data = join(folder, 'copy');
      rmSync(data, { recursive: true, force: true });
      cpSync(whole, data, { recursive: true });
      writeFileSync(join(folder, 'precious'), 'thesis');
      writeFileSync(join(data, name), input);
      const run = join(data, 'pocket');
      const loaded = await loadRegistry(growing);
      const settings = (): Config =>
        loadRunSettings(loaded, { overrides: [`data=${data}`, 'workers=1', 'threads=1'] }).config;
      const instances = readdirSync(join(run, '.spare'), { withFileTypes: true }).flatMap((entry) =>
        entry.isDirectory() ? entry.name : [],
      );
      await each(
        () => new Trash(run).list(),
        () => instances.map((instance) => new Spare(run, instance.replaceAll(',', '/')).list()),
        () => sweepNames(data).map((sweep) => readSweep(data, sweep)),
        () => examineRun(run),
        () => listRuns(loaded, data, named(loaded)),
        async () => inspectRun(loaded, settings()),
        async () => {
          for (const entry of readdirSync(join(run, '.trash'))) await new Trash(run).restore(entry);
        },
        () => runStage(loaded, 'score', settings(), { redo: true }),
      );
      if (readFileSync(join(folder, 'precious'), 'utf8') !== 'thesis')
        throw new Error('a file outside of the run was written');
    },
  },
];
