import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Policy } from '../../src/agents/policy/policy.js';
import { ImageStore } from '../../src/data/images.js';
import { fingerprint, openDataset } from '../../src/data/store/manifest.js';
import { readTable } from '../../src/data/tables.js';
import { TRANSITIONS } from '../../src/data/transitions.js';
import { VectorCache } from '../../src/data/vector-cache.js';
import { UserError } from '../../src/errors.js';
import { openRuntime } from '../../src/graph/index.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { IMPORT, Output, readManifest, readPlan } from '../../src/runner/outputs.js';
import { underLock } from '../../src/runner/run.js';
import { trashDatasets } from '../../src/runner/trash.js';
import type { Config } from '../../src/settings/settings.js';
import { FILES } from '../datasets.js';
import { writeScreenVectors } from '../episodes/vectors.js';
import { builtByStage } from './built-by-stage.js';

export interface VectorsMade {
  readonly screens: number;
  readonly dim: number;
  readonly shards: number;
  /** shards that were there */
  readonly kept: number;
}

/** Whether the run's trajectories were imported. */
export function hasImported(config: Config): boolean {
  const folder = datasetFolder(config, 'trajectories');
  return readManifest(folder).size > 0 && (readPlan(folder)?.stage ?? IMPORT) === IMPORT;
}

/**
 * `critiq import vectors`: `image-vectors` of imported trajectories, by the vision tower of a policy of the run. `collect` makes
 * them for the episodes that it plays. Shards that are there for the same screens and tower stay.
 * @param policy its data set, `policy/base`
 * @throws UserError if the trajectories are not imported, or the policy has no tower
 */
export async function importVectors(
  policy: string,
  config: Config,
  { display, signal, force }: { readonly display: Display; readonly signal: AbortSignal; readonly force: boolean },
): Promise<VectorsMade> {
  const trajectories = datasetFolder(config, 'trajectories');
  if (!hasImported(config))
    throw new UserError(
      `${trajectories}: expected imported trajectories; \`critiq import seeclick\` and others make them`,
    );
  return underLock(config, display, async (lock, log) => {
    const folder = datasetFolder(config, 'image-vectors');
    const made = builtByStage(config, ['image-vectors'], force, 'replace it with --force, or import into another run');
    await trashDatasets(config, 'import vectors', made, display);
    log.begin();
    lock.update(`image-vectors ${IMPORT}`);
    const { provider, device_id: deviceId, tf32 } = config;
    const threads = config.threads || availableParallelism();
    const runtime = await openRuntime({ kind: 'auto', threads, provider, deviceId, tf32 });
    const caches: VectorCache[] = [];
    try {
      const { tower } = await Policy.load(runtime, datasetFolder(config, policy), (name, dim) => {
        const cache = VectorCache.open(join(config.data, '.cache', name), dim);
        caches.push(cache);
        return Promise.resolve(cache);
      });
      const sources = await openDataset(trajectories, { stage: 'import' });
      const set = await openDataset(folder, { stage: 'import vectors' });
      const output = new Output('image-vectors', folder);
      output.removeTemporary();
      const weights = [...readManifest(datasetFolder(config, policy)).values()].flatMap(({ files }) =>
        files.map(({ file, crc32 }) => [file, crc32]),
      );
      const settings = fingerprint(['import vectors', weights.filter(([file]) => String(file).startsWith('vision/'))]);
      const plan = async (finished: boolean): Promise<void> =>
        new Output('image-vectors', folder).writePlan({
          ...{ stage: IMPORT, instance: IMPORT, settings: { import: { vectors: policy } } },
          ...{ shards: finished ? sources.shards.map(({ shard }) => shard) : [], finished },
        });
      await plan(false);
      const images = new ImageStore(join(runFolder(config), 'images'));
      const rows = sources.shards.reduce((sum, { files }) => sum + (files[0]?.rows ?? 0), 0);
      const progress = display.progress(Math.max(1, rows), 'import: screens');
      let [screens, kept] = [0, 0];
      for (const { shard, files } of sources.shards) {
        const inputs = fingerprint(files.map(({ file, crc32 }) => [file, crc32]));
        if (set.has(shard, { inputs, settings })) {
          kept++;
          progress.advance(files[0]?.rows ?? 0);
          continue;
        }
        const steps = await readTable(join(trajectories, FILES.transitions(shard)), TRANSITIONS, {
          columns: ['image', 'done', 'nextImage'],
        });
        const file = FILES.vectors(shard);
        const written = await writeScreenVectors(set.path(file), steps, {
          ...{ tower, images },
          onScreens: (count) => {
            if (signal.aborted) throw new Interrupted('import: stopped; run the same command again to resume');
            progress.advance(count);
          },
        });
        await set.commit({ shard, files: [{ file, ...written }], inputs, settings });
        screens += written.rows;
      }
      progress.done();
      const wanted = new Set(sources.shards.map(({ shard }) => shard));
      for (const { shard } of set.shards) if (!wanted.has(shard)) await set.remove(shard);
      await plan(true);
      return { screens, dim: tower.dim, shards: wanted.size, kept };
    } finally {
      for (const cache of caches) cache.close();
      await runtime.close();
    }
  });
}
