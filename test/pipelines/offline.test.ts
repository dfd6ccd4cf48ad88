import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { importDemonstrations } from '../../pipelines/commands/import-episodes.js';
import { exportEpisodes } from '../../pipelines/commands/export-episodes.js';
import { importVectors } from '../../pipelines/commands/import-vectors.js';
import { registry } from '../../pipelines/index.js';
import { ANNOTATIONS } from '../../src/data/annotations.js';
import { decodePng } from '../../src/data/formats/png.js';
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
  assert.match(
    readFileSync(at('report.html'), 'utf8'),
    /Compared with recorded episodes[\s\S]*recorded episodes \(heldout, aitw\)[\s\S]*<th scope="row">digiq<\/th>/,
  );
  assert.doesNotMatch(readFileSync(at('report.html'), 'utf8'), /Success rates with Wilson/);
  const json = JSON.parse(readFileSync(at('report.json'), 'utf8')) as Record<string, unknown> & { rows: unknown[] };
  assert.deepEqual([json.rows, json.greedy, json.first96], [[], [], []]);
  assert.deepEqual(
    (json.evaluations as Record<string, OfflineEvaluation>)['base-offline-greedy'].offline,
    base.offline,
  );
  const { evaluations } = await compareRuns(loaded, data, ['pocket']);
  assert.ok(evaluations.some(({ name }) => name === 'digiq-offline-greedy'));

  // out in both layouts, and in again to the same rows
  for (const layout of ['seeclick', 'vem'] as const) {
    const out = join(folder, layout);
    const exported = await exportEpisodes(layout, out, config, quiet());
    assert.deepEqual([exported.episodes, exported.steps, exported.leftOut], [11, 55, 0]);
    const again = emptyFolder(t);
    const sources = exported.files.map((file) => join(out, file)).sort();
    assert.equal(sources.length, 2);
    await importDemonstrations(layout, sources, await settings(again), {
      ...quiet(),
      images: join(out, 'aitw_images'),
    });
    for (const set of ['trajectories', 'heldout']) {
      const rows = async (root: string) =>
        (await readTable(join(root, 'pocket', set, 'transitions-00000.parquet'), TRANSITIONS)).map(
          ({ trajectory, step, action, prompt, image, nextImage, family, goal, mcReturn }) => [
            trajectory,
            step,
            action,
            prompt,
            image,
            nextImage,
            family,
            goal,
            mcReturn,
          ],
        );
      assert.deepEqual(await rows(again), await rows(data));
      const boxes = async (root: string) =>
        (await readTable(join(root, 'pocket', set, '_annotations', 'annotations-00000.parquet'), ANNOTATIONS)).map(
          (row) => [row.step, row.split, ...row.boxes],
        );
      assert.deepEqual(await boxes(again), await boxes(data));
    }
  }
  const lines = readFileSync(join(folder, 'vem', 'general_train.jsonl'), 'utf8').split('\n');
  const [first, second, third] = lines.slice(0, 3).map((line) => JSON.parse(line) as Record<string, unknown>);
  // the history of a step has all steps before it and no other: not that of `[:step_id - 1]`, where step 0 sees the future
  assert.equal(first.policy_input, 'Previous Action:\n\nGoal:\nfind item 0');
  const texts = first.action_desc_all_list as string[];
  assert.equal(third.policy_input, `Previous Action:\n${texts[0]}\n${texts[1]}\nGoal:\nfind item 0`);
  const dotted = (second.add_point_image_list as string[]).map((name) =>
    decodePng(readFileSync(join(folder, 'vem', name))),
  );
  const red = dotted.map(
    ({ rgba }) => rgba.filter((_, i) => i % 4 === 0 && rgba[i] === 255 && rgba[i + 1] === 0).length,
  );
  assert.deepEqual(
    red.map((count) => count > 100),
    [true, false, false, true, false],
  );
  // a click is [x, y] in the lists of points, and [y, x] in every text
  assert.deepEqual(first.touch_point, [0.1, 0.75]);
  assert.match(texts[0], /"touch_point": "\[0\.7500, 0\.1000\]"/);
  assert.equal(
    (second.action_desc_list as string[])[0],
    'step 0: "action_type": "DUAL_POINT", "click_point": "[0.7500, 0.1000]"',
  );
  assert.match(
    String(third.policy_output),
    /^Action Plan: \[PRESS_ENTER, DUAL_POINT, STATUS_TASK_COMPLETE\] ; Action Decision: "action_type": "PRESS_ENTER"/,
  );
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
