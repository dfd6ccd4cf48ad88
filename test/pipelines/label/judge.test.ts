import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { LabelRow } from '../../../src/data/labels.js';
import { readLabels, readTransitions } from '../../../pipelines/datasets.js';
import { emptyFolder } from '../../rigs/process.js';
import { RATER, RaterServer, share, type Rated } from '../../rigs/judge/rater.js';
import { run } from '../../rigs/tiny-runs.js';

let demos: string;

/** A run with demonstrations of a few tasks, made once. */
async function withDemos(t: TestContext): Promise<string> {
  if (!demos) {
    demos = emptyFolder({ after: (fn) => process.once('exit', fn) });
    await run(demos, 'demos', ['demos.episodes=6', 'demos.shard=3', 'tasks.max_steps=6']);
  }
  const data = emptyFolder(t);
  cpSync(demos, data, { recursive: true });
  return data;
}

/** Runs the stage on the demonstrations with a judge at the server. */
async function rate(data: string, { url }: RaterServer, settings: string[] = [], options = {}): Promise<string> {
  return run(
    data,
    'label',
    [
      ...['demos.episodes=6', 'demos.shard=3', 'tasks.max_steps=6'],
      ...['label.data=demos', 'label.from=judge', `label.judge.model=${RATER}`, `label.judge.url=${url}`],
      ...['label.judge.backoff_ms=1', 'label.second.backoff_ms=1'],
      ...settings,
    ],
    options,
  );
}

const labelsIn = (data: string): Promise<LabelRow[]> => readLabels(join(data, 'pocket', 'labels'));

test('every step gets the rating and words of the judge, and a question is asked once', async (t) => {
  const server = await RaterServer.start(t);
  const data = await withDemos(t);
  const said = await rate(data, server);
  const labels = await labelsIn(data);
  const steps = await readTransitions(join(data, 'pocket', 'demos'), 'demos');
  assert.deepEqual(labels.map(({ tid }) => tid), steps.map(({ tid }) => tid)); // prettier-ignore
  const good = new Map(
    server.asked.map(({ content }) => [content.slice(0, 8), share(content, 'rating') < 0.5 ? 1 : 2]),
  );
  for (const { rating, explanation, source, judge, secondRating } of labels) {
    assert.equal(rating, good.get(explanation.replace('because of ', '')));
    assert.deepEqual([source, judge, secondRating], ['judge', `openai ${RATER}`, null]);
  }
  assert.equal(server.asked.length, labels.length);
  const [{ body }] = server.asked;
  assert.deepEqual([body.temperature, body.max_tokens], [0.7, 100]);
  assert.match(said, /agreement with the state of the phone: [\d.]+ % of \d+ steps, kappa -?[\d.]+/);
  // again, and in another run
  await rate(data, server, [], { force: true });
  cpSync(join(data, 'pocket'), join(data, 'other'), { recursive: true });
  assert.match(await rate(data, server, ['run=other'], { force: true }), /0 new answers, \d+ from the cache/);
  assert.equal(server.asked.length, labels.length);
});

test('the pictures are the screens of the steps with their dots, in the order of the episode', async (t) => {
  const server = await RaterServer.start(t);
  const data = await withDemos(t);
  await rate(data, server);
  const steps = await readTransitions(join(data, 'pocket', 'demos'), 'demos');
  const own = steps.filter(({ trajectory }) => trajectory === steps[0].trajectory);
  const asked = server.asked.filter(({ parts }) => parts[1] === `The whole episode, ${own.length} steps:` && parts[0] === `Task: ${own[0].goal}`); // prettier-ignore
  assert.ok(asked.length >= own.length);
  for (const { parts } of asked) {
    const pictures = parts.filter((part) => part.startsWith('data:image/png'));
    assert.equal(pictures.length, own.length + 1);
    const current = Number(/^Step (\d+): /.exec(parts.at(-3)!)![1]) - 1;
    assert.equal(pictures.at(-1), pictures[current]);
    assert.equal(parts.at(-3), parts[2 + 2 * current]);
  }
});

