import { withPages } from './package.js';

/**
 * A mistake of the user: a wrong setting, a broken file, a missing stage. The message says what is wrong, where, what
 * was expected, what was found, and what to do. The CLI prints it as one line and exits with code 2. A message may name
 * a document by its path in the repository (`see docs/vlm.md`): outside a checkout it then gives the address.
 */
export class UserError extends Error {
  override name = 'UserError';

  constructor(message: string, options?: ErrorOptions) {
    super(withPages(message), options);
  }
}

/** A failure the user did not cause: a device that died, a server that gave up. Printed as one line; exit code 1. */
export class RunError extends Error {
  override name = 'RunError';

  constructor(message: string, options?: ErrorOptions) {
    super(withPages(message), options);
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
