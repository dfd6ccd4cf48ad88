import { UserError } from '../errors.js';
import type { Config } from '../settings/settings.js';
import { datasetFolder } from './instance.js';
import { checkReference, reference } from './reference.js';
import type { Stage } from './stage.js';

/** The stage that builds a data set with these settings, if there is one. @throws UserError as `findProducer` */
export type FindProducer = (
  config: Config,
  dataset: string,
  reader: string,
) => { readonly stage: Stage; readonly config: Config } | undefined;

/**
 * Asks a stage, and all stages that would build its inputs, whether what their settings name is there, before any of them
 * works: a folder that is missing must not be found after hours of training.
 * @throws UserError with everything that is missing, in the order in which it would be needed
 */
export async function preflight(target: Stage, config: Config, find: FindProducer): Promise<void> {
  const problems = new Set<string>();
  const seen = new Set<string>();
  const look = async (stage: Stage, settings: Config): Promise<void> => {
    const instance = stage.instance(settings);
    if (seen.has(instance)) return;
    seen.add(instance);
    for (const dataset of stage.inputs(settings)) {
      await noting(problems, async () => {
        const other = reference(dataset);
        if (other) return checkReference(settings, other);
        const producer = find(settings, dataset, instance);
        if (producer) await look(producer.stage, producer.config);
      });
    }
    await noting(problems, () => stage.check(settings, (dataset) => datasetFolder(settings, dataset)));
  };
  await look(target, config);
  if (problems.size > 0) throw new UserError([...problems].join('; '));
}

async function noting(problems: Set<string>, look: () => unknown): Promise<void> {
  try {
    await look();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.add(error.message);
  }
}
