import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileInside } from '../data/store/inside.js';
import { pictureType } from '../data/formats/picture.js';
import { readText, readWhole } from '../data/formats/text.js';
import { UserError } from '../errors.js';
import type { Picture } from './chat.js';
import { parseJson } from '../data/formats/json.js';

/** A screenshot with a known verdict, shown to the model before the question. */
export interface Example {
  readonly picture: Picture;
  readonly task: string;
  readonly status: 'success' | 'failure';
  /** the reasoning that the model should imitate; may be empty */
  readonly reasoning: string;
}

/** Name of the file that lists the examples of a folder. */
export const MANIFEST = 'examples.json';

const LONGEST_MANIFEST = 1 << 20;
/** Examples are sent with every question, and servers limit a request (Gemini: 20 MB, in base64). */
const MOST_EXAMPLES = 32;
const MOST_BYTES = 14 << 20;

/**
 * Reads the examples of a folder. `examples.json` is a list of `{"image", "task", "status": "success"|"failure",
 * "reasoning"?}` in the order in which they are shown; images (PNG, JPEG, WebP) are in the folder or below it.
 * @throws UserError naming the wrong entry
 */
export function loadExamples(folder: string): Example[] {
  const file = join(folder, MANIFEST);
  const list = readList(file);
  let bytes = 0;
  return list.map((entry, i): Example => {
    const where = `${file}, entry ${i + 1}`;
    if (typeof entry !== 'object' || entry === null)
      throw new UserError(`${where}: expected an object, got ${typeof entry}`);
    const { image, task, status, reasoning = '' } = entry as Record<string, unknown>;
    if (typeof task !== 'string' || task.trim() === '')
      throw new UserError(`${where}: "task": expected the task's text, got ${JSON.stringify(task)}`);
    if (status !== 'success' && status !== 'failure')
      throw new UserError(`${where}: "status": expected "success" or "failure", got ${JSON.stringify(status)}`);
    if (typeof reasoning !== 'string')
      throw new UserError(
        `${where}: "reasoning": expected a string or no such field, got ${JSON.stringify(reasoning)}`,
      );
    const path = fileInside(folder, image, `${where}: "image"`);
    bytes += statSync(path).size;
    if (bytes > MOST_BYTES)
      throw new UserError(
        `${where}: the images up to this one take ${bytes} bytes, expected at most ${MOST_BYTES}, since they are sent with every question; use fewer or smaller images`,
      );
    return {
      picture: pictureOf(readWhole(path, MOST_BYTES), path),
      task: task.trim(),
      status,
      reasoning: reasoning.trim(),
    };
  });
}

function readList(file: string): unknown[] {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > LONGEST_MANIFEST) throw new UserError(`${file}: ${size} bytes, expected at most ${LONGEST_MANIFEST}`);
    text = readText(file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError(
      `${file}: cannot be read (${code}); judge.few_shot must be a folder with ${MANIFEST} and its images (docs/judges.md)`,
    );
  }
  let list: unknown;
  try {
    list = parseJson(text);
  } catch (error) {
    throw new UserError(`${file}: ${(error as Error).message}`);
  }
  if (!Array.isArray(list)) throw new UserError(`${file}: expected a list of examples (docs/judges.md)`);
  if (list.length > MOST_EXAMPLES)
    throw new UserError(
      `${file}: ${list.length} examples, expected at most ${MOST_EXAMPLES}, since they are sent with every question`,
    );
  return list;
}

/** A picture with its type, which its first bytes tell. */
function pictureOf(bytes: Buffer, path: string): Picture {
  const type = pictureType(bytes);
  if (!type) throw new UserError(`${path}: expected a PNG, JPEG or WebP image`);
  return { type, base64: bytes.toString('base64') };
}

/** A hash of the examples' texts and pictures. */
export function examplesFingerprint(examples: readonly Example[]): string {
  const hash = createHash('sha256');
  for (const { picture, task, status, reasoning } of examples) {
    hash.update(JSON.stringify([picture.type, task, status, reasoning])).update(picture.base64);
  }
  return hash.digest('hex').slice(0, 16);
}
