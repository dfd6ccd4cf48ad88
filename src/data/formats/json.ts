import { UserError } from '../../errors.js';
import { readTextFile } from './text.js';

/** Deeper values are refused: whoever walks or prints them would run out of stack. */
const DEEPEST = 200;

/**
 * The value of a JSON text that others wrote.
 * @throws Error with one line that completes the sentence "the text is ..."
 */
export function parseJson(text: string): unknown {
  if (deeperThan(text, DEEPEST)) throw new Error(`nested more than ${DEEPEST} deep`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error('not valid JSON', { cause: error });
  }
}

/** The same, if the value is an object; undefined for every other text. */
export function jsonObjectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value = parseJson(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The value of a JSON file.
 * @param whatToDo ends the message
 * @throws UserError that names the file if it cannot be read, is too large or is not JSON
 */
export function readJsonFile(file: string, whatToDo: string): unknown {
  const text = readTextFile(file, () => whatToDo);
  try {
    return parseJson(text);
  } catch (error) {
    throw new UserError(`${file}: ${(error as Error).message}; ${whatToDo}`, { cause: error });
  }
}

/** The same for a file that must hold an object, as all of critiq's own do. */
export function readJsonObject(file: string, whatToDo: string): Record<string, unknown> {
  const value = readJsonFile(file, whatToDo);
  if (isObject(value)) return value;
  throw new UserError(`${file}: damaged: expected a JSON object; ${whatToDo}`);
}

/** The object in a file that may be missing or damaged without harm; undefined then. */
export function jsonObjectInFile(file: string): Record<string, unknown> | undefined {
  try {
    return readJsonObject(file, '');
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** Whether a value is an object and no list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether brackets nest deeper, found without building anything. */
function deeperThan(text: string, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // a string, up to its closing quote
        for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > most) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
    }
  }
  return false;
}
