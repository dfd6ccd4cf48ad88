import { createWriteStream, mkdirSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise, type Entry } from 'yauzl';
import { UserError } from '../../src/errors.js';

/** Weights, configuration and tokenizer: what a checkpoint folder consists of. */
const PARTS = /\.(safetensors|bin|json|txt|model)$|^trainer\.pt$/;
const WEIGHTS = /^(model.*\.safetensors|pytorch_model.*\.bin|trainer\.pt)$/;

/** Most files of a zip: a checkpoint folder has some dozens, beside optimizer states and logs. */
const MOST_FILES = 10_000;
/** Most that a file may shrink: weights hardly do, texts to a tenth. */
const MOST_EXPANSION = 50;

/** Whether a path is a zip file, as Auto-UI's weights are downloaded. (A folder may have such a name too.) */
export function isZip(path: string): boolean {
  return path.endsWith('.zip') && statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/**
 * Unpacks the checkpoint of a zip file into a new folder: the files of the uppermost folder in it that has both config.json
 * and weights. Everything else (optimizer states, predictions, `__MACOSX`) is left out. Files keep only the last part of
 * their names, so that none can end up elsewhere.
 * @throws UserError if there is no checkpoint in it, or it is damaged
 */
export async function unpackCheckpoint(file: string, to: string): Promise<void> {
  const zip = await openPromise(file, { lazyEntries: true, autoClose: false }).catch((error: Error) => {
    throw new UserError(`${file}: cannot be read as a zip file (${error.message}); download it again`);
  });
  try {
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry()) {
      entries.push(entry);
      if (entries.length > MOST_FILES)
        throw new UserError(`${file}: expected a zip file of at most ${MOST_FILES} files`);
    }
    const folder = folderOf(entries);
    if (folder === undefined) {
      throw new UserError(`${file}: expected a folder with config.json and its weights in it, got none`);
    }
    mkdirSync(to, { recursive: true });
    for (const entry of entries) {
      const name = posix.basename(entry.fileName);
      if (posix.dirname(entry.fileName) !== folder || !PARTS.test(name)) continue;
      if (entry.uncompressedSize > MOST_EXPANSION * entry.compressedSize + (1 << 20))
        throw new UserError(
          `${file}: refused: ${name} would expand from ${entry.compressedSize} to ${entry.uncompressedSize} bytes`,
        );
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(join(to, name)));
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: damaged zip file (${(error as Error).message}); download it again`);
  } finally {
    zip.close();
  }
}

/** The uppermost folder with config.json and weights. */
function folderOf(entries: readonly Entry[]): string | undefined {
  const has = (folder: string, name: RegExp): boolean =>
    entries.some(({ fileName }) => posix.dirname(fileName) === folder && name.test(posix.basename(fileName)));
  return entries
    .filter(({ fileName }) => posix.basename(fileName) === 'config.json')
    .map(({ fileName }) => posix.dirname(fileName))
    .filter((folder) => has(folder, WEIGHTS))
    .sort((a, b) => a.split('/').length - b.split('/').length || (a < b ? -1 : 1))[0];
}
