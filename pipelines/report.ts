import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LabelQuality } from '../src/data/label-quality.js';
import { writeAtomic } from '../src/data/store/atomic.js';
import { readSealed } from '../src/data/store/sealed.js';
import { setFile } from '../src/data/store/set-files.js';
import { CURVE, TOKEN_INFLUENCE } from '../src/data/online-tables.js';
import { ownCommands } from '../src/report/commands.js';
import { curves } from '../src/report/curves.js';
import type { Evaluation } from '../src/report/evaluations.js';
import type { OnlinePart } from '../src/report/online.js';
import { page } from '../src/report/page.js';
import type { ValueQuality } from '../src/report/rating-quality.js';
import { reportJson, type Part, type RecordedSettings, type Report } from '../src/report/report.js';
import { fitOf } from '../src/report/verdicts.js';
import { readMetrics } from '../src/data/metrics.js';
import { readPlan } from '../src/runner/outputs.js';
import { stage, type StageContext } from '../src/runner/stage.js';
import { type Config, settingsToYaml } from '../src/settings/settings.js';
import { FILES, readOnce } from './datasets.js';
import { readResult } from './eval.js';
import { Comparisons } from './report/comparison.js';
import { ReportData } from './report/data.js';
import { coloursOf, describePolicies } from './report/policies.js';
import { ReportSettings } from './report/settings.js';
import { readJsonObject } from '../src/data/formats/json.js';
import { readRunRecord } from '../src/runner/run-record.js';

/** The stages that make data. */
const STAGES = [
  'demos',
  'sft',
  'collect',
  'candidates',
  'vlm',
  'represent',
  'critic',
  'actor',
  'label',
  'value',
  'vem',
  'online',
  'eval',
];

/** Stages whose learning curves are shown first, in the order of the pipeline. */
const LEARNERS = ['sft', 'vlm', 'critic', 'actor', 'value', 'vem', 'online'];

/** Settings that change no result: where the run is, and how fast it is made. */
const PLACES: readonly string[] = ['data', 'workers', 'threads'];

/** One page on the whole run, and its numbers for programs, both in the run folder itself. */
export const report = stage({
  name: 'report',
  summary: 'write report.html and report.json',
  settings: ReportSettings,
  view: true,
  version: 2,
  uses: ['run', 'seed', 'actor.aggregate', 'actor.threshold'],
  inputs: ({ evals, sources, online }) => [
    ...sources,
    ...online.map((name) => `online/${name}`),
    ...new Set(evals.map((name) => `eval/${name}`)),
  ],
  outputs: () => ['.'],
  plan: () => [{ id: 'report' }],
  run: async (_shard, ctx) => {
    const made = await reportOf(ctx);
    await writeAtomic(join(ctx.folder, 'report.html'), page(made));
    await writeAtomic(join(ctx.folder, 'report.json'), reportJson(made));
    ctx.log.info(`wrote ${join(ctx.folder, 'report.html')}`);
    return ['report.html', 'report.json'];
  },
});

async function reportOf(ctx: StageContext<ReportSettings>): Promise<Report> {
  const { settings, config, folder } = ctx;
  const names = [...new Set(settings.evals)];
  const data = await ReportData.open(ctx);
  const trajectories = (): Part<never> => ({ missing: 'report.sources leaves out the trajectories.' });
  const record = readRunRecord(folder) as unknown as RunRecord;
  const changed = Object.entries(record.changed ?? {}).filter(([path]) => !PLACES.includes(path));
  const evaluations = new Map(names.map((name) => [name, readResult(ctx.dataset(`eval/${name}`))]));
  const comparisons = new Comparisons(ctx);
  const colours = coloursOf(ctx, [...[...evaluations.values()].map(({ policy }) => policy), ...settings.online]);
  const recorded = recordedSettings(folder);
  return {
    run: config.run,
    seed: ctx.seed,
    evaluations,
    compare: settings.compare,
    pairs: await comparisons.pairs(evaluations),
    policies: describePolicies(ctx, evaluations, colours),
    amounts: data ? { found: data.amounts() } : trajectories(),
    learning: learning(folder),
    online: await onlineParts(ctx, colours),
    values: data ? data.valuesPart() : trajectories(),
    labels: settings.sources.includes('labels') ? labelQuality(ctx.dataset('labels')) : undefined,
    valueModel: settings.sources.includes('value') ? valueQuality(ctx.dataset('value')) : undefined,
    trajectories: data ? await data.pictured() : trajectories(),
    comparison: await comparisonOf(ctx, evaluations, comparisons),
    recorded,
    commands: ownCommands(ownSettings(recorded), config, `${config.run}.yaml`),
    idle: STAGES.filter((name) => !recorded.some(({ stage }) => stage === name)),
    settings: Object.fromEntries(Object.entries(config).filter(([key]) => !PLACES.includes(key))),
    changed: Object.fromEntries(changed),
    yaml: settingsToYaml(nested(changed.map(([path, { value }]) => [path, value]))),
    embedded: (config.device as { backend?: string } | undefined)?.backend === 'phone',
    versions: record.versions,
    commit: record.commit,
  };
}

