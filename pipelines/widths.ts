import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImageVectors } from '../src/data/image-vectors.js';
import { UserError } from '../src/errors.js';
import { planAutoUI } from '../src/models/autoui/checkpoint.js';
import { readAutoUIConfig } from '../src/models/autoui/config.js';
import { withCheckpoint } from '../src/models/checkpoint/tensors.js';
import { IMPORT, readManifest, readPlan } from '../src/runner/outputs.js';
import type { StageContext } from '../src/runner/stage.js';
import type { Config } from '../src/settings/settings.js';
import { filesOf } from './datasets.js';
import { modelsOf } from './resources.js';

/**
 * Checks that the run's image vectors are as wide as a policy reads them, before a stage does any work on them.
 * @param policy its data set, `policy/base`
 * @throws UserError with both widths
 */
export async function checkImageWidth(ctx: StageContext<unknown>, policy: string): Promise<void> {
  const dim = await widthOf(ctx.dataset('image-vectors'));
  if (dim !== undefined)
    compare(ctx.dataset('image-vectors'), dim, policy, readAutoUIConfig(ctx.dataset(policy)).image);
}

/**
 * The same before any stage works, for imported vectors, which no stage builds again: a critic must not be trained for hours
 * before the actor finds that its policy reads other vectors. What is not there yet is compared later.
 */
export async function checkImportedWidth(
  config: Config,
  dataset: (name: string) => string,
  policy: string,
): Promise<void> {
  const folder = dataset('image-vectors');
  if ((readPlan(folder)?.stage ?? IMPORT) !== IMPORT || readManifest(folder).size === 0) return;
  const dim = await widthOf(folder);
  const reads = await policyWidth(config, dataset(policy), policy);
  if (dim !== undefined && reads !== undefined) compare(folder, dim, policy, reads);
}

/** Numbers per vector of a data set of image vectors; undefined if it has none. */
async function widthOf(folder: string): Promise<number | undefined> {
  const [first] = await filesOf(folder, 'collect');
  if (first === undefined) return undefined;
  const vectors = ImageVectors.open([first]);
  const { dim } = vectors;
  vectors.close();
  return dim;
}

/** Numbers per image vector that a policy reads: of `models.policy`, which becomes the base policy, or of one that exists. */
async function policyWidth(config: Config, folder: string, policy: string): Promise<number | undefined> {
  const { policy: source } = modelsOf(config);
  try {
    if (policy === 'policy/base' && source !== '')
      return await withCheckpoint(source, (checkpoint) => planAutoUI(source, checkpoint).config.image);
    return existsSync(join(folder, 'config.json')) ? readAutoUIConfig(folder).image : undefined;
  } catch (error) {
    // the stage that reads the checkpoint says what is wrong with it
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function compare(vectors: string, dim: number, policy: string, reads: number): void {
  if (dim === reads) return;
  throw new UserError(
    `${vectors}: image vectors of ${dim} numbers, but ${policy} reads ${reads}; ` +
      'use a policy with the same vision tower (for imported data: models.policy, or import.images)',
  );
}
