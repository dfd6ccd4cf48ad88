/**
 * Labels under fire: `critiq label` as a process of its own against a server that is busy, breaks and answers nonsense, while
 * the process is killed and the budget runs out. Used by the tests with some hundred labels, by bench/labels.ts with 10,000.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readLabels, readTransitions } from '../../../pipelines/datasets.js';
import { emptyFolder, start, succeed } from '../process.js';
import { RATER, RaterServer, share, type Rated } from './rater.js';

const CLI = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const CONCURRENCY = 8;
/** Faults after which a question is asked again. */
const FAULTS: readonly Rated[] = ['busy', 'broken', 'words', 'three', 'cut'];

export interface SoakOptions {
  /** demonstrations, of about seven steps each */
  readonly episodes: number;
  readonly kills: number;
  /** how often the budget is spent before it is raised */
  readonly budgets: number;
  readonly seed?: number;
}

export interface Soaked {
  readonly labels: number;
  readonly requests: number;
  readonly kills: number;
  readonly budgetStops: number;
  /** good answers beyond the first to the same question: those that a killed process had under way */
  readonly paidTwice: number;
  readonly seconds: number;
}

/**
 * Labels demonstrations to the end, whatever happens, and checks that no label is lost, doubled or wrong, and that nothing
 * was paid twice but what a killed process had under way.
 */
export async function soak(t: { after(fn: () => unknown): void }, options: SoakOptions): Promise<Soaked> {
  const { episodes, kills, budgets, seed = 0 } = options;
  const cwd = emptyFolder(t);
  const where = { cwd, program: CLI };
  const data = [`demos.episodes=${episodes}`, 'demos.shard=50', 'tasks.max_steps=12', `seed=${seed}`];
  await succeed(['demos', ...data], where);
  const steps = await readTransitions(join(cwd, 'data/pocket/demos'), 'demos');
  // a kill after every so many good answers
  const every = Math.floor(steps.length / (kills + 1));
  let requests = 0;
  let killAt = every;
  let killed = 0;
  let victim: { kill(signal: 'SIGKILL'): boolean } | undefined;
  const server = await RaterServer.start(
    t,
    {
      behave: ({ content }, nth) => {
        requests++;
        // at most three faults in a row, of five tries
        if (nth % 4 === 3 || share(content, `${nth}`) > 0.25) return 'well';
        return FAULTS[Math.floor(share(content, `fault ${nth}`) * FAULTS.length)];
      },
      onGood: (count) => {
        if (count < killAt || killed === kills) return;
        killAt += every;
        killed++;
        victim?.kill('SIGKILL');
      },
    },
    { keep: false },
  );
  const label = [
    ...['label', ...data, 'label.data=demos', 'label.from=judge', `label.judge.model=${RATER}`],
    ...[`label.judge.url=${server.url}`, 'label.judge.backoff_ms=1', `label.judge.concurrency=${CONCURRENCY}`],
  ];
  const begin = performance.now();
  let budgetStops = 0;
  for (let run = 0; ; run++) {
    assert.ok(run <= kills + budgets, 'it never ends');
    // the budget is raised each time that it was spent
    const calls = budgetStops < budgets ? Math.ceil((steps.length * (budgetStops + 1)) / (budgets + 1)) : 0;
    const started = start([...label, `label.budget_calls=${calls}`], where);
    victim = started.child;
    const { code, killed: by, stderr } = await started.ended;
    if (by === 'SIGKILL') continue;
    if (code === 0) break;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /the budget of the run is spent/);
    budgetStops++;
  }
  const seconds = (performance.now() - begin) / 1000;
  const labels = await readLabels(join(cwd, 'data/pocket/labels'));
  assert.deepEqual(
    labels.map(({ tid, trajectory, step }) => [tid, trajectory, step]),
    steps.map(({ tid, trajectory, step }) => [tid, trajectory, step]),
    'a row for each step, in order',
  );
  const ratings = new Map(
    [...server.good.keys()].map((content) => [content.slice(0, 8), share(content, 'rating') < 0.5 ? 1 : 2]),
  );
  for (const { rating, explanation, trajectory, step } of labels)
    assert.equal(rating, ratings.get(explanation.replace('because of ', '')), `step ${step} of ${trajectory}`);
  const paidTwice = [...server.good.values()].reduce((sum, count) => sum + count - 1, 0);
  assert.ok(paidTwice <= killed * CONCURRENCY, `${paidTwice} paid twice with ${killed} kills`);
  return { labels: labels.length, requests, kills: killed, budgetStops, paidTwice, seconds };
}
