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
