import { z } from 'zod';
import { actionColumns } from '../../src/agents/action-columns.js';
import { counted } from '../../src/counted.js';
import type { Imported } from '../../src/data/released/digiq-import.js';
import { UserError } from '../../src/errors.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { IMPORT, Output, readPlan } from '../../src/runner/outputs.js';
import { underLock, writeRunRecord } from '../../src/runner/run.js';
import { trashDatasets } from '../../src/runner/trash.js';
import type { Config } from '../../src/settings/settings.js';

export const ImportSettings = z.object({
  gamma: z.number().min(0).max(1).default(0.95).describe('discount of the Monte Carlo returns if the file has none'),
  representations: z
    .enum(['float16', 'float32'])
    .default('float16')
    .describe('type in which representations are stored: float16 takes half the space, float32 is exact'),
  images: z
    .enum(['auto', 'pair', 'single'])
    .default('auto')
    .describe(
      'image features: previous and current frame side by side, or a single vector; auto: a pair if the width is even',
    ),
  shard_size: z.int().min(1).default(1000).describe('transitions per shard, rounded to whole trajectories'),
});

/**
 * `critiq import digiq FILE`: creates the run folder's trajectories, candidates, representations and image vectors from a
 * torch.save file in the released layout. After an interruption it resumes from the existing shards.
 * @param force replace data sets that the stages of this run built
 */
export async function importFile(
  file: string,
  config: Config,
  { display, signal, force }: { display: Display; signal: AbortSignal; force: boolean },
): Promise<Imported> {
  const { IMPORTED, importDigiq } = await import('../../src/data/released/digiq-import.js');
  const { TorchFile } = await import('../../src/data/formats/torch.js');
  // check the file first: a rejected one must not mark an earlier import as unfinished
  (await TorchFile.open(file)).close();
  const { gamma, representations, images, shard_size: shardSize } = config.import as z.infer<typeof ImportSettings>;
  return underLock(config, display, async (lock, log) => {
    const made = IMPORTED.filter((name) => (readPlan(datasetFolder(config, name))?.stage ?? IMPORT) !== IMPORT);
    if (made.length > 0 && !force) {
      const folder = datasetFolder(config, made[0]);
      throw new UserError(
        `${folder}: built by a stage of this run; import into another run with run=NAME, or replace the data with --force`,
      );
    }
    await trashDatasets(config, 'import', made, display);
    log.begin();
    await writeRunRecord(config);
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
      parse: actionColumns,
      gamma,
      representations,
      images,
      shardSize,
      onProgress: (trajectories, transitions) => {
        if (signal.aborted) throw new Interrupted('import: stopped; run the same command again to resume');
        display.count(
          `import: ${counted(trajectories, 'trajectory', 'trajectories')}, ${counted(transitions, 'transition')}`,
        );
      },
    });
    await plan(true);
    return imported;
  });
}