test('busy and broken servers and wrong answers cost retries; what gets no answer is unknown and ends nothing', async (t) => {
  const never = (content: string) => share(content, 'never') < 0.1;
  const faults: Rated[] = ['busy', 'broken', 'words', 'three', 'cut'];
  const server = await RaterServer.start(t, {
    behave: ({ content }, nth) => {
      if (never(content)) return nth % 2 === 0 ? 'words' : 'declined';
      return nth < 2 ? faults[Math.floor(share(content, `fault ${nth}`) * faults.length)] : 'well';
    },
  });
  const data = await withDemos(t);
  const said = await rate(data, server);
  const labels = await labelsIn(data);
  const unknown = labels.filter(({ rating }) => rating === null);
  assert.equal(unknown.length, server.asked.length === 0 ? -1 : new Set(server.asked.filter(({ content }) => never(content)).map(({ content }) => content)).size); // prettier-ignore
  assert.ok(unknown.length > 0 && unknown.length < labels.length / 2, `${unknown.length} unknown`);
  assert.ok(unknown.every(({ explanation }) => /declined to answer/.test(explanation)));
  assert.match(said, new RegExp(`${unknown.length} of ${labels.length} steps have no rating`));
  assert.ok([...server.good.values()].every((count) => count === 1));
  // the others are not asked again
  const before = server.asked.length;
  await rate(data, server, [], { force: true });
  assert.ok(server.asked.slice(before).every(({ content }) => never(content)));
});

test('a spent budget stops the stage; a larger one goes on, and nothing is paid twice', async (t) => {
  const server = await RaterServer.start(t);
  const data = await withDemos(t);
  const budget = (calls: number, ...more: string[]) => rate(data, server, [`label.budget_calls=${calls}`, ...more]);
  await assert.rejects(budget(10), /the budget of the run is spent: 10 calls and 9000 tokens \(label\.budget_calls/);
  assert.equal(server.asked.length, 10);
  await assert.rejects(budget(13), /the budget of the run is spent: 13 calls/);
  assert.equal(server.asked.length, 13);
  assert.equal(server.good.size, 13);
  await budget(0);
  const labels = await labelsIn(data);
  assert.ok(labels.every(({ rating }) => rating !== null));
  assert.equal(server.asked.length, labels.length);
  // or finish with what there is
  const short = await withDemos(t);
  await rate(short, server, ['label.budget_tokens=4000', 'label.when_spent=unknown', 'label.judge.temperature=0.1']);
  const rated = (await labelsIn(short)).filter(({ rating }) => rating !== null).length;
  // those under way may exceed the budget
  assert.ok(rated >= 5 && rated <= 5 + 8, `${rated} rated`);
});

test('two judges: both ratings in every row, the agreement told, one budget', async (t) => {
  const server = await RaterServer.start(t, {
    rate: ({ kind, content }) => (kind === 'openai' || share(content, 'other') < 0.2 ? 2 : 1),
  });
  const data = await withDemos(t);
  const said = await rate(data, server, [
    ...['label.second.kind=gemini', 'label.second.model=tiny-gemini', `label.second.url=${server.url}`],
  ]);
  const labels = await labelsIn(data);
  assert.ok(labels.every(({ rating, secondJudge }) => rating === 2 && secondJudge === 'gemini tiny-gemini'));
  const same = labels.filter(({ secondRating }) => secondRating === 2).length;
  assert.ok(same > 0 && same < labels.length);
  assert.match(said, new RegExp(`agreement of the two judges: ${((100 * same) / labels.length).toFixed(1)} % of ${labels.length} steps`)); // prettier-ignore
});

test('mistakes of the settings end the stage at once', async (t) => {
  const server = await RaterServer.start(t, { behave: () => 'no key' });
  const data = await withDemos(t);
  await assert.rejects(rate(data, server), { name: 'UserError', message: /401.*JUDGE_API_KEY/ });
  assert.ok(server.asked.length <= 8);
  await assert.rejects(rate(data, server, ['label.judge.model=']), /label\.judge\.model: empty/);
  await assert.rejects(rate(data, server, [`label.second.model=${RATER}`]), {
    name: 'UserError',
    message: /label\.second: expected another judge than label\.judge, got openai/,
  });
});

test('a server that cannot be reached ends the stage, whatever a few bad answers do', async (t) => {
  const server = await RaterServer.start(t, { behave: () => 'broken' });
  const data = await withDemos(t);
  await assert.rejects(
    rate(data, server, ['label.judge.retries=0']),
    /no answer to 8 questions in a row.*answered 500/,
  );
  const words = await RaterServer.start(t, { behave: () => 'words' });
  await assert.rejects(
    rate(data, words, ['label.judge.retries=0']),
    /none of \d+ steps was rated: .*without a rating.*--force/,
  );
});
