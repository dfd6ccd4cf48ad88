import { UserError } from '../../errors.js';
import { readJsonFile } from '../formats/json.js';
import type { SplitName } from './episode.js';

const NAMES: Readonly<Record<string, SplitName>> = { train: 'train', validation: 'val', val: 'val', test: 'test' };

/**
 * A file of splits, as Android in the Wild and AndroidControl publish them: `{train: [episode ids], validation: [...], test: [...]}`.
 * Other keys, such as AndroidControl's sub-splits of the test, are ignored.
 * @throws UserError if it is no such file
 */
export function readSplits(file: string): ReadonlyMap<string, SplitName> {
  const read = readJsonFile(file, 'check --splits');
  const entries = Object.entries((read ?? {}) as Record<string, unknown>).filter(([name]) => Object.hasOwn(NAMES, name));
  const wrong = entries.find(([, ids]) => !Array.isArray(ids));
  if (entries.length === 0 || wrong)
    throw new UserError(`--splits ${file}: expected {"train": [episode ids], "validation": [...], "test": [...]}`);
  return new Map(entries.flatMap(([name, ids]) => (ids as unknown[]).map((id) => [String(id), NAMES[name]] as const)));
}
