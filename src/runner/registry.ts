import type { z } from 'zod';
import { fields, schemaAt } from '../settings/schema.js';
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
  return schema.parse(values) as Config;
}

/** The settings with a stage's own replaced by those that an instance of it was built with. */
export function withRecorded(schema: z.ZodObject, config: Config, { stage, settings }: PlanRecord): Config {
  const own = (settings[stage] ?? {}) as Record<string, unknown>;
  // recorded plans leave these out at their default (withoutAdded), whatever the settings of now are
  const section = schemaAt(schema, [stage]);
  const added = Object.entries((section && fields(section)) ?? {})
    .filter(([, field]) => field.meta()?.added === true)
    .map(([key]) => [`${stage}.${key}`, undefined] as const);
  const changes = Object.entries(own).map(([key, value]) => [`${stage}.${key}`, value] as const);
  return withSettings(schema, config, Object.fromEntries([...added, ...changes]));
}
