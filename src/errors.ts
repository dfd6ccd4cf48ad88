/**
 * The user's mistake: a wrong setting, a broken file, a missing stage. The CLI prints the message as one line and
 * exits with 2. The message says what is wrong, where, what was expected and got, and what to do.
 */
export class UserError extends Error {
  override name = 'UserError';
}

/** A failure that is not the user's: a device that died, a server that gave up. Printed as one line; exit code 1. */
export class RunError extends Error {
  override name = 'RunError';
}
