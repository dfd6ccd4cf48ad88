import { rmSync } from 'node:fs';
import { z } from 'zod';
import { isValidAction } from '../../src/agents/grammar.js';
import type { Imported } from '../../src/data/released/digiq-import.js';
import { UserError } from '../../src/errors.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { IMPORT, Output, readPlan } from '../../src/runner/outputs.js';
import { underLock, writeRunRecord } from '../../src/runner/run.js';
import type { Config } from '../../src/settings/settings.js';

export const ImportSettings = z.object({
  gamma: z.number().min(0).max(1).default(0.95).describe('discount of the Monte Carlo returns where the file has none'),
  representations: z
    .enum(['float16', 'float32'])
    .default('float16')
    .describe('how representations are stored: half the size, or exact'),
  images: z
    .enum(['auto', 'pair', 'single'])
    .default('auto')
    .describe(
      'image features: the previous and the current frame side by side, or one vector; auto: a pair where the width is even',
    ),
  shard_size: z.int().min(1).default(1000).describe('transitions a shard: whole trajectories up to about this many'),
});

/**
 * `critiq import digiq FILE`: makes the run folder's trajectories, candidates, representations and image vectors from a
 * torch.save file of the released layout. Interrupted, it goes on from the shards that are there.
 * @param force replace data sets that the stages of this run made
 */
export async function importFile(
  file: string,
  config: Config,
  { display, signal, force }: { display: Display; signal: AbortSignal; force: boolean },
): Promise<Imported> {
  const { IMPORTED, importDigiq } = await import('../../src/data/released/digiq-import.js');
  const { TorchFile } = await import('../../src/data/formats/torch.js');
  // a file that is refused must not make an earlier import unfinished
  (await TorchFile.open(file)).close();
  const { gamma, representations, images, shard_size: shardSize } = config.import as z.infer<typeof ImportSettings>;
  return underLock(config, display, async (lock) => {
    await writeRunRecord(config);
    const made = IMPORTED.filter((name) => (readPlan(datasetFolder(config, name))?.stage ?? IMPORT) !== IMPORT);
    if (made.length > 0 && !force) {
      const folder = datasetFolder(config, made[0]);
      throw new UserError(
        `${folder}: made by a stage of this run: import into another with run=NAME, or replace it with --force`,
      );
    }
    for (const name of made) rmSync(datasetFolder(config, name), { recursive: true });
    lock.update(IMPORT);
    const plan = async (finished: boolean): Promise<void> => {
      for (const name of IMPORTED) {
        const output = new Output(name, datasetFolder(config, name));
        output.removeTemporary();
        const record = { stage: IMPORT, instance: IMPORT, settings: { import: config.import, file } };
        await output.writePlan({ ...record, shards: finished ? output.shards : [], finished });
      }
    };
    await plan(false);
    const imported = await importDigiq(file, runFolder(config), {
      valid: isValidAction,
      gamma,
      representations,
      images,
      shardSize,
      onProgress: (trajectories, transitions) => {
        if (signal.aborted) throw new Interrupted('import: stopped');
        display.count(`import: ${trajectories} trajectories, ${transitions} transitions`);
      },
    });
    await plan(true);
    return imported;
  });
}
