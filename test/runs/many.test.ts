/** Runs of the real pipeline on tiny settings: a fork with one changed setting, compared; policies and critics of other runs. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTransitions } from '../../pipelines/datasets.js';
import { registry } from '../../pipelines/index.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { inspectRun } from '../../src/runner/inspect.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { compareRuns } from '../../src/runs/compare.js';
import { comparisonPage } from '../../src/runs/compare-page.js';
import { comparisonText } from '../../src/runs/compare-text.js';
import { forkRun } from '../../src/runs/fork.js';
import { loadSettings } from '../../src/settings/settings.js';
import { contents, emptyFolder } from '../rigs/process.js';
import { TINY_OFFLINE } from '../rigs/tiny-settings.js';

const loaded = await loadRegistry(registry);

const TINY = [
  'device.count=4',
  'tasks.max_steps=3',
  'demos.episodes=4',
  'demos.shard=4',
  'sft.epochs=1',
  'sft.batch=8',
  'sft.width=16',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=16',
  'candidates.samples=3',
  ...TINY_OFFLINE,
  // the actor must depend on the critic
  'actor.loss=awr',
  'eval.policy=digiq',
];

function settings(data: string, run: string, ...overrides: string[]) {
  const file = registry.defaultConfig;
  return loadSettings(loaded.schema, { file, overrides: [`data=${data}`, `run=${run}`, ...TINY, ...overrides] });
}

async function build(
  data: string,
  run: string,
  stage: string,
  overrides: readonly string[] = [],
  options: RunOptions = {},
): Promise<Record<string, number>> {
  const config = settings(data, run, ...overrides);
  const summaries = await runStage(loaded, stage, config, options);
  return Object.fromEntries(summaries.filter(({ made }) => made > 0).map(({ instance, made }) => [instance, made]));
}

test('a fork with one changed setting: comparing shows this setting and the paired difference; other runs lend their policies', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a', 'eval');
  await forkRun({ data, from: 'a', to: 'b' });
  const original = contents(join(data, 'a'));
  assert.deepEqual(await build(data, 'b', 'eval', ['critic.lr=0.002'], { redo: true }), {
    critic: 1,
    'actor/digiq': 1,
    'eval/digiq-test': 2,
  });
  assert.deepEqual(contents(join(data, 'a')), original);

  await t.test('compare', async () => {
    const comparison = await compareRuns(loaded, data, ['a', 'b']);
    assert.deepEqual(
      comparison.settings.map(({ path, values, instances }) => ({ path, changed: values[1], instances })),
      [{ path: 'critic.lr', changed: 0.002, instances: ['critic'] }],
    );
    const [{ name, rates }] = comparison.evaluations;
    assert.equal(name, 'digiq-test');
    const against = rates[1].against_first!;
    assert.ok(against.paired);
    assert.equal(against.shared, 6);
    assert.ok(Math.abs(against.difference - (rates[1].rate - rates[0].rate)) < 1e-12);
    assert.deepEqual(comparison.missing, []);
    assert.deepEqual(comparison.stale, {});
    assert.ok(comparison.curves.some(({ instance, metric }) => instance === 'critic' && metric === 'loss'));
    assert.ok(!comparison.curves.some(({ instance }) => instance === 'vlm'), 'the shared part is the same');
    const text = comparisonText(comparison);
    assert.match(text, /^SETTING +a +b\ncritic\.lr +\S+ +0\.002 +in critic\n\n/);
    assert.match(text, /^ {2}b +0\.0 \(.* 6 pairs$/m);
    assert.match(text, /^critic$/m);
    const page = comparisonPage(comparison, '1.0');
    assert.match(page, /<code>critic\.lr<\/code>/);
    assert.match(page, /against a/);
    assert.ok(page.includes('id="curves"') && page.endsWith('</html>\n'));
  });

  await t.test('with another seed the episodes are others, and are not paired', async () => {
    await build(data, 'b', 'eval', ['eval.policy=base']);
    await build(data, 'seeded', 'eval', ['eval.policy=base', 'seed=1']);
    const { evaluations } = await compareRuns(loaded, data, ['b', 'seeded']);
    const against = evaluations.find(({ name }) => name === 'base-test')!.rates[1].against_first!;
    assert.ok(!against.paired);
    assert.match(against.why, /seed/);
  });

  await t.test(
    'a second round: a fork whose policy of the first round collects, samples and is trained on',
    async () => {
      const refused = await build(data, 'a', 'collect', ['collect.policy=digiq']).catch(
        (error: Error) => error.message,
      );
      const told = /`critiq fork (\S+) (\S+)`, then `critiq collect run=(\S+) (\S+) --redo` \(see /.exec(
        String(refused),
      );
      assert.deepEqual(told?.slice(1), ['a', 'a-2', 'a-2', 'collect.policy=a:digiq']);
      await forkRun({ data, from: 'a', to: 'a-2' });
      const rounds = [told![4], 'candidates.policy=a:digiq', 'actor.from=a:digiq'];
      const reported = [
        'report.evals=[base-test, a++digiq-test, digiq-test]',
        'report.compare=[a++digiq-test, digiq-test]',
      ];
      const built = await build(data, 'a-2', 'report', [...rounds, ...reported], { redo: true });
      assert.equal(built.collect, 2, 'collected anew');
      assert.equal(built.sft ?? 0, 0, 'the base policy is that of the first round');
      assert.deepEqual(await build(data, 'a-2', 'report', [...rounds, ...reported]), {});
      const rows = await readTransitions(join(data, 'a-2/trajectories'), 'collect');
      assert.deepEqual(new Set(rows.map(({ policy }) => policy)), new Set(['a:digiq']));
      const first = await readTransitions(join(data, 'a/trajectories'), 'collect');
      assert.deepEqual(new Set(first.map(({ policy }) => policy)), new Set(['base']));
      const report = JSON.parse(readFileSync(join(data, 'a-2/report.json'), 'utf8')) as { rows: { policy: string }[] };
      assert.deepEqual(
        report.rows.map(({ policy }) => policy),
        ['base', 'a:digiq', 'digiq'],
      );
      assert.match(readFileSync(join(data, 'a-2/report.html'), 'utf8'), /a:digiq/);
      // the name that comes next
      const third = await build(data, 'a-2', 'collect', ['collect.policy=digiq']).catch(
        (error: Error) => error.message,
      );
      assert.match(String(third), /`critiq fork a-2 a-3`/);
    },
  );

  await t.test('a policy, critic and VLM of another run', async () => {
    const own = readFileSync(join(data, 'a/eval/digiq-test/_result.json'), 'utf8');
    assert.deepEqual(await build(data, 'c', 'eval', ['eval.policy=a:digiq']), { 'eval/a++digiq-test': 2 });
    // the table of episodes says the policy's name, so its checksum differs
    const numbers = (text: string) => ({ ...(JSON.parse(text) as object), policy: '', crc32: 0 });
    const lent = readFileSync(join(data, 'c/eval/a++digiq-test/_result.json'), 'utf8');
    assert.deepEqual(numbers(lent), numbers(own), 'the same policy on the same episodes');
    assert.deepEqual(readdirSync(join(data, 'c')).includes('policy'), false, 'nothing is built in between');
    const ranked = ['eval.policy=b:base', 'eval.best_of_q=2', 'eval.critic=b:critic'];
    assert.deepEqual(await build(data, 'c', 'eval', ranked), { 'eval/b++base+bestofq++b-test': 2 });
    assert.deepEqual(await build(data, 'c', 'eval', ranked), {});
    // named as a report names it
    const found = loaded.stages.get('eval')!.provides('eval/b++base+bestofq++b-test', settings(data, 'c'));
    assert.equal(found?.['eval.policy'], 'b:base');
    assert.equal(found?.['eval.critic'], 'b:critic');
    await build(data, 'c', 'actor', ['actor.method=filteredbc', 'actor.from=a:base']).catch((error: Error) => {
      // nothing succeeds on tiny settings; the base policy of c itself is built for the trajectories
      assert.match(error.message, /no trajectory succeeded/);
    });
    const status = await inspectRun(loaded, settings(data, 'c', 'eval.policy=a:digiq'));
    assert.equal(status.find(({ instance }) => instance === 'eval/a++digiq-test')?.state, 'up to date');
    await build(data, 'a', 'actor', ['actor.lr=0.01'], { redo: true });
    await assert.rejects(build(data, 'c', 'eval', ['eval.policy=a:digiq']), /inputs changed/);
  });

  await t.test('what another run does not have is told, and no path leaves the data folder', async () => {
    const from = (policy: string): Promise<unknown> => build(data, 'd', 'eval', [`eval.policy=${policy}`]);
    await assert.rejects(from('nobody:digiq'), /nobody: no such run; .* has a, a-2, b, c, seeded/);
    await assert.rejects(
      from('a:digi'),
      /a\/policy\/digi: no such data set; the run a has policy\/base, policy\/digiq$/,
    );
    await assert.rejects(from('..:digiq'), /expected the name of a policy/);
    await assert.rejects(from('a:../../../secret'), /expected the name of a policy/);
    await assert.rejects(from('../../b/policy/base'), /expected the name of a policy/);
    await assert.rejects(build(data, 'd', 'eval', ['eval.best_of_q=2', 'eval.critic=b:policy/base']));
    assert.ok(!existsSync(join(data, 'd')), 'a command that fails leaves no folder');
  });
});
