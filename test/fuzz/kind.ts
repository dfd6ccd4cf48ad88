/** What the fuzzer knows of a kind of input: whole examples, how to damage them, and what reads them. */
import type { Random } from '../../src/random.js';

/** A whole input, from which damaged ones are made. */
export interface Seed {
  /** unique in its kind; where a reader reads a folder, the file in it */
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Kind {
  readonly name: string;
  /** share of the inputs, relative to the other kinds @default 1 */
  readonly weight?: number;
  /** @param scratch an empty folder, for seeds that are made */
  seeds(scratch: string): readonly Seed[] | Promise<readonly Seed[]>;
  mutate(random: Random, bytes: Buffer, other: Buffer, seed: Seed): Buffer;
  /**
   * Reads an input as critiq does. It throws what the reader throws.
   * @param seed what the input was made of
   * @param folder a folder for files, which stays from input to input
   * @throws Used where damage was used without a word
   */
  read(input: Buffer, seed: Seed, folder: string): unknown;
  /** whether the reader may throw this, beside UserError and RunError */
  readonly throws?: (error: Error) => boolean;
  /** most lines of a message @default 1 */
  readonly lines?: number;
}

/** Damage that a reader used without a word. */
export class Used extends Error {
  override name = 'Used';
}

/** What became of an input. All but the first two are faults. */
export type Outcome = 'valid' | 'refused' | 'bad' | 'silent' | 'hang' | 'memory';

/** Bounds of one input: seconds of CPU, bytes of a process's memory. */
export const MOST_CPU_S = 5;
export const MOST_MEMORY = 2 ** 30;
/** Most characters of a line of a message. */
const LONGEST_LINE = 2000;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

/** Whether an error is one clean message. @returns what is wrong with it; undefined: nothing */
export function faultOf(error: unknown, { throws, lines = 1 }: Pick<Kind, 'throws' | 'lines'>): string | undefined {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const known = error.name === 'UserError' || error.name === 'RunError' || /UserError|RunError/.test(ancestors(error));
  if (!known && !throws?.(error)) return `${error.stack ?? error.message}`.split('\n').slice(0, 6).join('\n');
  const { message } = error;
  if (message.trim() === '') return `an empty message (${error.name})`;
  const long = message.split('\n').find((line) => line.length > LONGEST_LINE);
  if (long !== undefined) return `a line of ${long.length} characters: ${long.slice(0, 200)}…`;
  if (CONTROL.test(message)) return `a message with control characters: ${JSON.stringify(message)}`;
  if (message.split('\n').length > lines)
    return `a message of ${message.split('\n').length} lines: ${message.slice(0, 400)}`;
  if (/\[object Object\]/.test(message)) return `a message with a hole: ${message}`;
  return undefined;
}

function ancestors(error: Error): string {
  const names: string[] = [];
  for (let at: unknown = Object.getPrototypeOf(error); at; at = Object.getPrototypeOf(at))
    names.push((at as { constructor: { name: string } }).constructor.name);
  return names.join();
}
