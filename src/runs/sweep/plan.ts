import { UserError } from '../../errors.js';
import { Instance } from '../../runner/instance.js';
import { findProducer } from '../../runner/run.js';
import { withRecorded, type LoadedRegistry } from '../../runner/registry.js';
import type { Stage } from '../../runner/stage.js';
import type { Config } from '../../settings/settings.js';
import { storedInstances, type StoredSet } from '../results.js';
import { SEED, type Axis } from './axes.js';

/**
 * The stages of a sweep, in the order of the pipeline.
 * @throws UserError for an unknown stage, and for an axis that changes a stage which all runs share
 */
export function sweptStages({ stages }: LoadedRegistry, named: readonly string[], axes: readonly Axis[]): string[] {
  const known = [...stages.keys()];
  const unknown = named.find((name) => !known.includes(name));
  if (unknown !== undefined || named.length === 0)
    throw new UserError(
      `--stages ${named.join(',')}: ${unknown === undefined ? 'empty' : `no stage ${unknown}`}; expected some of ${known.join(', ')}, for example critic,actor,eval`,
    );
  for (const { path } of axes) {
    const section = path.split('.')[0];
    if (path !== SEED && known.includes(section) && !named.includes(section))
      throw new UserError(
        `${path}: belongs to the stage ${section}, which all runs of the sweep would share; add it to --stages`,
      );
  }
  return known.filter((name) => named.includes(name));
}

/** Stages whose results the members share, and that must be built in the base before it is forked. */
export interface Shared {
  readonly stage: Stage;
  readonly config: Config;
}

/**
 * What the base has to have before it is forked: the inputs of the swept stages that no swept stage builds, and that do not
 * depend on one.
 * @param base settings of the base
 * @param member settings of a member
 */
export function sharedInputs(
  registry: LoadedRegistry,
  swept: readonly string[],
  base: Config,
  member: Config,
): Shared[] {
  const shared = new Map<string, Shared>();
  const depends = (stage: Stage, config: Config, seen: ReadonlySet<string>): boolean => {
    if (swept.includes(stage.name)) return true;
    const name = stage.instance(config);
    if (seen.has(name)) return false;
    return stage.inputs(config).some((dataset) => {
      const producer = findProducer(registry, config, dataset, name);
      return producer !== undefined && depends(producer.stage, producer.config, new Set([...seen, name]));
    });
  };
  const add = (stage: Stage, config: Config): void => {
    for (const dataset of stage.inputs(config)) {
      const producer = findProducer(registry, base, dataset, stage.name);
      if (!producer || swept.includes(producer.stage.name)) continue;
      if (depends(producer.stage, producer.config, new Set())) add(producer.stage, producer.config);
      else shared.set(producer.stage.instance(producer.config), producer);
    }
  };
  for (const name of swept) add(registry.stages.get(name)!, member);
  return [...shared.values()];
}

/** The data sets of the base that a member does not share: what the swept stages built, and all that was built from it. */
export function notShared(
  registry: LoadedRegistry,
  swept: readonly string[],
  base: Config,
  sets: readonly StoredSet[],
): ReadonlySet<string> {
  const left = new Set<string>();
  const instances = storedInstances(sets);
  for (let before = -1; before !== left.size;) {
    before = left.size;
    for (const { stage: name, sets: own } of instances) {
      const stage = registry.stages.get(name);
      const { plan } = own[0];
      const reads = stage && plan ? inputsOf(registry, stage, base, plan) : [];
      if (swept.includes(name) || reads.some((input) => left.has(input))) for (const set of own) left.add(set.name);
    }
  }
  return left;
}

function inputsOf(
  registry: LoadedRegistry,
  stage: Stage,
  base: Config,
  plan: NonNullable<StoredSet['plan']>,
): readonly string[] {
  const recorded = withRecorded(registry.schema, base, plan);
  return recorded ? stage.inputs(recorded) : [];
}

/** An earlier member of a sweep that gives the same in the first stages. */
export interface Twin {
  readonly run: string;
  /** number of the first stages that are the same */
  readonly stages: number;
}

/**
 * For each member the first earlier one with which it shares most: stages with the same settings and seeds, which read the
 * same. A sweep over settings of evaluations alone trains once.
 * @param members settings by run, in the order in which they are worked on
 */
export function twins(
  registry: LoadedRegistry,
  swept: readonly string[],
  members: ReadonlyMap<string, Config>,
): ReadonlyMap<string, Twin> {
  const firsts = new Map<string, string>();
  const found = new Map<string, Twin>();
  for (const [run, config] of members) {
    const made: unknown[] = [];
    for (const [i, name] of swept.entries()) {
      const { name: instance, settings, inputs } = new Instance(registry.stages.get(name)!, config);
      made.push([instance, settings, inputs]);
      const key = JSON.stringify(made);
      const first = firsts.get(key);
      if (first === undefined) firsts.set(key, run);
      else found.set(run, { run: first, stages: i + 1 });
    }
  }
  return found;
}
