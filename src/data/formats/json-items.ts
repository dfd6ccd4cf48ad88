import { createReadStream } from 'node:fs';
import { UserError } from '../../errors.js';
import { parseJson } from './json.js';

/** A value of a JSON file, with where it is. */
export interface JsonItem {
  readonly value: unknown;
  /** key of the outermost object that it lies below; '' if there is none */
  readonly key: string;
  /** number of the item, from 0, and the position of its first byte */
  readonly index: number;
  readonly offset: number;
}

export interface JsonItemsOptions {
  /** objects and lists that enclose an item: 0 for JSON lines, 1 for a list, 2 for `{name: [item, ...]}` */
  readonly depth: number;
  /** most bytes of an item @default 64 MiB */
  readonly largest?: number;
  /** called with the number of bytes of each piece that was read */
  readonly onBytes?: (bytes: number) => void;
}

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const OPEN = new Set([0x5b, 0x7b]);
const CLOSE = new Set([0x5d, 0x7d]);
/** Longest outermost key. */
const LONGEST_KEY = 1024;

/**
 * The objects and lists at one depth of a JSON file (or of JSON lines), one after the other: one item at a time is in memory,
 * whatever the size of the file. Texts and numbers at that depth are skipped.
 * @throws UserError with the file and the position if the file is truncated, an item is too large or is not JSON
 */
export async function* jsonItems(file: string, options: JsonItemsOptions): AsyncGenerator<JsonItem> {
  const { depth: wanted, largest = 64 << 20, onBytes } = options;
  let [depth, offset, index, start] = [0, 0, 0, 0];
  let [inText, escaped] = [false, false];
  let key = '';
  let text: number[] | undefined;
  let pieces: Buffer[] | undefined;
  let size = 0;
  const fault = (at: number, what: string): UserError => new UserError(`${file}: byte ${at}: ${what}`);
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    for await (const piece of stream) {
      const bytes = piece as Buffer;
      let from = 0;
      for (let i = 0; i < bytes.length; i++) {
        const byte = bytes[i];
        if (inText) {
          if (escaped) escaped = false;
          else if (byte === BACKSLASH) escaped = true;
          else if (byte === QUOTE) inText = false;
          if (text && inText && text.length < LONGEST_KEY) text.push(byte);
        } else if (byte === QUOTE) {
          inText = true;
          text = depth === 1 && !pieces ? [] : undefined;
        } else if (byte === COLON && depth === 1 && text) {
          key = Buffer.from(text).toString('utf8');
        } else if (OPEN.has(byte)) {
          if (depth === wanted) {
            pieces = [];
            [size, from, start] = [0, i, offset + i];
          }
          depth++;
        } else if (CLOSE.has(byte)) {
          depth--;
          if (depth < 0) throw fault(offset + i, `expected JSON, got ${String.fromCharCode(byte)} that closes nothing`);
          if (pieces && depth === wanted) {
            pieces.push(bytes.subarray(from, i + 1));
            const value = parsed(Buffer.concat(pieces), (what) => fault(start, `item ${index}: ${what}`));
            pieces = undefined;
            yield { value, key, index: index++, offset: start };
          }
        }
      }
      if (pieces) {
        pieces.push(bytes.subarray(from));
        size += bytes.length - from;
        if (size > largest) throw fault(start, `item ${index}: larger than ${largest} bytes`);
      }
      offset += bytes.length;
      onBytes?.(bytes.length);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === undefined ? error : new UserError(`${file}: cannot be read (${code}); check the path`);
  }
  if (depth > 0 || inText) throw fault(offset, 'truncated: the file ends inside a value; download or write it again');
}

function parsed(bytes: Buffer, fault: (what: string) => UserError): unknown {
  try {
    return parseJson(bytes.toString('utf8'));
  } catch (error) {
    throw fault((error as Error).message);
  }
}
