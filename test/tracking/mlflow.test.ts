/** MLflow as a second sink of the metrics: its limits, real times, an offline queue, and no point twice whatever fails. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../../src/random.js';
import { readMetrics } from '../../src/data/metrics.js';
import { Metrics, wallTimes } from '../../src/runner/metrics.js';
import { Output } from '../../src/runner/outputs.js';
import { Unavailable } from '../../src/tracking/client.js';
import { MlflowSink } from '../../src/tracking/mlflow.js';
import { batches, params } from '../../src/tracking/points.js';
import { contents, critiq, emptyFolder, start, succeed, until } from '../rigs/process.js';
import { TrackingServer, type Behaviour } from '../rigs/tracking/server.js';

async function serve(t: TestContext): Promise<{ server: TrackingServer; url: string }> {
  const server = new TrackingServer();
  const url = await server.start();
  t.after(() => server.stop());
  return { server, url };
}

const SETTINGS = { critic: { lr: 1e-4, hidden: [4, 4], name: 'x'.repeat(7000), ...many(150) }, seed: 3 };

function many(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`s${i}`, i]));
}

/** A run with a stage `critic` that trains: `write` adds a line, `finish` ends it. */
async function training(folder: string, settings: Record<string, unknown> = SETTINGS) {
  writeFileSync(
    join(folder, 'run.json'),
    JSON.stringify({ seed: 3, commit: 'a1b2-dirty', versions: { critiq: '0.1.0' } }),
  );
  const output = new Output('critic', join(folder, 'critic'));
  const plan = (finished: boolean) =>
    output.writePlan({ stage: 'critic', instance: 'critic', settings, shards: ['critic'], finished });
  await plan(false);
  const metrics = new Metrics(folder, 'critic', () => true);
  return { metrics, shard: metrics.shard('critic'), finish: () => plan(true) };
}

test('settings, metrics with their real times, and the end; in requests of the size that MLflow takes', async (t) => {
  const { server, url } = await serve(t);
  const folder = emptyFolder(t);
  const { metrics, shard, finish } = await training(folder);
  for (let step = 1; step <= 1200; step++) shard.write(step, { loss: 1 / step, 'odd name%': step === 3 ? NaN : step });
  const sink = new MlflowSink(folder, { url, experiment: 'study' });
  assert.equal(await sink.push(), 2399, 'all but NaN');
  assert.equal(await sink.push(), 0);
  shard.write(1201, { loss: 0 });
  metrics.close();
  await finish();
  assert.equal(await sink.push(), 1);
  assert.equal(await sink.push(), 0);
  const [run, ...others] = server.runs;
  assert.deepEqual(others, []);
  assert.equal(run.experiment, 'study');
  assert.equal(run.status, 'FINISHED');
  assert.match(run.name, /\/critic$/);
  assert.equal(run.tags['critiq.seed'], '3');
  assert.equal(run.tags['mlflow.source.git.commit'], 'a1b2');
  assert.equal(Object.keys(run.params).length, 154);
  assert.equal(run.params['critic.lr'], '0.0001');
  assert.equal(run.params['critic.hidden'], '[4,4]');
  assert.equal(run.params['critic.name'].length, 6000);
  const times = wallTimes(folder, 'critic', readMetrics(join(folder, 'metrics/critic.jsonl')));
  const loss = run.metrics.filter(({ key }) => key === 'loss');
  assert.deepEqual(
    loss.map(({ timestamp }) => timestamp),
    times.map((time) => Math.round(time * 1000)),
  );
  assert.equal(run.startTime, Math.round(Math.min(...times) * 1000));
  assert.equal(run.metrics.filter(({ key }) => key === 'odd name_').length, 1199);
  // other settings are another run
  const again = await training(folder, { critic: { lr: 1 } });
  again.shard.write(1, { loss: 5 });
  again.metrics.close();
  assert.equal(await new MlflowSink(folder, { url, experiment: 'study' }).push(), 1);
  assert.equal(server.runs.length, 2);
});

test('lines stay whole in batches, and settings become parameters', () => {
  const line = (step: number, count: number) => ({
    shard: 'a',
    step,
    points: Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: 1, step, timestamp: 0 })),
  });
  const sizes = batches([line(1, 4), line(2, 4), line(3, 4), line(4, 30)], 10).map((batch) =>
    batch.map(({ points }) => points.length),
  );
  assert.deepEqual(sizes, [[4, 4], [4], [10]]);
  assert.deepEqual(batches([]), []);
  assert.deepEqual(params({ a: { b: { c: null } }, 'x.y': 'z' }), [
    { key: 'a.b.c', value: 'null' },
    { key: 'x.y', value: 'z' },
  ]);
});

