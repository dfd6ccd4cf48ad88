import { UserError } from '../errors.js';
import { livingHolder } from '../data/store/lock.js';
import type { Config } from '../settings/settings.js';
import { Display } from './display.js';
import { costs, type Costs } from './costs.js';
import { refuseForeign } from './execute.js';
import { Instance } from './instance.js';
import { readPlan } from './outputs.js';
import { whatChanged, wouldReplace } from './reasons.js';
import { checkReference, reference } from './reference.js';
import type { LoadedRegistry } from './registry.js';
import { asBuilt, commandSettings } from './run-settings.js';
import { findProducer, lockFile, requireDataset, type RunOptions } from './run.js';
import type { Shard, Stage } from './stage.js';
import { survey, type Work } from './survey.js';

/** What a command would do to one stage instance. */
export interface Step {
  readonly stage: string;
  readonly instance: string;
  /** planned shards; null where inputs must be built before the stage can plan */
  readonly planned: number | null;
  /** finished shards that are used as they are */
  readonly reused: number;
  /** shards that do not exist yet; null where `planned` is */
  readonly built: number | null;
  /** finished shards that become longer or shorter */
  readonly resized: number;
  /** finished shards that are taken back from those kept aside */
  readonly back: number;
  /** finished shards that are built anew; the old ones go to the trash */
  readonly replaced: number;
  /** finished shards that the plan does not need: kept aside, or replaced with the others */
  readonly dropped: number;
  /** whether its inputs will have further shards, so that it may build more than can be planned now */
  readonly more: boolean;
  readonly why: readonly string[];
  /** estimate; null where no shard of this stage was built before */
  readonly seconds: number | null;
  /** estimate of the new files; null as above */
  readonly bytes: number | null;
  /** why the command would stop here */
  readonly stops: string | null;
}

/** The plan of a command. */
export interface Forecast {
  readonly run: string;
  readonly stage: string;
  /** whether the command would run to its end, as far as can be seen before */
  readonly runs: boolean;
  readonly steps: readonly Step[];
  /** the sums of the steps; null where a step that builds something has no estimate */
  readonly seconds: number | null;
  readonly bytes: number | null;
  /** what this command uses of the run, although the run's settings say something else */
  readonly notes: readonly string[];
}

/** What a step does to its data sets, for the stages that read them. */
interface Effect {
  /** its shards that will have another content */
  readonly changed: ReadonlySet<string>;
  /** those of them that only become longer or shorter */
  readonly resized: ReadonlySet<string>;
  /** whether there will be further shards, whose number may be unknown */
  readonly more: boolean;
  /** whether nothing can be read there yet */
  readonly absent: boolean;
}

const UNTOUCHED: Effect = { changed: new Set(), resized: new Set(), more: false, absent: false };

/** What `runStage` would do with the same arguments. Writes nothing, and takes no lock. */
export async function forecast(
  registry: LoadedRegistry,
  name: string,
  config: Config,
  options: Pick<RunOptions, 'deps' | 'force' | 'redo'> = {},
): Promise<Forecast> {
  const target = registry.stages.get(name)!;
  const forecaster = new Forecaster(registry, config, options);
  await forecaster.look(target, config, []);
  const { steps, notes } = forecaster;
  const holder = livingHolder(lockFile(config));
  if (holder) notes.push(`the run is in use by process ${holder.pid}, which may change this`);
  const sum = (of: (step: Step) => number | null): number | null =>
    steps.reduce<number | null>((total, step) => {
      const value = of(step);
      return total === null || value === null ? null : total + value;
    }, 0);
  return {
    run: config.run,
    stage: name,
    runs: steps.every(({ stops }) => stops === null),
    steps,
    seconds: sum(({ seconds }) => seconds),
    bytes: sum(({ bytes }) => bytes),
    notes,
  };
}

class Forecaster {
  readonly steps: Step[] = [];
  readonly notes: string[] = [];
  private readonly effects = new Map<string, Effect>();
  private readonly redo: boolean;
  private readonly known: Costs;

  constructor(
    private readonly registry: LoadedRegistry,
    private readonly config: Config,
    private readonly options: Pick<RunOptions, 'deps' | 'force' | 'redo'>,
  ) {
    this.redo = options.redo === true || config.yes;
    this.known = costs(config);
  }

  async look(stage: Stage, settings: Config, chain: readonly string[]): Promise<Effect> {
    const name = stage.instance(settings);
    const seen = this.effects.get(name);
    if (seen) return seen;
    const again = this.options.force === true && chain.length === 0;
    const instance = new Instance(stage, settings);
    const inputs = new Map<string, Effect>();
    let stops: string | null = null;
    try {
      if (!again) refuseForeign(instance);
      for (const dataset of instance.inputs) inputs.set(dataset, await this.input(dataset, settings, instance, chain));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      stops = error.message;
    }
    const { step, effect } = await this.step(instance, inputs, again, stops);
    this.steps.push(step);
    this.effects.set(name, effect);
    return effect;
  }

