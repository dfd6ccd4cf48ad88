import { existsSync, rmSync } from 'node:fs';
import { actionColumns } from '../../src/agents/action-columns.js';
import { counted } from '../../src/counted.js';
import type { Imported } from '../../src/data/released/digiq-import.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { IMPORT, Output, readManifest } from '../../src/runner/outputs.js';
import { underLock, writeRunRecord } from '../../src/runner/run.js';
import { trashDatasets } from '../../src/runner/trash.js';
import type { Config } from '../../src/settings/settings.js';
import type { ImportSettings } from '../import-settings.js';
import { builtByStage } from './built-by-stage.js';

export interface ImportOptions {
  readonly display: Display;
  readonly signal: AbortSignal;
  /** replace data sets that the stages of this run built */
  readonly force: boolean;
  /** folder or zip of the screenshots that the file names */
  readonly images?: string;
}

/**
 * `critiq import digiq FILE`: creates the run folder's trajectories, candidates, representations and image vectors from a
 * torch.save file in the released layout, and with `images` its screenshots. After an interruption it resumes from the
 * existing shards.
 */
export async function importFile(
  file: string,
  config: Config,
  { display, signal, force, images: from }: ImportOptions,
): Promise<Imported> {
  const { IMPORTED, importDigiq } = await import('../../src/data/released/digiq-import.js');
  const { TorchFile } = await import('../../src/data/formats/torch.js');
  const { openPictures } = await import('../../src/data/released/pictures.js');
  // check the files first: a rejected one must not mark an earlier import as unfinished
  (await TorchFile.open(file)).close();
  const pictures = from === undefined ? undefined : await openPictures(from);
  const settings = config.import as ImportSettings;
  const { representations, images, screens, shard_size: shardSize } = settings;
  const gamma = settings.gamma ?? (config.critic as { readonly gamma: number }).gamma;
  return underLock(config, display, async (lock, log) => {
    const made = builtByStage(config, IMPORTED, force);
    await trashDatasets(config, 'import', made, display);
    log.begin();
    await writeRunRecord(config);
    lock.update(IMPORT);
    const plan = async (finished: boolean): Promise<void> => {
      for (const name of IMPORTED) {
        const output = new Output(name, datasetFolder(config, name));
        output.removeTemporary();
        const record = { stage: IMPORT, instance: IMPORT, settings: { import: { ...settings, gamma }, file } };
        await output.writePlan({ ...record, shards: finished ? output.shards : [], finished });
      }
    };
    const before = new Set(IMPORTED.filter((name) => existsSync(datasetFolder(config, name))));
    await plan(false);
    const reading = importDigiq(file, runFolder(config), {
      parse: actionColumns,
      gamma,
      representations,
      images,
      screens,
      pictures,
      shardSize,
      onProgress: (trajectories, transitions) => {
        if (signal.aborted) throw new Interrupted('import: stopped; run the same command again to resume');
        display.count(
          `import: ${counted(trajectories, 'trajectory', 'trajectories')}, ${counted(transitions, 'transition')}`,
        );
      },
    });
    const imported = await reading.catch((error: unknown) => {
      // a file that is refused leaves no data sets behind that hold nothing
      for (const name of IMPORTED) {
        const folder = datasetFolder(config, name);
        if (!before.has(name) && readManifest(folder).size === 0) rmSync(folder, { recursive: true, force: true });
      }
      throw error;
    });
    await plan(true);
    return imported;
  }).finally(() => pictures?.close());
}

/** An import as lines for people. */
export function describeImport(imported: Imported): string[] {
  const { trajectories, transitions, empty, images, screens, imageDim, representationDim, candidates, pictures } =
    imported;
  const lines = [
    `import: done (${counted(trajectories, 'trajectory', 'trajectories')}, ${counted(transitions, 'transition')})`,
    images === 'single'
      ? `image vectors: one screen of ${imageDim} floats a step, stacked with the screen before`
      : `image vectors: two screens of ${imageDim} floats a step, as stored`,
  ];
  if (screens === 'after') lines.push('screenshots: image_path is the screen after the action; shifted by a step');
  if (pictures) {
    const missing = pictures.missing > 0 ? `; ${pictures.missing} that the file names are not there` : '';
    lines.push(`screenshots: ${pictures.stored} stored${missing}`);
  }
  if (empty > 0) lines.push(`${counted(empty, 'trajectory', 'trajectories')} without steps left out`);
  if (!candidates) lines.push('no candidates and no representations in the file: continue with `critiq candidates`');
  else if (representationDim === 0) lines.push('no representations in the file: continue with `critiq represent`');
  return lines;
}