test('whatever fails and whenever the process dies: every point arrives once, in one run', async (t) => {
  const { server, url } = await serve(t);
  const faults: Behaviour[] = ['busy', 'broken', 'page', 'lost', 'half', 'hang'];
  for (const seed of [1, 2, 3]) {
    const random = new Random(seed, 'mlflow faults');
    const folder = emptyFolder(t);
    const { metrics, shard, finish } = await training(folder, { critic: { seed } });
    server.runs.splice(0);
    let faulty = true;
    server.behave = () => (faulty && random.int(3) > 0 ? faults[random.int(faults.length)] : 'well');
    for (let step = 1; step <= 60; step++) {
      shard.write(step, { loss: step, q: -step });
      if (step % 3 > 0) continue;
      // a new sink is a new process, which knows only what is on the disk
      await new MlflowSink(folder, { url, experiment: 'study' }, {}, 100).push().catch((error: unknown) => {
        assert.ok(error instanceof Unavailable, String(error));
      });
    }
    metrics.close();
    await finish();
    faulty = false;
    await new MlflowSink(folder, { url, experiment: 'study' }).push();
    assert.equal(server.runs.length, 1, 'one run');
    const expected = Array.from({ length: 60 }, (_, i) => i + 1);
    assert.deepEqual(
      server.values('critic', 'loss').sort(([a], [b]) => a - b),
      expected.map((step) => [step, step]),
    );
    assert.equal(server.values('critic', 'q').length, 60);
    assert.equal(server.runs[0].status, 'FINISHED');
  }
});

test('a resumed training does not send its repeated steps again', async (t) => {
  const { server, url } = await serve(t);
  const folder = emptyFolder(t);
  const first = await training(folder);
  for (let step = 1; step <= 8; step++) first.shard.write(step, { loss: step });
  first.metrics.close();
  await new MlflowSink(folder, { url, experiment: 'study' }).push();
  const second = await training(folder);
  second.shard.resume(5);
  for (let step = 6; step <= 10; step++) second.shard.write(step, { loss: step });
  second.metrics.close();
  await new MlflowSink(folder, { url, experiment: 'study' }).push();
  assert.deepEqual(
    server.values('critic', 'loss').map(([step]) => step),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
});

test('credentials come from the environment and are in no message', async (t) => {
  const { server, url } = await serve(t);
  const folder = emptyFolder(t);
  const { metrics, shard } = await training(folder);
  shard.write(1, { loss: 1 });
  metrics.close();
  const token = 'token-0123456789';
  await new MlflowSink(folder, { url, experiment: 'x' }, { MLFLOW_TRACKING_TOKEN: token }).push();
  assert.ok(server.asked.every(({ authorization }) => authorization === `Bearer ${token}`));
  server.behave = () => 'no key';
  const basic = { MLFLOW_TRACKING_USERNAME: 'me', MLFLOW_TRACKING_PASSWORD: 'password-987' };
  await assert.rejects(new MlflowSink(folder, { url, experiment: 'y' }, basic).push(), (error: Error) => {
    assert.match(
      error.message,
      /MLflow answered 401: not known: Basic \*\*\*; put credentials in MLFLOW_TRACKING_TOKEN/,
    );
    return true;
  });
  assert.equal(server.asked.at(-1)!.authorization, `Basic ${Buffer.from('me:password-987').toString('base64')}`);
  assert.equal(readFileSync(join(folder, '.log/mlflow.json'), 'utf8').includes(token), false);
});

test('a stage trains with and without the server, killed and resumed; `critiq log push` sends the rest', async (t) => {
  const { server, url } = await serve(t);
  const cwd = emptyFolder(t);
  const calm = emptyFolder(t);
  await succeed(['total'], { cwd: calm });
  const live = ['total', `mlflow.url=${url}`, 'mlflow.every_s=0.1'];
  // metrics arrive while it trains; then it is killed
  await succeed(['squares'], { cwd });
  const killed = start(live, { cwd, delayMs: 1000 });
  await until(() => server.values('total/all', 'sum').length >= 7, 'seven points have arrived', 60);
  killed.child.kill('SIGKILL');
  await killed.ended;
  // the server is gone: one warning, and the work goes on
  const port = new URL(url).port;
  await server.stop();
  const { stderr } = await succeed(live, { cwd });
  assert.equal(stderr.match(/MLflow does not take metrics now: ECONNREFUSED/g)?.length, 1, stderr);
  assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
  assert.equal((await critiq(['log', 'push', `mlflow.url=${url}`], { cwd })).code, 1);
  await server.start(Number(port));
  const pushed = await succeed(['log', 'push', `mlflow.url=${url}`], { cwd });
  assert.match(pushed.stderr, /log push: sent \d+ points? to http/);
  const steps = server.values('total/all', 'sum').map(([step]) => step);
  assert.deepEqual(
    steps,
    Array.from({ length: 20 }, (_, i) => i + 1),
    'every step once',
  );
  assert.equal(server.runs.filter(({ tags }) => tags['critiq.instance'] === 'total/all').length, 1);
  assert.equal(
    new Set(server.values('numbers', 'n0/value').map(([step]) => step)).size,
    5,
    'shards have keys of their own',
  );
  const refused = await critiq(['log', 'push', 'mlflow.url='], { cwd });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /^critiq: mlflow\.url: no server to send to/);
  assert.equal((await critiq(['log', 'push', 'mlflow.url=http://me:pw@x'], { cwd })).code, 2);
  assert.equal(existsSync(join(calm, 'data/pocket/.log/mlflow.json')), false);
});
