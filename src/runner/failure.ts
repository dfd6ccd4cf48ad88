import { RunError, UserError } from '../errors.js';

/**
 * An error of the system as one line that names the path and says what to do; other errors as they are.
 * @param folder named where the system did not say which file it was
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
      return new RunError(`${path}: the disk failed (${message}); look at the system log`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new UserError(
        `${path}: no permission (${code}); give this user access, or choose another folder with data=FOLDER`,
        { cause: error },
      );
    case 'ENOENT':
      return new UserError(`${path}: no such file or folder; check the name, or run the stage that makes it`, {
        cause: error,
      });
    case 'ENOTDIR':
    case 'EISDIR':
      return new UserError(
        `${path}: ${code === 'EISDIR' ? 'is a folder, expected a file' : 'a part of the path is a file, expected a folder'}`,
        { cause: error },
      );
    default:
      return error;
  }
}
