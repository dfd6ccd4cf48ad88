/** The table of runs and their comparison: what the viewer's server answers, and the page that shows it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../pipelines/index.js';
import { readSealed } from '../../src/data/store/sealed.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { compareRuns } from '../../src/runs/compare.js';
import { forkRun } from '../../src/runs/fork.js';
import { listRuns } from '../../src/runs/listing.js';
import { apiRoutes } from '../../src/viewer/api-routes.js';
import type { RunRow, RunsCompared } from '../../src/viewer/api.js';
import { RunFolders } from '../../src/viewer/run-folders.js';
import { Runs } from '../../src/viewer/runs.js';
import { viewedRun } from '../rigs/viewer/rig.js';

const loaded = await loadRegistry(registry);

test('all runs, and two of them side by side; only names of runs in the folder are looked up', async (t) => {
  const { data } = await viewedRun(t);
  await forkRun({ data, from: 'seen', to: 'other' });
  const plan = join(data, 'other/eval/digiq-test/_plan.json');
  const text = readSealed(plan, '') as { settings: { eval: object } };
  text.settings.eval = { ...text.settings.eval, temperature: 0.5 };
  writeFileSync(plan, JSON.stringify(text));
  const many = {
    list: () =>
      listRuns(loaded, data, new Map([['defaults', loaded.schema.parse({})]])).map((run) => ({ ...run, state: '' })),
    compare: (names: readonly string[]) => compareRuns(loaded, data, names),
  };
  const runs = new Runs(RunFolders.open(data, 'seen'));
  const app = apiRoutes({ runs, pictures: undefined as never, scorer: undefined as never, images: undefined, many });
  const rows = (await (await app.request('/all-runs')).json()) as RunRow[];
  assert.deepEqual(rows.map(({ run, forked_from: from }) => [run, from]).sort(), [
    ['other', 'seen'],
    ['seen', null],
  ]);
  assert.equal(rows[0].rates['digiq-test'].rate, 4 / 6);
  const compared = (await (await app.request('/compare?runs=seen,other')).json()) as RunsCompared;
  assert.deepEqual(compared.runs, ['seen', 'other']);
  const [{ rates }] = compared.evaluations;
  assert.equal(rates[1].against_first?.difference, 0);
  for (const wrong of ['seen', 'seen,..', 'seen,../other', 'seen,nobody'])
    assert.notEqual((await app.request(`/compare?runs=${wrong}`)).status, 200, wrong);
});
