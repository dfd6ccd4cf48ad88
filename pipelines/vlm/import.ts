import { statSync } from 'node:fs';
import { recordFile } from '../../src/data/store/integrity.js';
import { fingerprint } from '../../src/data/store/manifest.js';
import { UserError } from '../../src/errors.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder } from '../../src/runner/instance.js';
import { IMPORT, Output, readPlan } from '../../src/runner/outputs.js';
import { underLock, writeRunRecord } from '../../src/runner/run.js';
import { trashDatasets } from '../../src/runner/trash.js';
import type { Config } from '../../src/settings/settings.js';
import { referTo, writeVlmReference, type VlmReference } from './reference.js';

export interface VlmImportOptions {
  /** `vlm`, the representation model, or `value`, the value model of VEM; also the stage that builds it @default vlm */
  readonly dataset?: 'vlm' | 'value';
  readonly display: Display;
  readonly signal: AbortSignal;
  /** replace a VLM that a stage of this run built */
  readonly force: boolean;
}

/**
 * `critiq vlm import FOLDER --name NAME`: makes the model in a folder the VLM of this run. Its files are not copied, only
 * recorded with size and SHA-256. Repeating it registers the model again.
 * @param name its name on a server
 * @throws UserError if the folder holds no model, or a stage built this run's VLM and `force` is not set
 */
export async function importVlm(
  folder: string,
  name: string,
  config: Config,
  { display, signal, force, dataset = 'vlm' }: VlmImportOptions,
): Promise<VlmReference> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UserError(
      `${folder}: no such folder; expected the folder of the fine-tuned model, with any LoRA adapter merged`,
    );
  }
  const at = datasetFolder(config, dataset);
  return underLock(config, display, async (lock, log) => {
    const made = (readPlan(at)?.stage ?? IMPORT) !== IMPORT;
    if (made && !force) {
      throw new UserError(
        `${at}: built by \`critiq ${dataset}\`; import into another run with run=NAME, or replace it with --force`,
      );
    }
    lock.update(`${dataset} ${IMPORT}`);
    let read = 0;
    // before any change: a rejected folder must not mark an earlier import as unfinished
    const reference = await referTo(folder, {
      name,
      signal,
      onBytes: (file, bytes) => {
        read += bytes;
        display.count(`${dataset} import: ${(read / 1e9).toFixed(2)} GB read, ${file}`);
      },
    }).catch((error: unknown) => {
      throw signal.aborted ? new Interrupted(`${dataset} import: stopped; run the same command again`) : error;
    });
    if (made) await trashDatasets(config, `${dataset} import`, [dataset], display);
    log.begin();
    await writeRunRecord(config);
    const output = new Output(dataset, at);
    output.removeTemporary();
    const record = { stage: IMPORT, instance: IMPORT, settings: { folder, name } };
    await output.writePlan({ ...record, shards: [], finished: false });
    await writeVlmReference(at, reference);
    const files = [await recordFile(`${at}/config.json`, 'config.json')];
    await output.commit({ shard: dataset, files, inputs: '', settings: fingerprint([IMPORT, reference.fingerprint]) });
    await output.writePlan({ ...record, shards: output.shards, finished: true });
    return reference;
  });
}
