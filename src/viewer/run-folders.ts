import { readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isFolder } from '../data/store/file.js';
import { UserError } from '../errors.js';

/** A name that can be a folder's and no path: what a URL may say of a run. */
const NAME = /^[^/\\\0]+$/;

/** The folder that holds the runs. A URL names runs; only those that were found here are ever opened. */
export class RunFolders {
  private constructor(
    /** with all symbolic links resolved */
    readonly folder: string,
    /** the run to begin with */
    readonly first: string,
  ) {}

  /**
   * @param run a run's name below `data`, or the path of its folder
   * @throws UserError where there is no such folder
   */
  static open(data: string, run: string): RunFolders {
    const path = NAME.test(run) && run !== '.' && run !== '..' ? join(data, run) : resolve(run);
    if (!isFolder(path))
      throw new UserError(`${path}: there is no such run folder; name a run below ${data}, or its path`);
    const folder = realpathSync(dirname(resolve(path)));
    return new RunFolders(folder, basename(resolve(path)));
  }

  /** Names of the runs, the first one always among them. */
  names(): string[] {
    const found = readdirSync(this.folder, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith('.') && isRun(join(this.folder, entry.name)))
      .map(({ name }) => name);
    return [...new Set([...found, this.first])].sort();
  }

  /** The folder of a run that a URL names. @throws UserError where it is none of `names` */
  path(name: string): string {
    if (NAME.test(name) && !name.startsWith('.') && (name === this.first || isRun(join(this.folder, name))))
      return join(this.folder, name);
    throw new UserError(`there is no run ${JSON.stringify(name)} in ${this.folder}`);
  }
}

/** What every run folder has from its first command on. */
function isRun(folder: string): boolean {
  if (!isFolder(folder)) return false;
  const entries = readdirSync(folder);
  return entries.includes('run.json') || entries.includes('metrics') || entries.includes('trajectories');
}
