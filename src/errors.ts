/**
 * A mistake of the user: a wrong setting, a broken file, a missing stage. The message says what is wrong, where, what
 * was expected, what was found, and what to do. The CLI prints it as one line and exits with code 2.
 */
export class UserError extends Error {
  override name = 'UserError';
}

/** A failure the user did not cause: a device that died, a server that gave up. Printed as one line; exit code 1. */
export class RunError extends Error {
  override name = 'RunError';
}
