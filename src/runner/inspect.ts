import { counted } from '../counted.js';
import { UserError } from '../errors.js';
import type { Config } from '../settings/settings.js';
import { Display } from './display.js';
import { circularStages } from './inputs.js';
import { datasetFolder, Instance, runFolder } from './instance.js';
import { livingHolder } from '../data/store/lock.js';
import { lastMetrics, metricsFile, type MetricsLine } from '../data/metrics.js';
import { Output, type PlanRecord, readPlan } from './outputs.js';
import { whatChanged } from './reasons.js';
import { recordedPlans } from './recorded.js';
import { type LoadedRegistry, withRecorded } from './registry.js';
import { findProducer, lockFile } from './run.js';
import { asBuilt, type CommandSettings, commandSettings, resultSettings } from './run-settings.js';
import type { Stage } from './stage.js';
import { survey, type Work } from './survey.js';

/**
 * `up to date`: nothing to do. `outdated`: inputs or settings changed since. `incomplete`: started with the same settings.
 * `missing`: not started. `running`: in a live process. `imported`: data that no stage built; stages leave it alone.
 */
export type State = 'up to date' | 'outdated' | 'incomplete' | 'missing' | 'running' | 'imported';

export interface StageStatus {
  readonly stage: string;
  readonly instance: string;
  readonly state: State;
  /** shards that are valid for these settings and inputs */
  readonly done: number;
  /** planned shards; null if inputs that the plan needs are missing */
  readonly planned: number | null;
  readonly rows: number;
  readonly outputs: readonly string[];
  /** why it is outdated or incomplete: settings and inputs that changed; empty otherwise */
  readonly why: readonly string[];
  /** last line of its metrics */
  readonly lastMetric: MetricsLine | null;
}

/** The state of every stage with these settings, and of every other instance in the run folder. Writes nothing. */
export async function inspectRun(registry: LoadedRegistry, config: Config): Promise<StageStatus[]> {
  const inspector = new Inspector(registry, config);
  const command = commandSettings(config);
  const rows = new Map<string, StageStatus>();
  const add = async (stage: Stage, settings: Config): Promise<void> => {
    const row = await inspector.inspect(stage, settings);
    rows.set(row.instance, row);
  };
  const plans = recordedPlans(runFolder(config));
  for (const stage of registry.stages.values()) {
    await add(stage, resultSettings(registry.schema, command, config, stage.instance(config)));
    for (const plan of plans.filter((one) => one.stage === stage.name && !rows.has(one.instance))) {
      const own = resultSettings(registry.schema, command, config, plan.instance);
      const built = withRecorded(registry.schema, own, plan, (path) => !command?.changed.has(path));
      if (built && !rows.has(stage.instance(built))) await add(stage, built);
      else if (!built) rows.set(plan.instance, unreadable(plan));
    }
  }
  return [...rows.values()];
}

/** The row of a result whose settings cannot be read. */
function unreadable({ stage, instance, shards }: PlanRecord): StageStatus {
  return {
    stage,
    instance,
    state: 'outdated',
    done: 0,
    planned: shards.length,
    rows: 0,
    outputs: [],
    why: ['its settings are not valid in this version'],
    lastMetric: null,
  };
}

class Inspector {
  private readonly seen = new Map<string, Promise<StageStatus>>();
  private readonly running: string | undefined;

  private readonly command: CommandSettings | undefined;

  constructor(
    private readonly registry: LoadedRegistry,
    config: Config,
  ) {
    this.command = commandSettings(config);
    this.running = livingHolder(lockFile(config))?.running;
  }

  /** @param chain the instances that need this one */
  inspect(stage: Stage, config: Config, chain: readonly string[] = []): Promise<StageStatus> {
    const name = stage.instance(config);
    if (chain.includes(name)) throw circularStages([...chain.slice(chain.indexOf(name)), name], config);
    // a result may be looked at as the run's settings say, and as it was built
    const key = JSON.stringify([stage.instance(config), stage.settings(config)]);
    let status = this.seen.get(key);
    if (!status) {
      status = this.look(stage, config, [...chain, name]);
      this.seen.set(key, status);
    }
    return status;
  }