  private async input(
    dataset: string,
    settings: Config,
    { name }: Instance,
    chain: readonly string[],
  ): Promise<Effect> {
    const { registry } = this;
    const command = commandSettings(this.config);
    const other = reference(dataset);
    if (other) await checkReference(settings, other);
    else if (this.options.deps === false) requireDataset(registry, settings, dataset, name);
    else {
      const producer = findProducer(registry, command?.beneath ?? settings, dataset, name);
      if (!producer) return UNTOUCHED;
      const built = asBuilt(registry, producer.stage, producer.config, command, (differences) =>
        this.notes.push(`${dataset}: used as it was built (${differences.join('; ')})`),
      );
      return this.look(producer.stage, built, [...chain, name]);
    }
    return UNTOUCHED;
  }

  private async step(
    instance: Instance,
    inputs: ReadonlyMap<string, Effect>,
    force: boolean,
    stopped: string | null,
  ): Promise<{ step: Step; effect: Effect }> {
    const { stage, name, outputs } = instance;
    const from = [...inputs].filter(([, { absent, more, changed }]) => absent || more || changed.size > 0);
    const inputsChange = from.length > 0 ? [`inputs change (${from.map(([dataset]) => dataset).join(', ')})`] : [];
    const shards = stopped === null && ![...inputs.values()].some(({ absent }) => absent) ? await plan(instance) : null;
    const blank = { stage: stage.name, instance: name, reused: 0, resized: 0, back: 0, replaced: 0, dropped: 0 };
    if (!shards) {
      const why = stopped === null ? ['its inputs are built first'] : [];
      const unknown = {
        planned: null,
        built: null,
        seconds: null,
        bytes: null,
        stops: stopped,
        more: stopped === null,
      };
      return { step: { ...blank, ...unknown, why }, effect: { ...UNTOUCHED, more: true, absent: true } };
    }
    const { works, surplus, dropped } = survey(instance, shards, { force });
    const of = (how: Work['how']): Work[] => works.filter((work) => work.how === how);
    // a finished shard whose inputs will be others
    const touched = of('done').filter(({ shard }) => this.touches(shard, inputs));
    const replacing = works.filter(({ replaces }) => replaces);
    const resized = touched.filter(({ shard }) => this.followsSize(instance, shard, inputs));
    const rebuilt = touched.filter((work) => !resized.includes(work));
    const replaced = stage.view ? [] : [...replacing, ...rebuilt];
    const building = [...of('build'), ...rebuilt];
    const fresh = building.filter((work) => !replaced.includes(work));
    const growing = [...of('grow'), ...resized];
    const missing = [...growing, ...building].map(({ shard }) => shard);
    const recorded = readPlan(outputs[0].folder)?.settings;
    const replaces = replaced.length + (stage.view ? 0 : dropped.length) > 0;
    const rest = replaces || stage.view ? surplus : [];
    const reasons = force
      ? ['--force']
      : whatChanged(
          instance,
          recorded,
          of('build').map(({ shard }) => shard),
          rest.length,
        );
    const why = missing.length === 0 && rest.length === 0 ? [] : [...new Set([...reasons, ...inputsChange])];
    const whole = new Set([...replaced.map(({ shard }) => shard.id), ...rest.map(({ shard }) => shard)]);
    const stops = replaces && !this.redo && !force ? wouldReplace(instance, whole, shards, why.join('; ')) : null;
    const cost = this.known.of(instance, missing.length);
    const more = [...inputs.values()].some((effect) => effect.more);
    const step: Step = {
      ...blank,
      planned: shards.length,
      reused: of('done').length - touched.length,
      built: fresh.length,
      resized: growing.length,
      back: of('back').length,
      replaced: replaced.length,
      dropped: surplus.length,
      more,
      why: why.length > 0 ? why : more ? inputsChange : [],
      // inputs that grow may mean more shards than can be planned now
      seconds: more && replaced.length === 0 ? null : cost.seconds,
      bytes: more && replaced.length === 0 ? null : cost.bytes,
      stops: stops?.message ?? null,
    };
    const changed = new Set([
      ...missing.map(({ id }) => id),
      ...of('back').map(({ shard }) => shard.id),
      ...rest.map(({ shard }) => shard),
    ]);
    const adds = more || fresh.length > 0 || surplus.length > 0;
    const grown = new Set(stage.growth === 'rows' ? growing.map(({ shard }) => shard.id) : []);
    return { step, effect: { changed, resized: grown, more: adds, absent: outputs[0].shards.length === 0 } };
  }

  /** Whether a shard only becomes longer or shorter with what it is built from. */
  private followsSize(instance: Instance, shard: Shard, inputs: ReadonlyMap<string, Effect>): boolean {
    if (!instance.grows(shard) || instance.stage.growth !== 'rows') return false;
    return [...inputs].every(([dataset, { changed, resized, more }]) => {
      const only = shard.inputs?.[dataset];
      return only ? only.every((id) => resized.has(id) || !changed.has(id)) : !more && changed.size === 0;
    });
  }

  /** Whether a finished shard is built from something that will change. */
  private touches(shard: Shard, inputs: ReadonlyMap<string, Effect>): boolean {
    return [...inputs].some(([dataset, { changed, more }]) => {
      const only = shard.inputs?.[dataset];
      return only ? only.some((id) => changed.has(id)) : more || changed.size > 0;
    });
  }
}

/** The shards of an instance, if its inputs are there. */
async function plan(instance: Instance): Promise<readonly Shard[] | null> {
  try {
    return await instance.plan(instance.context(new Display('quiet'), new AbortController().signal));
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}
