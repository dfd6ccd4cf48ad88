import { machineFailure, RunError, UserError } from '../errors.js';

/**
 * Turns a system error into one line that names the path and what to do; returns other errors unchanged.
 * @param folder named if the system error has no path
 */
export function describeFailure(error: unknown, folder?: string): unknown {
  if (error instanceof UserError || error instanceof RunError) return error;
  const { code, path = folder ?? 'a file', message } = (error ?? {}) as NodeJS.ErrnoException;
  const ofMachine = machineFailure(path, (error ?? {}) as NodeJS.ErrnoException);
  if (ofMachine) return ofMachine;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new UserError(
        `${path}: no permission (${code}); give this user access, or choose another folder with data=FOLDER`,
        { cause: error },
      );
    case 'ENOENT':
      return new UserError(`${path}: no such file or folder; check the name, or run the stage that builds it`, {
        cause: error,
      });
    case 'ENOTDIR':
    case 'EISDIR':
      return new UserError(
        `${path}: ${code === 'EISDIR' ? 'expected a file, got a folder' : 'a part of this path is a file, expected a folder'}`,
        { cause: error },
      );
    default:
      return typeof code === 'string' && (error as NodeJS.ErrnoException).syscall !== undefined
        ? new RunError(`${path}: ${message}`, { cause: error })
        : (ofInput(error) ?? error);
  }
}

/** What V8 says of a text, a list or a nesting that it cannot hold. */
const TOO_LARGE = /call stack|string length|string longer|array length|allocation failed|typed array length/i;

/** Errors that only an input can cause, where the code that read it named none: a shape, or a size. */
function ofInput(error: unknown): Error | undefined {
  const { name, message, issues } = (error ?? {}) as Error & {
    issues?: readonly { path: unknown[]; message: string }[];
  };
  if (name === 'ZodError' && Array.isArray(issues) && issues.length > 0) {
    const [issue] = issues as readonly { path: unknown[]; message: string }[];
    return new UserError(`${issue.path.join('.')}: ${issue.message} (--verbose shows where)`, { cause: error });
  }
  if (error instanceof Error && TOO_LARGE.test(message ?? ''))
    return new RunError(`an input is larger, or nested deeper, than can be held: ${message} (--verbose shows where)`, {
      cause: error,
    });
  return undefined;
}
