import { crc32 } from '@node-rs/crc32';
import { UserError } from '../../errors.js';
import { isObject, parseJson } from '../formats/json.js';
import { readTextFile } from '../formats/text.js';

/**
 * JSON files that notice a flipped byte, as the lines of a log do (formats/jsonl.ts): the last property of the object is
 * `crc32`, the CRC-32 of the text without it.
 */
const SEAL = /,\n {1,2}"crc32": (\d{1,10})\n\}\n?$/;

/** The text of a file with an object. @param value without a property crc32 @param indent 1 or 2 */
export function sealed(value: object, indent = 2): string {
  const body = JSON.stringify(value, null, indent);
  if (body === '{}') throw new Error('sealed: an empty object');
  return `${body.slice(0, -2)},\n${' '.repeat(indent)}"crc32": ${crc32(body)}\n}\n`;
}

/**
 * The object of a file, without its seal. A file without one, of an earlier version, is read as it is.
 * @param whatToDo ends the message
 * @throws UserError that names the file if it cannot be read, is damaged or is not a JSON object
 */
export function readSealed(file: string, whatToDo: string): Record<string, unknown> {
  const text = readTextFile(file, () => whatToDo);
  const seal = SEAL.exec(text);
  const body = seal ? `${text.slice(0, seal.index)}\n}` : text;
  if (seal && crc32(body) !== Number(seal[1]))
    throw new UserError(`${file}: damaged: expected crc32 ${seal[1]}, got ${crc32(body)}; ${whatToDo}`);
  let value: unknown;
  try {
    value = parseJson(body);
  } catch (error) {
    throw new UserError(`${file}: damaged: ${(error as Error).message}; ${whatToDo}`);
  }
  if (!isObject(value))
    throw new UserError(`${file}: damaged: expected a JSON object; ${whatToDo}`);
  // damage to the seal itself: the end does not match SEAL, and the last name is crc32 or nearly so
  if (!seal && nearlyCrc(Object.keys(value).at(-1) ?? '')) throw new UserError(`${file}: damaged: its checksum cannot be read; ${whatToDo}`);
  return value;
}

/** The same for a file that may be missing or damaged without harm; undefined then. */
export function sealedInFile(file: string): Record<string, unknown> | undefined {
  try {
    return readSealed(file, '');
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function nearlyCrc(name: string): boolean {
  return name.length === 5 && [...'crc32'].filter((letter, i) => name[i] === letter).length >= 2;
}
