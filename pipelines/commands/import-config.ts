import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { counted } from '../../src/counted.js';
import { translate, type Translation } from '../../src/data/released/reference-config.js';
import { UserError } from '../../src/errors.js';
import { readYaml } from '../../src/settings/files.js';
import { schemaAt, show, typeName } from '../../src/settings/schema.js';
import type { z } from 'zod';

/** Most files that one file names as its defaults, directly or through others. */
const MOST_FILES = 100;

/** A settings file of DigiRL, Digi-Q or CoSo in critiq's settings. */
export interface ImportedConfig extends Translation {
  /** a settings file for critiq */
  readonly yaml: string;
}

/**
 * `critiq import config FILE`: what a settings file of the reference code means. Nothing is written.
 * @param schema of all settings
 * @throws UserError for a file that cannot be read or holds values that the reference does not know
 */
export function importConfig(file: string, schema: z.ZodObject): ImportedConfig {
  const values = readReference(file, [], { files: 0 });
  const translation = translate(values);
  const mistakes = translation.wrong.map(
    ({ key, value, expected }) => `${file}: ${key}: expected ${expected}, got ${show(value)}`,
  );
  for (const { path, value, from } of translation.settings) {
    const at = schemaAt(schema, path.split('.'));
    if (!at) throw new Error(`${from} is translated to ${path}, which is no setting`);
    if (!at.safeParse(value).success)
      mistakes.push(`${file}: ${from}: expected ${typeName(at)} (critiq's ${path}), got ${show(value)}`);
  }
  if (mistakes.length > 0) throw new UserError(mistakes);
  if (translation.settings.length === 0) {
    throw new UserError(
      `${file}: no key of DigiRL, Digi-Q or CoSo; expected a file like scripts/config/main/digirl_off2on.yaml`,
    );
  }
  return { ...translation, yaml: toYaml(file, translation) };
}

/** The values of a file, over those of the files in its `defaults` (Hydra's list: file names without .yaml, and `_self_`). */
function readReference(file: string, chain: readonly string[], read: { files: number }): Record<string, unknown> {
  if (chain.includes(file)) throw new UserError(`${file}: defaults: names itself: ${[...chain, file].join(' -> ')}`);
  if (++read.files > MOST_FILES) throw new UserError(`${file}: defaults: expected at most ${MOST_FILES} files in all`);
  const { defaults, ...own } = readYaml(file);
  const names = defaults === undefined ? [] : defaults;
  if (!Array.isArray(names) || names.length > 20 || !names.every((name) => typeof name === 'string'))
    throw new UserError(`${file}: defaults: expected a list of file names, got ${show(defaults)}`);
  const before = names.includes('_self_') ? names.indexOf('_self_') : names.length;
  const layer = (name: string) => {
    // a plain name beside the file: nothing outside its folder is read
    if (basename(name) !== name || name.startsWith('.'))
      throw new UserError(`${file}: defaults: expected the name of a file in its folder, got ${show(name)}`);
    return readReference(join(dirname(file), name.endsWith('.yaml') ? name : `${name}.yaml`), [...chain, file], read);
  };
  return Object.assign({}, ...names.slice(0, before).map(layer), own, ...names.slice(before + 1).map(layer));
}

function toYaml(file: string, { base, settings }: Translation): string {
  const nested: Record<string, unknown> = { extends: base };
  for (const { path, value } of settings) {
    const keys = path.split('.');
    let at = nested;
    for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
    at[keys.at(-1)!] = value;
  }
  const head = `# From ${basename(file)}. What the reference's code does and its file does not say comes from ${base}.\n`;
  return head + stringify(nested, { flowCollectionPadding: false });
}

/** What else a person should know: the keys that have no meaning, and those that are not known. */
export function describeImportedConfig({ settings, meaningless, unknown }: ImportedConfig): string[] {
  const keys = new Set(settings.map(({ from }) => from));
  return [
    `import config: ${counted(keys.size, 'key')} understood, as ${counted(settings.length, 'setting')}`,
    ...meaningless.map(({ key, why }) => `no meaning here: ${key} (${why})`),
    ...unknown.map((key) => `not known: ${key}`),
  ];
}
