import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { importDemonstrations } from '../../pipelines/commands/import-episodes.js';
import { importVectors } from '../../pipelines/commands/import-vectors.js';
import { registry } from '../../pipelines/index.js';
import { PREDICTIONS } from '../../src/data/predictions.js';
import { readSealed } from '../../src/data/store/sealed.js';
import { readTable } from '../../src/data/tables.js';
import { TRANSITIONS } from '../../src/data/transitions.js';
import type { OfflineEvaluation } from '../../src/report/evaluations.js';
import { Display } from '../../src/runner/display.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { compareRuns } from '../../src/runs/compare.js';
import { loadSettings, type Config } from '../../src/settings/settings.js';
import { writeSeeClick } from '../rigs/demonstrations.js';
import { contents, emptyFolder } from '../rigs/process.js';
import { run, withPolicy } from '../rigs/tiny-runs.js';

const quiet = (): { display: Display; signal: AbortSignal; force: boolean } => ({
  display: new Display('quiet'),
  signal: new AbortController().signal,
  force: false,
});

const loaded = await loadRegistry(registry);

async function settings(data: string, overrides: string[] = []): Promise<Config> {
  return loadSettings(loaded.schema, {
    file: registry.defaultConfig,
    overrides: [`data=${data}`, ...overrides],
    aliases: loaded.aliases,
  });
}

test('imported episodes go through candidates, represent, critic, actor and offline evaluation', async (t) => {
  const data = await withPolicy(t);
  const folder = emptyFolder(t);
  const files = [await writeSeeClick(folder, 'train', 8), await writeSeeClick(folder, 'val', 3, 20)];
  const config = await settings(data);
  const counts = await importDemonstrations('seeclick', files, config, { ...quiet(), images: join(folder, 'images') });
  assert.deepEqual([counts.splits.train, counts.splits.val], [8, 3]);
  const at = (...names: string[]) => join(data, 'pocket', ...names);

  await assert.rejects(
    run(data, 'candidates', []),
    /image-vectors: missing for the imported trajectories; run `critiq import vectors`/,
  );
  const made = await importVectors('policy/base', config, quiet());
  assert.deepEqual([made.screens, made.shards, made.kept], [40, 1, 0]);
  const before = contents(at('image-vectors'));
  assert.equal((await importVectors('policy/base', config, quiet())).kept, 1);
  assert.deepEqual(contents(at('image-vectors')), before);

  await run(data, 'actor', []);
  // no stage has played an episode: the trajectories are those of the files
  assert.equal((await readTable(at('trajectories', 'transitions-00000.parquet'), TRANSITIONS)).length, 40);
  for (const policy of ['base', 'digiq']) await run(data, 'offline', [`offline.policy=${policy}`]);
  const result = (name: string) => readSealed(at('eval', name, '_result.json'), '') as unknown as OfflineEvaluation;
  const base = result('base-offline-greedy');
  assert.deepEqual([base.protocol, base.split, base.episodes, base.offline.step.of], ['offline', 'heldout', 3, 15]);
  assert.deepEqual([base.offline.click.of, base.offline.scroll.of, base.offline.typed_text.of], [3, 3, 3]);
  assert.deepEqual(Object.keys(base.offline_families), ['general']);
  const predictions = await readTable(
    at('eval', 'base-offline-greedy', '_predictions', 'predictions-00000.parquet'),
    PREDICTIONS,
  );
  assert.equal(predictions.filter(({ matched }) => matched).length, base.offline.step.hits);
  assert.equal(predictions.filter(({ parsed }) => !parsed).length, base.offline.unparsable.hits);
  const held = await readTable(at('heldout', 'transitions-00000.parquet'), TRANSITIONS);
  assert.deepEqual(
    predictions.map(({ reference }) => reference),
    held.map(({ action }) => action),
  );
  const shown = await readTable(at('eval', 'base-offline-greedy', 'transitions-00000.parquet'), TRANSITIONS);
  assert.deepEqual(
    shown.map(({ action }) => action),
    predictions.map(({ prediction }) => prediction),
  );

  // the same again after the predictions are gone, and by the name alone
  const digests = contents(at('eval', 'base-offline-greedy'));
  rmSync(at('eval', 'base-offline-greedy'), { recursive: true });
  await run(data, 'report', [
    'report.evals=[base-offline-greedy,digiq-offline-greedy]',
    'report.compare=[base-offline-greedy,digiq-offline-greedy]',
  ]);
  assert.deepEqual(contents(at('eval', 'base-offline-greedy')), digests);
  assert.ok(existsSync(at('report.html')));
  const { evaluations } = await compareRuns(loaded, data, ['pocket']);
  assert.ok(evaluations.some(({ name }) => name === 'digiq-offline-greedy'));
});

test('collected trajectories are compared with where critic and actor do not learn from them', async (t) => {
  const data = await withPolicy(t);
  await run(data, 'collect', ['collect.episodes=10']);
  await assert.rejects(
    run(data, 'offline', ['offline.data=trajectories', 'offline.split=val']),
    /only imported data have a split/,
  );
  await run(data, 'offline', ['offline.data=trajectories', 'offline.only=all']);
  const folder = join(data, 'pocket', 'eval', 'base-offline.trajectories-greedy');
  const rows = await readTable(join(folder, 'transitions-00000.parquet'), TRANSITIONS);
  const more = await readTable(join(folder, 'transitions-00001.parquet'), TRANSITIONS);
  // the critic holds out a fifth
  assert.equal([...rows, ...more].filter(({ done }) => done).length, 2);
  const result = readSealed(join(folder, '_result.json'), '') as unknown as OfflineEvaluation;
  assert.equal(result.offline.step.of + result.offline.outside, rows.length + more.length);
});