  private async look(stage: Stage, config: Config, chain: readonly string[]): Promise<StageStatus> {
    const instance = new Instance(stage, config);
    const { outputs } = instance;
    const plan = readPlan(outputs[0].folder);
    const foreign = outputs.some((output) => output.foreign);
    const { fine: inputsFine, unfit } = await this.inputsAreFine(stage, config, chain);
    const shards = foreign || inputsFine === undefined ? undefined : await this.planned(instance);
    const surveyed = shards && survey(instance, shards).works;
    const doneIds = surveyed?.filter(({ how }) => how === 'done').map(({ shard }) => shard.id);
    // shards that become longer or shorter, or that the plan does not need, are not outdated: nothing replaces them
    const committed = outputs[0].shards.filter((id) => !surveyed || surveyed.some(({ shard }) => shard.id === id));
    const growing =
      surveyed?.filter(({ how, replaces }) => how !== 'done' && !replaces).map(({ shard }) => shard.id) ?? [];
    let state: State;
    if (this.running === instance.name) state = 'running';
    else if (foreign) state = 'imported';
    else if (!plan && committed.length === 0) state = 'missing';
    else if (
      !doneIds ||
      !shards ||
      !inputsFine ||
      !committed.every((id) => doneIds.includes(id) || growing.includes(id))
    )
      state = 'outdated';
    else if (doneIds.length === shards.length && plan?.finished) state = 'up to date';
    else state = doneIds.length === 0 && committed.length === 0 && plan?.finished ? 'outdated' : 'incomplete';
    return {
      stage: stage.name,
      instance: instance.name,
      state,
      done: doneIds?.length ?? (foreign ? committed.length : 0),
      planned: foreign ? committed.length : (shards?.length ?? null),
      rows: outputs[0].rows(),
      outputs: outputs.map(({ name }) => name),
      why: state === 'outdated' || state === 'incomplete' ? [...unfit, ...reasons(instance, surveyed)] : [],
      lastMetric: lastMetrics(metricsFile(instance.folder, instance.name)) ?? null,
    };
  }

  /** Whether all inputs are up to date, undefined if one is missing, so that nothing can be planned; and which are not. */
  private async inputsAreFine(
    stage: Stage,
    config: Config,
    chain: readonly string[],
  ): Promise<{ fine: boolean | undefined; unfit: readonly string[] }> {
    const unfit: string[] = [];
    for (const dataset of stage.inputs(config)) {
      let producer: ReturnType<typeof findProducer>;
      try {
        producer = findProducer(this.registry, config, dataset, stage.name);
      } catch (error) {
        if (error instanceof UserError) return { fine: undefined, unfit: [`${dataset} is missing`] };
        throw error;
      }
      const built = producer && asBuilt(this.registry, producer.stage, producer.config, this.command);
      const status = producer && (await this.inspect(producer.stage, built!, chain));
      if (new Output(dataset, datasetFolder(config, dataset)).shards.length === 0 && status?.state !== 'up to date')
        return { fine: undefined, unfit: [`${dataset} is missing`] };
      if (status && status.state !== 'up to date' && status.state !== 'imported')
        unfit.push(`${dataset} is ${status.state}`);
    }
    return { fine: unfit.length === 0, unfit };
  }

  private async planned(instance: Instance) {
    try {
      return await instance.plan(instance.context(new Display('quiet'), new AbortController().signal));
    } catch (error) {
      if (error instanceof UserError) return undefined;
      throw error;
    }
  }
}

/** Why an instance does not match its plan: settings and inputs that changed, files that are lost, shards to come. */
function reasons(instance: Instance, works: readonly Work[] | undefined): string[] {
  if (!works) return [];
  const missing = works.filter(({ how }) => how !== 'done').map(({ shard }) => shard);
  const recorded = readPlan(instance.outputs[0].folder)?.settings;
  const changed = whatChanged(instance, recorded, missing, 0);
  const fresh = works.filter(({ how, current }) => how === 'build' && current === undefined).length;
  return [
    ...changed,
    ...(changed.length === 0 && fresh > 0 ? [`${counted(fresh, 'shard is', 'shards are')} not built yet`] : []),
  ];
}