/**
 * What was built with settings of its own, in the order of the pipeline. Evaluations are left out, since their settings
 * follow from their names, as do the methods of policies that are named after them. Imported data have no command.
 */
function ownSettings(recorded: readonly RecordedSettings[]): RecordedSettings[] {
  return recorded
    .filter(({ stage }) => STAGES.includes(stage) && stage !== 'eval')
    .sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage))
    .map((one) => {
      const { method, ...rest } = (one.settings.actor ?? {}) as Record<string, unknown>;
      const implied = one.stage === 'actor' && one.dataset === `policy/${String(method)}`;
      return implied ? { ...one, settings: { ...one.settings, actor: { ...rest, name: undefined } } } : one;
    });
}

async function onlineParts(
  ctx: StageContext<ReportSettings>,
  colours: ReadonlyMap<string, number>,
): Promise<OnlinePart[]> {
  const parts: OnlinePart[] = [];
  for (const name of ctx.settings.online) {
    const folder = ctx.dataset(`online/${name}`);
    const curve = await readOnce(folder, 'online', FILES.curve, CURVE);
    const influence = await readOnce(folder, 'online', FILES.tokenInfluence, TOKEN_INFLUENCE);
    parts.push({ name, curve, influence, colour: colours.get(name)! });
  }
  return parts;
}

function labelQuality(folder: string): LabelQuality {
  return readSealed(setFile(folder, 'result'), 'run `critiq label --force`') as unknown as LabelQuality;
}

/** `quality.json` of a value model. An imported one is not measured. */
function valueQuality(folder: string): Part<ValueQuality> {
  const file = join(folder, 'quality.json');
  if (!existsSync(file)) return { missing: 'The value model was imported, so critiq has not measured it.' };
  return { found: readJsonObject(file, 'run `critiq value --force`') as unknown as ValueQuality };
}

/** run.json, as the runner writes it. */
type RunRecord = Pick<Report, 'versions' | 'commit'> & { readonly changed?: Report['changed'] };

async function comparisonOf(
  { settings: { compare } }: StageContext<ReportSettings>,
  evaluations: ReadonlyMap<string, Evaluation>,
  comparisons: Comparisons,
): Promise<Report['comparison']> {
  const absent = compare.find((name) => !evaluations.has(name));
  if (absent !== undefined) return { missing: `report.compare names ${absent}, but report.evals does not.` };
  return { found: await comparisons.headline(compare) };
}

/** Settings by dotted path as nested sections. */
function nested(settings: readonly (readonly [path: string, value: unknown])[]): Config {
  const whole: Record<string, unknown> = {};
  for (const [path, value] of settings) {
    const keys = path.split('.');
    let at = whole;
    for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
    at[keys.at(-1)!] = value;
  }
  return whole as Config;
}

/** Metrics of every stage of the run that wrote some. */
function learning(folder: string): Report['learning'] {
  const metrics = join(folder, 'metrics');
  const files = existsSync(metrics) ? readdirSync(metrics, { recursive: true, encoding: 'utf8' }) : [];
  const instances = files
    .filter((file) => file.endsWith('.jsonl'))
    .map((file) => file.slice(0, -6).replaceAll('\\', '/'));
  const rank = (instance: string) =>
    (LEARNERS.indexOf(instance.split('/')[0]) + LEARNERS.length + 1) % (LEARNERS.length + 1);
  return instances
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map((instance) => {
      const lines = readMetrics(join(metrics, `${instance}.jsonl`));
      const fit = fitOf(lines);
      return { stage: instance, curves: curves(lines), fit: fit && { ...fit, kept: keepsBest(folder, instance) } };
    })
    .filter((one) => one.curves.length > 0);
}

/** Whether a critic or an actor was trained with `keep_best`. */
function keepsBest(folder: string, instance: string): boolean {
  const plan = readPlan(join(folder, instance.replace(/^actor\//, 'policy/')));
  const own = plan?.settings[plan.stage] as { keep_best?: boolean } | undefined;
  return own?.keep_best === true;
}

/** The settings that each stage instance of the run folder was built with, under its first data set. */
function recordedSettings(folder: string): RecordedSettings[] {
  const known = new Map<string, RecordedSettings>();
  const look = (below: string, depth: number): void => {
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const name = join(below, entry.name);
      if (!entry.isDirectory() || entry.name.startsWith('.') || ['metrics', 'tb', 'scratch', 'images'].includes(name))
        continue;
      const plan = readPlan(join(folder, name));
      if (plan && !known.has(plan.instance))
        known.set(plan.instance, { dataset: name, stage: plan.stage, settings: plan.settings });
      if (!plan && depth < 2) look(name, depth + 1);
    }
  };
  look('', 1);
  return [...known.values()];
}
