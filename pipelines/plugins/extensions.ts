import { z } from 'zod';
import { SERVED_FORMATS, servedFormat, type ServedFormat } from '../../src/agents/served/formats.js';
import type { AnswerFormat, DeviceBackend, JudgeKind } from './plugin.js';

/** What the loaded plugins add, by name. */
export interface Extensions {
  readonly devices: ReadonlyMap<string, DeviceBackend>;
  readonly judges: ReadonlyMap<string, JudgeKind>;
  readonly answers: ReadonlyMap<string, AnswerFormat>;
}

let current: Extensions = { devices: new Map(), judges: new Map(), answers: new Map() };

/** The extensions of this process. Like the modules they come from, they are loaded once and shared by everything here. */
export function extensions(): Extensions {
  return current;
}

/** Replaces the extensions of this process. Only the plugin loader calls it. */
export function setExtensions(loaded: Extensions): void {
  current = loaded;
}

/** The settings of an extension, from its section: `device.<name>` or `judge.<name>`. */
export function settingsOf(section: unknown, name: string): Record<string, unknown> {
  return ((section as Record<string, unknown>)[name] ?? {}) as Record<string, unknown>;
}

/** What an extension adds to the fingerprint of a stage that uses it. */
export function influenceOf(
  extension: Pick<DeviceBackend, 'version' | 'influence'>,
  section: unknown,
  name: string,
): Readonly<Record<string, unknown>> {
  const settings = settingsOf(section, name);
  return { version: extension.version ?? 1, settings: extension.influence?.(settings) ?? settings };
}

/** An answer format, critiq's own or a plugin's. */
export function answerFormat(name: string): ServedFormat {
  const own = current.answers.get(name);
  return own ? servedFormat(own) : SERVED_FORMATS[name as keyof typeof SERVED_FORMATS];
}

/**
 * Extends a settings section: one field also accepts the names of extensions, and each extension's settings are added under
 * its name.
 * @param field the field that chooses one: `backend`, `kind`, `format`
 */
export function extendSection<S extends z.ZodObject>(
  section: S,
  field: string,
  added: ReadonlyMap<string, { readonly settings?: z.ZodObject }>,
): z.ZodObject {
  if (added.size === 0) return section;
  const choice = section.shape[field] as z.ZodDefault<z.ZodEnum<Record<string, string>>>;
  const values = [...choice.unwrap().options, ...added.keys()];
  const described = z
    .enum(values as [string, ...string[]])
    .default(choice.parse(undefined))
    .describe(choice.description ?? '');
  const own = [...added].flatMap(([name, { settings }]) => (settings ? [[name, settings.prefault({})]] : []));
  return section.extend({ [field]: described, ...Object.fromEntries(own) });
}
