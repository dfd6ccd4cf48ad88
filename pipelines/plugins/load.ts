import { existsSync, statSync } from 'node:fs';
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { SERVED_FORMATS } from '../../src/agents/served/formats.js';
import { UserError } from '../../src/errors.js';
import type { Registry } from '../../src/runner/registry.js';
import type { Stage } from '../../src/runner/stage.js';
import { Core } from '../../src/settings/schema.js';
import { setExtensions, type Extensions } from './extensions.js';
import type { Plugin } from './plugin.js';

/** Valid names of what a plugin adds: they become commands, settings and parts of file names. */
const NAME = /^[a-z][a-z0-9_]{0,39}$/;

/** Names of critiq's own devices, judges and answer formats, which plugins cannot take. */
const TAKEN: Readonly<Record<'devices' | 'judges' | 'answers', readonly string[]>> = {
  devices: ['phone', 'browser', 'webdriver'],
  judges: ['state', 'openai', 'gemini'],
  answers: Object.keys(SERVED_FORMATS),
};

/**
 * Imports the plugins and adds their stages to the registry and everything else to the extensions of this process.
 * @param files absolute paths of modules, as `pluginFiles` returns them
 * @throws UserError in one line that names the plugin: a module that is missing or throws, an export that is not a plugin,
 *   a name that is taken or malformed, a stage without a summary, a setting without a default
 */
export async function withPlugins(registry: Registry, files: readonly string[]): Promise<Registry> {
  const plugins: [string, Plugin][] = [];
  for (const file of new Set(files)) plugins.push([file, await importPlugin(file)]);
  const loaded = { devices: new Map(), judges: new Map(), answers: new Map() } satisfies Extensions;
  const reserved = new Set([...Object.keys(Core.shape), ...Object.keys((await registry.sections?.()) ?? {})]);
  const stages = new Map(registry.stages.map((stage) => [stage.name, stage]));
  for (const [file, plugin] of plugins) {
    for (const stage of plugin.stages ?? []) {
      checkName(file, 'stage', stage.name, stages.has(stage.name) || reserved.has(stage.name));
      checkDefaults(file, `stage ${stage.name}`, stage.schema);
      stages.set(stage.name, { name: stage.name, summary: stage.summary, load: () => Promise.resolve(stage) });
    }
    for (const kind of ['devices', 'judges', 'answers'] as const) {
      for (const [name, extension] of Object.entries(plugin[kind] ?? {})) {
        const what = { devices: 'device backend', judges: 'judge', answers: 'answer format' }[kind];
        checkName(file, what, name, TAKEN[kind].includes(name) || loaded[kind].has(name));
        const { settings } = extension as { settings?: z.ZodType };
        if (settings !== undefined) checkDefaults(file, `${what} ${name}`, settings);
        loaded[kind].set(name, extension);
      }
    }
  }
  setExtensions(loaded);
  return { ...registry, stages: [...stages.values()] };
}

async function importPlugin(file: string): Promise<Plugin> {
  if (!existsSync(file)) throw new UserError(`plugins: ${file}: no such file; correct the setting plugins`);
  if (!statSync(file).isFile())
    throw new UserError(`plugins: ${file}: expected a JavaScript module, got a folder, pipe or device`);
  findCritiq();
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(file).href)) as { default?: unknown };
  } catch (error) {
    const hint = /\.[mc]?tsx?$/.test(file) ? '; compile TypeScript to JavaScript first' : '';
    throw new UserError(
      `plugins: ${file}: cannot be loaded: ${String((error as Error).message).split('\n')[0]}${hint}`,
    );
  }
  return checkPlugin(file, module.default);
}

let found = false;

/** Lets plugins import `critiq` from any folder: they get the modules of this program, not a second copy. */
function findCritiq(): void {
  if (found) return;
  register('./resolve-hook.js', { parentURL: import.meta.url, data: { parent: import.meta.url } });
  found = true;
}

/** The shape of a plugin; modules in plain JavaScript may get it wrong. */
const functions = (...names: string[]) =>
  z.custom<object>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function'),
    `an object with the function${names.length > 1 ? 's' : ''} ${names.join(' and ')}`,
  );
const Shape = z.strictObject({
  name: z.string('text').min(1, 'text that is not empty'),
  stages: z
    .array(z.custom<Stage>((value) => isStage(value), 'what stage({ name, summary, settings, ... }) returns'))
    .optional(),
  devices: z.record(z.string(), functions('open')).optional(),
  judges: z.record(z.string(), functions('open')).optional(),
  answers: z.record(z.string(), functions('read')).optional(),
});

function isStage(value: unknown): boolean {
  const { name, summary, schema, plan, run } = (value ?? {}) as Partial<Stage>;
  return (
    typeof name === 'string' &&
    typeof summary === 'string' &&
    schema instanceof z.ZodObject &&
    typeof plan === 'function' &&
    typeof run === 'function'
  );
}

function checkPlugin(file: string, exported: unknown): Plugin {
  if (typeof exported !== 'object' || exported === null)
    throw new UserError(
      `plugins: ${file}: expected definePlugin({ name, ... }) as its default export, got ${exported === undefined ? 'none' : typeof exported}`,
    );
  const parsed = Shape.safeParse(exported);
  if (parsed.success) return exported as Plugin;
  const [issue] = parsed.error.issues;
  const at = issue.path.join('.');
  throw new UserError(
    issue.code === 'unrecognized_keys'
      ? `plugins: ${file}: does not know ${issue.keys.join(', ')}; a plugin has name, stages, devices, judges and answers`
      : `plugins: ${file}: ${at}: expected ${issue.message}`,
  );
}

function checkName(file: string, what: string, name: string, taken: boolean): void {
  if (!NAME.test(name))
    throw new UserError(
      `plugins: ${file}: ${what} ${JSON.stringify(name)}: expected a name of lower-case letters, digits and _ that begins with a letter`,
    );
  if (taken) throw new UserError(`plugins: ${file}: ${what} ${name}: the name is taken; choose another`);
}

/** Every setting needs a default, because every settings section is optional. */
function checkDefaults(file: string, what: string, settings: z.ZodType): void {
  const parsed = settings.safeParse({});
  if (parsed.success) return;
  const names = [...new Set(parsed.error.issues.map(({ path }) => path.join('.')))].join(', ');
  throw new UserError(`plugins: ${file}: ${what}: needs .default(...) for ${names === '' ? 'all settings' : names}`);
}
