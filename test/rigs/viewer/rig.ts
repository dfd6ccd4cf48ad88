/** Shared by the viewer's tests: a run folder with every kind of data, written by the real writers, and a viewer on it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordFile } from '../../../src/data/store/integrity.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { TOKEN_INFLUENCE, type InfluenceRow } from '../../../src/data/online-tables.js';
import { writeTable } from '../../../src/data/tables.js';
import type { PlanRecord } from '../../../src/runner/outputs.js';
import { Output } from '../../../src/runner/outputs.js';
import { RunFolders } from '../../../src/viewer/run-folders.js';
import { openViewer } from '../../../src/viewer/server.js';
import { makeEvaluation, makeRun, type FakeRun } from '../report-run.js';
import { emptyFolder } from '../process.js';

export interface ViewedRun extends FakeRun {
  /** the folder of the run's folder */
  readonly data: string;
}

/** Token weights of two actions at two iterations. */
export const INFLUENCE: readonly InfluenceRow[] = [1, 2].flatMap((iteration) =>
  ['tap', 'type'].map((word, i) => ({
    iteration,
    phase: iteration === 1 ? 'offline' : 'live',
    action: `${word} it`,
    tokens: [word, ' it', ''],
    weights: [0.5 * iteration, 0.25 * i, 0.125],
  })),
);

/** A run with trajectories, candidates, values, metrics, two evaluations and token weights: `data/seen`. */
export async function viewedRun(t: Parameters<typeof emptyFolder>[0]): Promise<ViewedRun> {
  const data = emptyFolder(t);
  const folder = join(data, 'seen');
  const run = await makeRun(folder);
  await makeEvaluation(run, 'base-test', (n) => n === 1);
  await makeEvaluation(run, 'digiq-test', (n) => n > 1);
  await plan(folder, 'trajectories', { stage: 'collect', settings: { collect: { policy: 'base' } } });
  for (const policy of ['base', 'digiq'])
    await plan(folder, `eval/${policy}-test`, {
      stage: 'eval',
      settings: { eval: { policy }, device: { backend: 'browser' } },
    });
  mkdirSync(join(folder, 'online/coso'), { recursive: true });
  const file = 'token-influence.parquet';
  await writeTable(join(folder, 'online/coso', file), TOKEN_INFLUENCE, INFLUENCE);
  const set = await openDataset(join(folder, 'online/coso'));
  const record = await recordFile(join(folder, 'online/coso', file), file);
  await set.commit({ shard: 'online', files: [record], inputs: '', settings: '' });
  const settings = { actor: { aggregate: 'mean', threshold: 0 } };
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ seed: 7, settings }));
  return { ...run, data };
}

async function plan(folder: string, name: string, of: Pick<PlanRecord, 'stage' | 'settings'>): Promise<void> {
  await new Output(name, join(folder, name)).writePlan({ ...of, instance: name, shards: ['00000'], finished: true });
}

/** An open viewer. */
export interface TestViewer {
  readonly url: string;
  /** the API's answer: status and JSON */
  get(path: string): Promise<{ status: number; body: unknown }>;
  /** errors of the viewer itself */
  readonly complaints: readonly string[];
}

/** A viewer on a data folder, closed after the test. */
export async function viewing(
  t: Parameters<typeof emptyFolder>[0] & { after(fn: () => Promise<void>): void },
  data: string,
  run: string,
  options: { host?: string; images?: string } = {},
): Promise<TestViewer> {
  const complaints: string[] = [];
  const viewer = await openViewer({
    runs: RunFolders.open(data, run),
    host: options.host ?? '127.0.0.1',
    port: 0,
    images: options.images,
    cache: emptyFolder(t),
    complain: (line) => complaints.push(line),
  });
  t.after(() => viewer.close());
  const base = new URL(viewer.url).origin;
  return {
    url: viewer.url,
    complaints,
    get: async (path) => {
      const response = await fetch(`${base}/api${path}`);
      return { status: response.status, body: await response.json() };
    },
  };
}
