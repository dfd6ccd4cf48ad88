/**
 * `make study-online`: DigiRL without an entropy bonus, with the naive one and with CoSo's, from the same offline checkpoint,
 * with the same number of live episodes and several seeds. Each run is a run of `critiq online` in its own folder, so a
 * stopped study resumes. Writes the curves and a table.
 *
 *   node dist/bench/study/online.js [--seeds 5] [--jobs 2] [--name study] [--out docs/study-online] [SETTING=VALUE...]
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import PQueue from 'p-queue';
import { FILES, readOnce } from '../../pipelines/datasets.js';
import { CURVE } from '../../src/data/online-tables.js';
import { metricsFile, readMetrics } from '../../src/data/metrics.js';
import { studyChart, studyTable, type Study, type StudyRun } from './report.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '5' },
    /** number of concurrent runs, each with one thread */
    jobs: { type: 'string', default: '2' },
    /** name of the study; use a new one for other settings */
    name: { type: 'string', default: 'study' },
    /** path of the output files, without extensions */
    out: { type: 'string', default: 'docs/study-online' },
    /** folder and name of the run with the offline checkpoint and trajectories; created if missing */
    data: { type: 'string', default: 'data' },
    run: { type: 'string', default: 'pocket' },
  },
});
const [seeds, jobs] = [Number(values.seeds), Number(values.jobs)];
const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const CONFIG = ['--config', 'configs/pocket-coso.yaml'];

/** CoSo's published α is 1. The phone's policies need less entropy, so α = 0.1 is tried too. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  none: ['online.entropy=none', 'online.alpha=1'],
  'naive, α = 0.1': ['online.entropy=naive', 'online.alpha=0.1'],
  'CoSo, α = 0.1': ['online.entropy=causal', 'online.alpha=0.1'],
  'naive, α = 1': ['online.entropy=naive', 'online.alpha=1'],
  'CoSo, α = 1': ['online.entropy=causal', 'online.alpha=1'],
};
const names = Object.keys(VARIANTS);

/** The data sets that `online` reads. */
const READ = ['policy/base', 'policy/filteredbc', 'trajectories', 'image-vectors'];

/**
 * Start from Filtered BC's policy and its trajectories. First the values and the causal model are trained on these, with a
 * frozen policy; then everything is trained on 512 live episodes.
 */
const SETTINGS = [
  'online.mode=off2on',
  'online.from=filteredbc',
  'online.offline_iterations=4',
  'online.warmup=4',
  'online.iterations=8',
  'online.eval_every=4',
  'threads=1',
  ...positionals,
];

const GREEDY = [
  'online.mode=eval',
  'online.from=tuned',
  'online.name=greedy',
  'online.eval_temperature=0',
  'threads=1',
];

/** Runs critiq. @throws Error with the end of its stderr if it fails */
function critiq(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'inherit', 'pipe'] });
    let said = '';
    child.stderr.on('data', (piece: Buffer) => {
      said = (said + String(piece)).slice(-4000);
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(said))));
  });
}

const folderOf = (run: string) => join(values.data, values.name, run);

/** Creates a run folder with the data sets that `online` reads. */
function prepare(run: string): void {
  const folder = folderOf(run);
  if (existsSync(folder)) return;
  rmSync(`${folder}.tmp`, { recursive: true, force: true });
  for (const dataset of READ)
    cpSync(join(values.data, values.run, dataset), join(`${folder}.tmp`, dataset), { recursive: true });
  renameSync(`${folder}.tmp`, folder);
}

await critiq(['actor', ...CONFIG, `data=${values.data}`, `run=${values.run}`, 'actor.method=filteredbc']);
const queue = new PQueue({ concurrency: jobs });
let done = 0;
const all: Promise<void>[] = [];
for (let seed = 0; seed < seeds; seed++) {
  for (const [k, variant] of names.entries()) {
    const run = `${k}-${seed}`;
    const own = [`data=${join(values.data, values.name)}`, `run=${run}`, `seed=${seed}`];
    all.push(
      queue.add(async () => {
        prepare(run);
        await critiq([
          'online',
          '--no-deps',
          ...CONFIG,
          ...own,
          ...VARIANTS[variant],
          'online.name=tuned',
          ...SETTINGS,
        ]);
        // Evaluate greedily too: has exploration found better actions, or only made the policy less certain?
        await critiq(['online', '--no-deps', ...CONFIG, ...own, ...GREEDY]);
        console.log(`${++done} of ${seeds * names.length}: ${variant}, seed ${seed}`);
      }),
    );
  }
}
await Promise.all(all);

const study = new Map<string, StudyRun[]>();
for (const [k, variant] of names.entries()) {
  const runs: StudyRun[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const folder = folderOf(`${k}-${seed}`);
    const curveOf = (name: string) => readOnce(join(folder, 'online', name), 'online', FILES.curve, CURVE);
    runs.push({
      curve: await curveOf('tuned'),
      greedy: (await curveOf('greedy'))[0],
      metrics: readMetrics(metricsFile(folder, 'online/tuned')),
    });
  }
  study.set(variant, runs);
}
mkdirSync(dirname(values.out), { recursive: true });
writeFileSync(`${values.out}.svg`, studyChart(study satisfies Study));
writeFileSync(`${values.out}.table.md`, studyTable(study));
console.log(studyTable(study));
