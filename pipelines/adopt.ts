import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { policyFiles, readMaxTokens, savePolicy } from '../src/agents/policy/policy.js';
import { TextTokenizer } from '../src/agents/text/tokenizer.js';
import { UserError } from '../src/errors.js';
import { loadAutoUI } from '../src/models/autoui/checkpoint.js';
import { readBlip2VisionConfig } from '../src/models/blip2/blip2.js';
import { checkpointFingerprint } from '../src/models/checkpoint/fingerprint.js';
import { writeTowerReference } from '../src/models/checkpoint/tower-folder.js';
import type { Shard, StageContext } from '../src/runner/stage.js';
import { modelsOf } from './resources.js';

/** The shard that takes `models.policy` in. Its name changes with the checkpoint, so that another one is taken in anew. */
export async function adoptionShard(ctx: StageContext<unknown>): Promise<Shard> {
  return { id: `policy-${(await checkpointFingerprint(modelsOf(ctx.config).policy)).slice(0, 12)}` };
}

/**
 * Make a policy's folder of an Auto-UI checkpoint: its weights as critiq writes them, its tokenizer, and a reference to
 * the BLIP-2 folder whose vision tower it sees with (gigabytes that need not lie in every run). Without one it cannot act,
 * but imported image vectors are all that `critic` and `actor` need.
 * @returns the files made
 * @throws UserError where a checkpoint is missing, broken, or one does not go with the other
 */
export async function adoptPolicy(ctx: StageContext<unknown>, folder: string): Promise<string[]> {
  const { policy: source, image } = modelsOf(ctx.config);
  const tokenizer = TextTokenizer.load(source);
  const { config, params } = await loadAutoUI(source);
  const made = image === '' ? config.image : readBlip2VisionConfig(image).hidden_size;
  if (config.image !== made) {
    throw new UserError(
      `models.image=${image}: makes vectors of ${made} numbers, and the policy ${source} takes ${config.image}; are they of the same agent?`,
    );
  }
  tokenizer.mustFit(config.vocabulary, source);
  mkdirSync(folder, { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) copyFileSync(join(source, file), join(folder, file));
  const eyes =
    image === ''
      ? 'no vision tower (models.image), so it can be trained on imported data, but not act'
      : `image vectors of ${made} numbers by ${image} (${(await writeTowerReference(join(folder, 'vision'), image)).fingerprint.slice(0, 8)})`;
  await savePolicy(folder, { config, params, maxTokens: readMaxTokens(source) });
  ctx.log.info(`took in ${source}: ${(params.count / 1e6).toFixed(1)} million parameters; ${eyes}`);
  return policyFiles(folder);
}
