import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { policyFiles, readMaxTokens, savePolicy } from '../src/agents/policy/policy.js';
import { TextTokenizer } from '../src/agents/text/tokenizer.js';
import { copyWhole } from '../src/data/store/file.js';
import { UserError } from '../src/errors.js';
import { loadAutoUI } from '../src/models/autoui/checkpoint.js';
import { readBlip2VisionConfig } from '../src/models/blip2/blip2.js';
import { checkpointFingerprint } from '../src/models/checkpoint/fingerprint.js';
import { writeTowerReference } from '../src/models/checkpoint/tower-folder.js';
import type { Shard, StageContext } from '../src/runner/stage.js';
import { modelsOf } from './resources.js';

/** The shard that adopts `models.policy`. Its name contains the fingerprint, so that a changed checkpoint is adopted again. */
export async function adoptionShard(ctx: StageContext<unknown>): Promise<Shard> {
  return { id: `policy-${(await checkpointFingerprint(modelsOf(ctx.config).policy)).slice(0, 12)}` };
}

/**
 * Turns an Auto-UI checkpoint into a policy folder: its weights in critiq's format, its tokenizer, and a reference to the
 * BLIP-2 folder with its vision tower (gigabytes that are not copied into every run). Without a tower the policy cannot
 * act, but `critic` and `actor` need only imported image vectors.
 * @returns the files written
 * @throws UserError if a checkpoint is missing or broken, or the two do not match
 */
export async function adoptPolicy(ctx: StageContext<unknown>, folder: string): Promise<string[]> {
  const { policy: source, image } = modelsOf(ctx.config);
  const tokenizer = TextTokenizer.load(source);
  const { config, params } = await loadAutoUI(source);
  const made = image === '' ? config.image : readBlip2VisionConfig(image).hidden_size;
  if (config.image !== made) {
    throw new UserError(
      `models.image=${image}: gives image vectors of ${made} numbers, but the policy ${source} expects ${config.image}; use checkpoints of the same agent`,
    );
  }
  tokenizer.mustFit(config.vocabulary, source);
  mkdirSync(folder, { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) copyWhole(join(source, file), join(folder, file));
  const eyes =
    image === ''
      ? 'no vision tower (models.image): it can be trained on imported data, but cannot act'
      : `image vectors of ${made} numbers from ${image} (${(await writeTowerReference(join(folder, 'vision'), image)).fingerprint.slice(0, 8)})`;
  await savePolicy(folder, { config, params, maxTokens: readMaxTokens(source) });
  ctx.log.info(`using ${source}: ${(params.count / 1e6).toFixed(1)} million parameters; ${eyes}`);
  return policyFiles(folder);
}
