import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { discreetJson } from '../secrets/known.js';

/** Settings of every run. `composeSettings` adds the sections of stages and shared parts (`critic`, `models`, ...). */
export const Core = z.object({
  run: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$/, 'a folder name: letters, digits, _ . + -')
    .default('pocket')
    .describe('name of the run; its folder is `<data>/<run>`')
    .meta({ scope: 'machine' }),
  plugins: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'modules that add stages, devices, judges or answer formats (docs/extending.md): packages, or paths relative to the file that names them; their code runs, so name only modules you trust',
    )
    .meta({ scope: 'machine' }),
  data: z
    .string()
    .min(1)
    .default('data')
    .describe('folder of all run folders, relative to the working directory')
    .meta({ scope: 'machine' }),
  seed: z.int().min(0).default(0).describe('seed of all random numbers of the run'),
  seeds: z
    .record(z.string(), z.int().min(0))
    .default({})
    .describe('seeds of single stages, as `seeds.critic=1`; the other stages use `seed` (docs/many-runs.md)'),
  yes: z
    .boolean()
    .default(false)
    .describe(
      'replace results that no longer match their inputs and settings without asking, as --redo does, for scheduled jobs; replaced results go to `.trash` (`critiq restore`, `critiq gc`)',
    )
    .meta({ scope: 'machine' }),
  workers: z
    .int()
    .min(0)
    .max(256)
    .default(0)
    .describe('shards of a stage that run in parallel, each in its own thread; 0: one per core, but at most 8')
    .meta({ scope: 'machine' }),
  threads: z
    .int()
    .min(0)
    .max(1024)
    .default(0)
    .describe('threads of the numeric runtime, divided among the parallel shards; 0: one per core')
    .meta({ scope: 'machine' }),
  provider: z
    .enum(['cpu', 'cuda', 'auto'])
    .default('cpu')
    .describe('where models run: on the CPU, on an NVIDIA GPU (docs/gpu.md), or on the GPU if there is a usable one'),
  device_id: z
    .int()
    .min(0)
    .max(63)
    .default(0)
    .describe('GPU to use, numbered as in `nvidia-smi`')
    .meta({ scope: 'machine' }),
  tf32: z
    .boolean()
    .default(false)
    .describe(
      'on a GPU, round the operands of matrix products to 10 bits: faster, but results differ from the CPU in the 4th digit',
    ),
});

/** Resolved settings: the core settings, and a section for each stage and shared part. Frozen. */
export type Config = Readonly<z.infer<typeof Core>> & { readonly [section: string]: unknown };

/** The schema of the core settings and the given sections. Every section is optional; all its fields have defaults. */
export function composeSettings(sections: Readonly<Record<string, z.ZodType>>): z.ZodObject {
  const shape: Record<string, z.ZodType> = { ...Core.shape };
  for (const [name, section] of Object.entries(sections)) {
    if (name in Core.shape) throw new Error(`settings section ${name}: the name is taken by a core setting`);
    shape[name] = section instanceof z.ZodObject ? section.prefault({}) : section;
  }
  return z.object(shape);
}

interface Definition {
  type: string;
  innerType?: z.ZodType;
  in?: z.ZodType;
  valueType?: z.ZodType;
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
}

function definition(schema: z.ZodType): Definition {
  return schema.def as unknown as Definition;
}

/** The schema under `.default()`, `.prefault()`, `.optional()`, `.nullable()`, `.readonly()`, `.catch()` and pipes. */
export function unwrap(schema: z.ZodType): z.ZodType {
  const def = definition(schema);
  const inner = def.innerType ?? (def.type === 'pipe' ? def.in : undefined);
  return inner ? unwrap(inner) : schema;
}

/** The fields of an object schema; undefined for other schemas. */
export function fields(schema: z.ZodType): Record<string, z.ZodType> | undefined {
  const def = definition(unwrap(schema));
  return def.type === 'object' ? def.shape : undefined;
}

/**
 * The schema at a dotted path such as `critic.lr`, through objects and records; undefined if there is none.
 * @param elements whether to go through lists too, by index
 */
export function schemaAt(schema: z.ZodType, path: readonly string[], elements = false): z.ZodType | undefined {
  let at = schema;
  for (const part of path) {
    const def = definition(unwrap(at));
    if (def.type === 'object' && Object.hasOwn(def.shape!, part)) at = def.shape![part];
    else if (def.type === 'record') at = def.valueType!;
    else if (def.type === 'array' && elements) at = def.element!;
    else return undefined;
  }
  return at;
}

