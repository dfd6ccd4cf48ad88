import { readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isFolder } from '../data/store/file.js';
import { UserError } from '../errors.js';

/** A plain folder name, not a path: the only way a URL can name a run. */
const NAME = /^[^/\\\0]+$/;

/** The folder that holds the runs. Only runs found in it can be opened by a URL. */
export class RunFolders {
  private constructor(
    /** with symbolic links resolved */
    readonly folder: string,
    /** the run to show first */
    readonly first: string,
  ) {}

  /**
   * @param run a run's name below `data`, or the path of its folder
   * @throws UserError if there is no such folder
   */
  static open(data: string, run: string): RunFolders {
    const path = NAME.test(run) && run !== '.' && run !== '..' ? join(data, run) : resolve(run);
    if (!isFolder(path))
      throw new UserError(`${path}: no such run folder; give the name of a run in ${data}, or the path of its folder`);
    const folder = realpathSync(dirname(resolve(path)));
    return new RunFolders(folder, basename(resolve(path)));
  }

  /** Names of the runs, always with the first one. */
  names(): string[] {
    const found = readdirSync(this.folder, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith('.') && isRun(join(this.folder, entry.name)))
      .map(({ name }) => name);
    return [...new Set([...found, this.first])].sort();
  }

  /** The folder of a run that a URL names. @throws UserError if it is not in `names` */
  path(name: string): string {
    if (NAME.test(name) && !name.startsWith('.') && (name === this.first || isRun(join(this.folder, name))))
      return join(this.folder, name);
    throw new UserError(`${this.folder}: no run ${JSON.stringify(name)}`);
  }
}

/** Whether a folder is a run's: every run has one of these from its first command on. */
function isRun(folder: string): boolean {
  if (!isFolder(folder)) return false;
  const entries = readdirSync(folder);
  return entries.includes('run.json') || entries.includes('metrics') || entries.includes('trajectories');
}
