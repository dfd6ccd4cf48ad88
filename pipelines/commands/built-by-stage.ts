import { UserError } from '../../src/errors.js';
import { datasetFolder } from '../../src/runner/instance.js';
import { IMPORT, readPlan } from '../../src/runner/outputs.js';
import type { Config } from '../../src/settings/settings.js';

/**
 * Which of some data sets a stage of this run built, and no import: an import replaces them only with --force.
 * @param instead ends the message
 * @throws UserError that names the first one, without `force`
 */
export function builtByStage(
  config: Config,
  sets: readonly string[],
  force: boolean,
  instead = 'import into another run with run=NAME, or replace the data with --force',
): string[] {
  const built = sets.filter((name) => (readPlan(datasetFolder(config, name))?.stage ?? IMPORT) !== IMPORT);
  if (built.length > 0 && !force)
    throw new UserError(`${datasetFolder(config, built[0])}: built by a stage of this run; ${instead}`);
  return built;
}