/** The dotted paths of all settings (not of sections), in the order of the schema. */
export function leafPaths(schema: z.ZodType, prefix: readonly string[] = []): { path: string; schema: z.ZodType }[] {
  return Object.entries(fields(schema) ?? {}).flatMap(([key, field]) => {
    const path = [...prefix, key];
    return fields(field) ? leafPaths(field, path) : [{ path: path.join('.'), schema: field }];
  });
}

/**
 * Settings without those that are marked `.meta({ added: true })` and have their default, at any depth. The mark is for
 * settings that earlier versions did not have and that change nothing at their default: fingerprints and recorded plans
 * leave them out, so results of earlier versions stay up to date.
 */
export function withoutAdded(schema: z.ZodType, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const known = fields(schema) ?? {};
  const kept = Object.entries(values).flatMap(([key, value]): [string, unknown][] => {
    const field = known[key];
    if (!field) return [[key, value]];
    if (field.meta()?.added === true && isDeepStrictEqual(value, field.parse(undefined))) return [];
    const nested = fields(field) && typeof value === 'object' && value !== null;
    return [[key, nested ? withoutAdded(field, value as Record<string, unknown>) : value]];
  });
  return Object.fromEntries(kept);
}

/**
 * How long a value lasts that is given on the command line. `run`: it stays with the run. `result`: the setting names the
 * result that the command makes; it and the other settings of its section stay with that result. `command`: it holds for
 * this command. `machine`: it holds for this command, and so does the value of a settings file; the run never stores it.
 */
export type Scope = 'run' | 'result' | 'command' | 'machine';

/** Marks a setting or a whole section with a scope; without a mark it is `run`. */
export function scoped<S extends z.ZodType>(scope: Exclude<Scope, 'run'>, schema: S): S {
  return schema.meta({ scope });
}

/** The scope of a setting: its own mark, or that of the section around it. */
export function scopeOf(schema: z.ZodType, path: readonly string[]): Scope {
  let scope: Scope = 'run';
  path.forEach((_, i) => {
    const at = schemaAt(schema, path.slice(0, i + 1));
    const mark = at && (at.meta()?.scope ?? unwrap(at).meta()?.scope);
    if (mark !== undefined) scope = mark as Scope;
  });
  return scope;
}

/** The type of a setting in words: `number`, `integer`, `"td" or "mc"`, `list of number`. */
export function typeName(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as JsonSchema;
  return jsonTypeName(json);
}

/** A value and its type in words: `7 (number)`. */
export function show(value: unknown): string {
  if (value === null) return 'nothing (null)';
  const text = discreetJson(value) ?? String(value);
  const kind = Array.isArray(value) ? 'list' : typeof value === 'object' ? 'map' : typeof value;
  return `${text.length > 60 ? `${text.slice(0, 57)}...` : text} (${kind})`;
}

interface JsonSchema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  items?: JsonSchema;
  prefixItems?: JsonSchema[];
  additionalProperties?: JsonSchema | boolean;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

function jsonTypeName(json: JsonSchema): string {
  const options = json.anyOf ?? json.oneOf;
  if (options) return options.map(jsonTypeName).join(' or ');
  if (json.enum) return json.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (json.const !== undefined) return JSON.stringify(json.const);
  if (json.prefixItems) return `[${json.prefixItems.map(jsonTypeName).join(', ')}]`;
  if (json.type === 'array') return json.items ? `list of ${jsonTypeName(json.items)}` : 'list';
  if (json.type === 'object')
    return typeof json.additionalProperties === 'object' ? `map to ${jsonTypeName(json.additionalProperties)}` : 'map';
  const bounds: string[] = [];
  if (json.exclusiveMinimum !== undefined) bounds.push(`> ${json.exclusiveMinimum}`);
  else if (json.minimum !== undefined && json.minimum > Number.MIN_SAFE_INTEGER) bounds.push(`>= ${json.minimum}`);
  if (json.exclusiveMaximum !== undefined) bounds.push(`< ${json.exclusiveMaximum}`);
  else if (json.maximum !== undefined && json.maximum < Number.MAX_SAFE_INTEGER) bounds.push(`<= ${json.maximum}`);
  return [json.type ?? 'value', ...(bounds.length > 0 ? [bounds.join(', ')] : [])].join(' ');
}
