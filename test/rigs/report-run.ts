/** A small synthetic run folder for `critiq report`, written by the real writers. */
import { LABELS, type LabelRow } from '../../src/data/labels.js';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { actionColumns } from '../../src/agents/action-columns.js';
import { formatAction } from '../../src/agents/grammar.js';
import { rollout } from '../../src/agents/rollout.js';
import { recordFile } from '../../src/data/store/integrity.js';
import { ImageStore } from '../../src/data/images.js';
import { wilson95 } from '../../src/data/interval.js';
import type { Episode } from '../../src/data/store/journal.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { readTable, writeTable, type TableKind } from '../../src/data/tables.js';
import { CANDIDATES, toTransitions, TRANSITIONS, VALUES, type Transition } from '../../src/data/transitions.js';
import { meanOf, ORACLE, type OracleRow } from '../../src/oracle/table.js';
import { demonstrator, Phone, phoneTasks } from '../../src/devices/phone/index.js';
import { DevicePool } from '../../src/devices/pool/pool.js';
import { stateJudge } from '../../src/judges/state.js';
import { Random } from '../../src/random.js';
import { Metrics } from '../../src/runner/metrics.js';
import { IMPORT, Output } from '../../src/runner/outputs.js';
import { Actor } from '../../pipelines/actor.js';
import { report } from '../../pipelines/report.js';
import type { EvalResult } from '../../pipelines/eval.js';
import type { Registry } from '../../src/runner/registry.js';

/** The report stage alone. */
export const reportRegistry: Registry = {
  stages: [{ name: report.name, summary: report.summary, load: async () => report }],
  sections: async () => ({ actor: Actor }),
};

/** A goal that would run a script on a page without escaping. */
export const HOSTILE = `Buy "it" <script>alert(1)</script> & go </script>`;

export interface FakeRun {
  readonly folder: string;
  readonly transitions: readonly Transition[];
}

/** @param episodes number of trajectories; every second one counts as a success, and the first has a hostile goal */
export async function makeRun(folder: string, episodes = 6): Promise<FakeRun> {
  const images = new ImageStore(join(folder, 'images'));
  const played = await play(images, episodes);
  const transitions = played.flatMap((episode, n) =>
    toTransitions(episode, {
      firstTid: 1000 * n,
      gamma: 0.95,
      policy: 'demonstrator',
      temperature: null,
      parse: actionColumns,
    }),
  );
  await dataset(folder, 'trajectories', 'transitions-00000.parquet', TRANSITIONS, transitions);
  const random = new Random(0, 'fake values');
  const candidates = transitions.map(({ tid, action }, i) => {
    const others = [
      transitions[(i + 1) % transitions.length].action,
      formatAction({ type: 'TYPE', text: '<b>' }),
      'no action',
    ];
    const actions = [...new Set([action, ...others])];
    return {
      tid,
      actions,
      counts: actions.map((_, k) => (k === 0 ? 9 : 2)),
      valid: actions.map((text) => text !== 'no action'),
      logProbs: actions.map(() => -1),
    };
  });
  await dataset(folder, 'candidates', '00000.candidates.parquet', CANDIDATES, candidates);
  const values = candidates.map(({ tid, actions }, i) => {
    const v = 0.8 * transitions[i].mcReturn + 0.1 + 0.1 * random.normal();
    return {
      tid,
      q1: actions.map(() => v + 0.1 * random.normal()),
      q2: actions.map(() => v + 0.1 * random.normal()),
      v1: v,
      v2: v + 0.01,
    };
  });
  await dataset(folder, 'values', 'values.parquet', VALUES, values);
  // as if imported with its critic's settings, so that no stage needs to make it
  const settings = { critic: { validation: 0.2, lr: 0.0001 }, seed: 0 };
  const plan = { stage: IMPORT, instance: 'critic', settings, shards: ['00000'], finished: true };
  await new Output('values', join(folder, 'values')).writePlan(plan);
  metrics(folder);
  return { folder, transitions };
}

/** Adds true values of the first states: of 4 episodes each, those of candidate k succeed in k. */
export async function makeOracle(run: FakeRun, states: number): Promise<OracleRow[]> {
  const candidates = await readTable(join(run.folder, 'candidates/00000.candidates.parquet'), CANDIDATES);
  const wins = (k: number) => Array.from({ length: 4 }, (_, i) => (i < k ? 1 : 0));
  const rows = candidates.slice(0, states).map(({ tid, actions }): OracleRow => {
    const all = actions.map((_, k) => wins(k));
    return {
      tid,
      rollouts: 4,
      q: all.map((some) => meanOf(some).mean),
      qError: all.map((some) => meanOf(some).error),
      v: 0.5,
      vError: meanOf(wins(2)).error,
      outcomes: all.flat(),
      stateOutcomes: wins(2),
    };
  });
  await dataset(run.folder, 'oracle', 'oracle-00000.parquet', ORACLE, rows);
  const plan = { stage: IMPORT, instance: 'oracle', settings: {}, shards: ['00000'], finished: true };
  await new Output('oracle', join(run.folder, 'oracle')).writePlan(plan);
  return rows;
}

/**
 * Labels of all steps by two judges, as `critiq label` writes them. Ratings go by the trajectory's number: 0 all good; 1 the
 * second judge disagrees at step 0; 2 bad, also by the phone's state, whatever the outcome; 3 has no rating; the others bad.
 */
