import { RunError, UserError } from '../errors.js';

/**
 * Turns a system error into one line that names the path and what to do; returns other errors unchanged.
 * @param folder named if the system error has no path
 */
export function describeFailure(error: unknown, folder?: string): unknown {
  if (error instanceof UserError || error instanceof RunError) return error;
  const { code, path = folder ?? 'a file', message } = (error ?? {}) as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new RunError(`${path}: the disk is full (${code}); free some space and run the same command again`, {
        cause: error,
      });
    case 'EMFILE':
    case 'ENFILE':
      return new RunError(
        `${path}: too many open files (${code}); raise \`ulimit -n\` and run the same command again`,
        { cause: error },
      );
    case 'EIO':
      return new RunError(`${path}: disk error (${message}); check the system log`, { cause: error });
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
    case 'EFBIG':
      return new RunError(
        `${path}: larger than this system or user may write (EFBIG); raise \`ulimit -f\` or use another disk`,
        { cause: error },
      );
    default:
      return typeof code === 'string' && (error as NodeJS.ErrnoException).syscall !== undefined
        ? new RunError(`${path}: ${message}`, { cause: error })
        : error;
  }
}
