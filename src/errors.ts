import { withPages } from './package.js';
import { discreet } from './secrets/known.js';

/** Control characters, and those that change the direction of a text: a terminal would obey them. */
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Most characters of a line; of a longer one, the middle is left out. */
const LONGEST_LINE = 2000;
/** What stays of its end, which says what to do. */
const END = 400;

/** A text without characters that a terminal would obey, except those that `kept` has: they are escaped as in JSON. */
export function printable(text: string, kept = '\n\t'): string {
  return text.replace(UNPRINTABLE, (character) =>
    kept.includes(character)
      ? character
      : (NAMED[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}

/** A text as one line of bounded length, without characters that a terminal would obey. */
export function oneLine(text: string): string {
  const whole = text.length <= 4 * LONGEST_LINE ? text : cut(text, 4 * LONGEST_LINE);
  const line = printable(whole, '\t');
  return line.length <= LONGEST_LINE ? line : cut(line, LONGEST_LINE);
}

function cut(text: string, most: number): string {
  return `${text.slice(0, most - END - 1)}…${text.slice(-END)}`;
}

function told(message: string | readonly string[]): string {
  const lines = typeof message === 'string' ? [message] : message;
  return lines.map((line) => oneLine(discreet(withPages(line)))).join('\n');
}

/**
 * A mistake of the user: a wrong setting, a broken file, a missing stage. The message says what is wrong, where, what
 * was expected, what was found, and what to do. The CLI prints it as one line and exits with code 2. A message may name
 * a document by its path in the repository (`see docs/vlm.md`): outside a checkout it then gives the address. Keys are
 * taken out of every message.
 */
export class UserError extends Error {
  override name = 'UserError';

  /** @param message one line, or several mistakes with a line each; whatever it quotes is made fit to print */
  constructor(message: string | readonly string[], options?: ErrorOptions) {
    super(told(message), options);
  }
}

/** A failure the user did not cause: a device that died, a server that gave up. Printed as one line; exit code 1. */
export class RunError extends Error {
  override name = 'RunError';

  constructor(message: string, options?: ErrorOptions) {
    super(told(message), options);
  }
}

/**
 * The exit code of a process that ends with an error: 75 where the run is in use, 2 for a user's mistake, 130 or 143 where a
 * signal stopped the work (its handler has set `process.exitCode`), else 1.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UserError) return error.name === 'LockedError' ? 75 : 2;
  if (error instanceof RunError && error.name === 'Interrupted') return Number(process.exitCode ?? 130);
  return 1;
}

/**
 * A failure of the machine while it reads or writes, as one line that names the path and what to do: a full disk, a broken
 * one, a limit of the system. Undefined for other errors.
 */
export function machineFailure(path: string, error: NodeJS.ErrnoException): RunError | undefined {
  const { code, message } = error;
  const says = (what: string) => new RunError(`${path}: ${what}`, { cause: error });
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return says(`the disk is full (${code}); free some space and run the same command again`);
    case 'EMFILE':
    case 'ENFILE':
      return says(`too many open files (${code}); raise \`ulimit -n\` and run the same command again`);
    case 'EFBIG':
      return says(`larger than this system or user may write (EFBIG); raise \`ulimit -f\` or use another disk`);
    case 'EIO':
      return says(`disk error (${message}); check the system log`);
    default:
      return undefined;
  }
}

/**
 * The one-line error for a file that cannot be read. What to do with a missing or strange file is not what to do where the
 * machine or a permission is in the way: such a file may be whole, and must not be deleted.
 * @param whatToDo ends the message for a file that is missing, or is none
 */
export function readFailure(file: string, error: unknown, whatToDo: string): Error {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  const ofMachine = machineFailure(file, (error ?? {}) as NodeJS.ErrnoException);
  if (ofMachine) return ofMachine;
  const denied = code === 'EACCES' || code === 'EPERM';
  return new UserError(`${file}: cannot be read (${code}); ${denied ? 'give this user access to it' : whatToDo}`, {
    cause: error,
  });
}