export async function makeLabels(run: FakeRun): Promise<LabelRow[]> {
  const ids = [...new Set(run.transitions.map(({ trajectory }) => trajectory))];
  const rows = run.transitions.map(({ tid, trajectory, step, actionType, trajectoryReward }): LabelRow => {
    const n = ids.indexOf(trajectory);
    const rating = n === 3 ? null : n === 0 ? 2 : 1;
    return {
      ...{ tid, trajectory, step, actionType: actionType!, rating, source: 'judge', judge: 'openai first' },
      explanation: rating === null ? 'answered <b>no</b> rating' : `because it is ${n}`,
      secondRating: n === 1 && step === 0 ? 2 : rating,
      secondExplanation: 'I think so',
      secondJudge: 'gemini second',
      outcomeRating: trajectoryReward > 0 ? 2 : 1,
      stateRating: n === 2 ? 2 : rating,
      stepsBefore: null,
      stepsAfter: null,
    };
  });
  await dataset(run.folder, 'labels', 'labels-00000.parquet', LABELS, rows);
  const settings = { label: { from: 'judge', data: 'trajectories' } };
  const plan = { stage: 'label', instance: 'label', settings, shards: ['00000'], finished: true };
  await new Output('labels', join(run.folder, 'labels')).writePlan(plan);
  return rows;
}

/** Adds an evaluation in which episode n succeeds if `wins(n)`. */
export async function makeEvaluation(run: FakeRun, name: string, wins: (n: number) => boolean): Promise<void> {
  const [, policy, split, greedy] = /^(.+?)-(test|train)(-greedy)?$/.exec(name)!;
  const ids = [...new Set(run.transitions.map(({ trajectory }) => trajectory))];
  const rows = run.transitions.map((row) => {
    const reward = wins(ids.indexOf(row.trajectory)) ? 1 : 0;
    return { ...row, trajectoryReward: reward, reward: row.done ? reward : 0 };
  });
  const rateOf = (some: readonly string[]) => {
    const successes = some.filter((id) => wins(ids.indexOf(id))).length;
    return { episodes: some.length, successes, rate: successes / some.length, ci95: wilson95(successes, some.length) };
  };
  const families = [...new Set(rows.map(({ family }) => family))].sort();
  const of = (family: string) =>
    ids.filter((id) => rows.find(({ trajectory }) => trajectory === id)!.family === family);
  const result: EvalResult = {
    policy,
    split,
    protocol: 'all',
    mode: greedy ? 'greedy' : 'sampled',
    temperature: greedy ? 0 : 1,
    judge: 'state',
    unknown: [],
    lost: [],
    ...rateOf(ids),
    unseen: rateOf(ids),
    mean_steps: rows.length / ids.length,
    families: Object.fromEntries(families.map((family) => [family, rateOf(of(family))])),
  };
  await dataset(run.folder, `eval/${name}`, 'transitions-00000.parquet', TRANSITIONS, rows);
  writeFileSync(join(run.folder, 'eval', name, '_result.json'), JSON.stringify(result));
}

async function play(images: ImageStore, count: number): Promise<Episode[]> {
  const tasks = phoneTasks({ set: 'all', split: 'train', count, seed: 1 });
  const person = demonstrator({ noise: 0.5 });
  const people = new Map<string, ReturnType<typeof person>>();
  const { rollouts } = await rollout({
    pool: new DevicePool({ count: 1, open: async () => new Phone(), seed: 0 }),
    agent: {
      act: async ({ device, key }) => {
        const episode = key.split('/')[0];
        if (!people.has(episode)) people.set(episode, person(new Random(0, key)));
        const { action } = people.get(episode)!.next(device as Phone);
        return { text: formatAction(action), action };
      },
    },
    judge: stateJudge(),
    episodes: tasks.map((task, n) => ({ episode: String(n).padStart(6, '0'), task, seed: n })),
    maxSteps: 8,
    deadlineMs: 60_000,
    keep: (frame) => images.put(frame),
  });
  return rollouts.map(({ episode }, n) => ({ ...episode, reward: n % 2, ...(n === 0 ? { goal: HOSTILE } : {}) }));
}

async function dataset<Row extends object>(
  folder: string,
  name: string,
  file: string,
  kind: TableKind<Row>,
  rows: Row[],
): Promise<void> {
  const below = join(folder, name);
  mkdirSync(below, { recursive: true });
  await writeTable(join(below, file), kind, rows);
  const made = await openDataset(below);
  await made.commit({ shard: '00000', files: [await recordFile(join(below, file), file)], inputs: '', settings: '' });
}

function metrics(folder: string): void {
  const write = (instance: string, steps: number, of: (x: number) => Record<string, number>) => {
    const all = new Metrics(folder, instance, () => false);
    const shard = all.shard('only');
    for (let step = 1; step <= steps; step++) shard.write(20 * step, of(step / steps));
    all.finish(['only']);
  };
  write('sft', 60, (x) => ({ loss: 3 * Math.exp(-4 * x) + 0.2, grad_norm: 2 - x, lr: 0.002 * (1 - x) }));
  write('critic', 20, (x) => ({
    loss: 0.4 * Math.exp(-3 * x),
    q1: 0.1 * Math.exp(-3 * x),
    q2: 0.11 * Math.exp(-3 * x),
    v1: 0.05,
    v2: 0.06,
    grad_norm: 1,
    validation_loss: 0.42 * Math.exp(-2 * x),
    validation_q: x > 0.5 ? NaN : 0.1,
  }));
  write('actor/digiq', 4, (x) => ({ loss: 1 - x, log_prob: x - 1, grad_norm: 1 }));
}
