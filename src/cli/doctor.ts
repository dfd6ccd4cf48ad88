import { counted } from '../counted.js';
import { RunError } from '../errors.js';
import type { Config } from '../settings/settings.js';
import { print, type Options } from './command.js';

/** Whether `critiq doctor` looks at a run folder: it does if the command line names one. */
export function namesRun(overrides: readonly string[]): boolean {
  return overrides.some((override) => override.startsWith('run='));
}

/**
 * `critiq doctor run=NAME`: what is foreign, half-made or damaged in a run folder.
 * @throws RunError (exit code 1) if something needs to be done
 */
export async function examineNamedRun(config: Config, { json }: Options): Promise<void> {
  const { examineRun, oddityLine } = await import('../runner/examine.js');
  const { runFolder } = await import('../runner/instance.js');
  const run = runFolder(config);
  const found = await examineRun(run);
  const open = found.filter(({ action }) => action !== null).length;
  const fine = `${run}: every file is whole, and nothing is left over`;
  const lines = found.map((oddity) => oddityLine(run, oddity));
  print(json ? JSON.stringify(found, null, 2) : [...lines, ...(open === 0 ? [fine] : [])].join('\n'));
  if (open > 0)
    throw new RunError(`${run}: ${counted(open, 'thing needs', 'things need')} a look; the lines above say what to do`);
}
