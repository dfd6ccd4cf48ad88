import type { z } from 'zod';
import { UserError } from '../errors.js';
import { valueAt } from '../settings/changes.js';
import { leafPaths, schemaAt, show } from '../settings/schema.js';
import { type Aliases, type Config, composeSettings } from '../settings/settings.js';
import type { PlanRecord } from './outputs.js';
import type { Stage } from './stage.js';

/** The stages of a program. Listing their names is cheap; a module is loaded when a command needs it. */
export interface Registry {
  /** URL of the module that exports this as `registry`; without it all shards run in the main thread */
  readonly module?: string;
  readonly stages: readonly { readonly name: string; readonly summary: string; readonly load: () => Promise<Stage> }[];
  /** settings sections that several stages share: `models`, `device`, ... */
  readonly sections?: () => Promise<Readonly<Record<string, z.ZodType>>>;
  readonly aliases?: Aliases;
  /** the registry with the additions of plugins, given the absolute paths of their modules. @throws UserError */
  extend?(plugins: readonly string[]): Promise<Registry>;
  /** folder of the settings files that `--config` and `extends` find by name */
  readonly library?: string;
  /** settings file without `--config`: a path */
  readonly defaultConfig?: string;
}

export interface LoadedRegistry {
  readonly module?: string;
  readonly stages: ReadonlyMap<string, Stage>;
  readonly schema: z.ZodObject;
  readonly aliases: Aliases;
}

/** Loads all stages and composes the schema of all settings. */
export async function loadRegistry(registry: Registry): Promise<LoadedRegistry> {
  const stages = await Promise.all(registry.stages.map(({ load }) => load()));
  const sections: Record<string, z.ZodType> = { ...(await registry.sections?.()) };
  for (const stage of stages) sections[stage.name] = stage.schema;
  return {
    module: registry.module,
    stages: new Map(stages.map((stage) => [stage.name, stage])),
    schema: composeSettings(sections),
    aliases: registry.aliases ?? {},
  };
}

/** The settings with some of them (by dotted path) replaced, validated again. */
export function withSettings(schema: z.ZodObject, config: Config, changes: Readonly<Record<string, unknown>>): Config {
  const values = structuredClone(config) as Record<string, unknown>;
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    let at = values;
    for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
    at[keys.at(-1)!] = value;
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data as Config;
  const [{ path }] = parsed.error.issues;
  throw new UserError(
    `${path.join('.')}: got ${show(valueAt(values, path.map(String)))}, not a value that this version takes`,
  );
}

/** The settings of its own section that an instance was built with, by path. */
export function recordedSettings(schema: z.ZodObject, { stage, settings }: PlanRecord): (readonly [string, unknown])[] {
  const section = schemaAt(schema, [stage]);
  if (!section) return [];
  return leafPaths(section, [stage]).flatMap(({ path, schema: field }) => {
    const value = valueAt({ [stage]: settings[stage] }, path.split('.'));
    if (value !== undefined) return [[path, value] as const];
    // recorded plans leave these out at their default (withoutAdded), whatever the settings of now are
    return field.meta()?.added === true ? [[path, field.parse(undefined)] as const] : [];
  });
}

/**
 * The settings with a stage's own replaced by those that an instance of it was built with.
 * @param takes which of them, by path
 * @returns undefined where they are no longer valid
 */
export function withRecorded(
  schema: z.ZodObject,
  config: Config,
  plan: PlanRecord,
  takes: (path: string) => boolean = () => true,
): Config | undefined {
  const { stage, instance } = plan;
  const recorded = recordedSettings(schema, plan);
  const changes = recorded.filter(([path]) => takes(path));
  // the plan leaves out the name of an evaluation, which changes nothing else
  const name = schemaAt(schema, [stage, 'name']) && !recorded.some(([path]) => path === `${stage}.name`);
  const named = name ? [[`${stage}.name`, instance.slice(instance.indexOf('/') + 1)] as const] : [];
  try {
    return withSettings(schema, config, Object.fromEntries([...changes, ...named]));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
