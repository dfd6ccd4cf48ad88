import { rmSync, statSync } from 'node:fs';
import { recordFile } from '../../src/data/store/integrity.js';
import { fingerprint } from '../../src/data/store/manifest.js';
import { UserError } from '../../src/errors.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder } from '../../src/runner/instance.js';
import { IMPORT, Output, readPlan } from '../../src/runner/outputs.js';
import { underLock, writeRunRecord } from '../../src/runner/run.js';
import type { Config } from '../../src/settings/settings.js';
import { referTo, writeVlmReference, type VlmReference } from './reference.js';

const DATASET = 'vlm';

export interface VlmImportOptions {
  readonly display: Display;
  readonly signal: AbortSignal;
  /** replace a VLM that a stage of this run made */
  readonly force: boolean;
}

/**
 * `critiq vlm import FOLDER --name NAME`: makes the model in a folder the VLM of this run. It stays where it is; its
 * files are remembered by size and SHA-256. Repeated, it registers again.
 * @param name under which a server has it
 * @throws UserError where the folder holds no model, or a stage made this run's VLM and `force` is not given
 */
export async function importVlm(
  folder: string,
  name: string,
  config: Config,
  { display, signal, force }: VlmImportOptions,
): Promise<VlmReference> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UserError(
      `${folder}: no such folder; give the folder of the tuned model (a LoRA adapter merged into it)`,
    );
  }
  const at = datasetFolder(config, DATASET);
  return underLock(config, display, async (lock) => {
    await writeRunRecord(config);
    const made = (readPlan(at)?.stage ?? IMPORT) !== IMPORT;
    if (made && !force) {
      throw new UserError(
        `${at}: made by \`critiq vlm\`: import into another with run=NAME, or replace it with --force`,
      );
    }
    lock.update(`${DATASET} ${IMPORT}`);
    let read = 0;
    // before anything is changed: a folder that is refused must not make an earlier import unfinished
    const reference = await referTo(folder, {
      name,
      signal,
      onBytes: (file, bytes) => {
        read += bytes;
        display.count(`vlm import: ${(read / 1e9).toFixed(2)} GB read, ${file}`);
      },
    }).catch((error: unknown) => {
      throw signal.aborted ? new Interrupted('vlm import: stopped') : error;
    });
    if (made) rmSync(at, { recursive: true });
    const output = new Output(DATASET, at);
    output.removeTemporary();
    const record = { stage: IMPORT, instance: IMPORT, settings: { folder, name } };
    await output.writePlan({ ...record, shards: [], finished: false });
    await writeVlmReference(at, reference);
    const files = [await recordFile(`${at}/config.json`, 'config.json')];
    await output.commit({ shard: DATASET, files, inputs: '', settings: fingerprint([IMPORT, reference.fingerprint]) });
    await output.writePlan({ ...record, shards: output.shards, finished: true });
    return reference;
  });
}
