import { ImageVectors } from '../src/data/image-vectors.js';
import { UserError } from '../src/errors.js';
import { readAutoUIConfig } from '../src/models/autoui/config.js';
import type { StageContext } from '../src/runner/stage.js';
import { filesOf } from './datasets.js';

/**
 * Checks that the run's image vectors are as wide as a policy reads them, before a stage does any work on them.
 * @param policy its data set, `policy/base`
 * @throws UserError with both widths
 */
export async function checkImageWidth(ctx: StageContext<unknown>, policy: string): Promise<void> {
  const [first] = await filesOf(ctx.dataset('image-vectors'), 'collect');
  if (first === undefined) return;
  const vectors = ImageVectors.open([first]);
  const { dim } = vectors;
  vectors.close();
  const { image } = readAutoUIConfig(ctx.dataset(policy));
  if (dim === image) return;
  throw new UserError(
    `${ctx.dataset('image-vectors')}: image vectors of ${dim} numbers, but ${policy} reads ${image}; ` +
      'use a policy with the same vision tower (for imported data: models.policy, or import.images)',
  );
}
