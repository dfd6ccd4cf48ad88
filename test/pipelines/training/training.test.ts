/** Rhythm of metrics and validations, early stopping and the best weights; and that a kill at any step changes nothing. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { logEvery } from '../../../pipelines/training/rhythm.js';
import { microBatchesTogether } from '../../../pipelines/critic.js';
import { SavingRhythm, train, validationBy, type TrainingPlan } from '../../../pipelines/training/training.js';
import { Parameters } from '../../../src/graph/index.js';
import type { ShardContext } from '../../../src/runner/stage.js';
import { emptyFolder } from '../../rigs/process.js';

type Line = { step: number } & Record<string, number>;

/** A training of one number, which grows by 1 a step, with a validation loss that is a function of it. */
class Rig {
  readonly lines: Line[] = [];
  readonly said: string[] = [];
  private readonly scratch: string;

  constructor(t: TestContext) {
    this.scratch = emptyFolder(t);
  }

  /** @param dieAfter ends this attempt before the step of that number @returns the number in the end */
  async run(plan: Partial<TrainingPlan> & { steps: number; every: number }, dieAfter = Infinity): Promise<number> {
    const params = Parameters.from({ x: { shape: [1], data: [0] } });
    let started = false;
    const keep = (last: number): void => {
      started = true;
      this.lines.splice(0, Infinity, ...this.lines.filter(({ step }) => step <= last));
    };
    const ctx = {
      instance: 'critic',
      priors: [],
      config: { training: { keep_state: false } },
      scratch: () => this.scratch,
      progress: () => ({ advance() {}, note() {}, done() {} }),
      signal: new AbortController().signal,
      log: {
        debug: () => {},
        info: (line: string) => this.said.push(line),
        warn: (line: string) => this.said.push(line),
      },
      metrics: {
        resume: keep,
        // as Metrics does it: a shard that starts over drops its old lines
        write: (step: number, values: Record<string, number>) => {
          if (!started) keep(-1);
          this.lines.push({ step, ...values });
        },
      },
    } as unknown as ShardContext<unknown>;
    await train(ctx, {
      trainer: { save: async (file) => writeFileSync(file, ''), load: async () => {} },
      parameters: { model: params, other: Parameters.from({ y: { shape: [1], data: [0] } }) },
      label: 'steps',
      step: async (step) => {
        if (step >= dieAfter) throw new Error('killed');
        params.get('x').data[0] += 1;
        // the loss falls; some values are not numbers
        return { loss: 1 / (step + 1), odd: step === 7 ? NaN : 0.1 * step };
      },
      ...plan,
      validation: plan.validation && { ...plan.validation, measure: () => measured(params) },
    });
    return params.get('x').data[0];
  }
}

/** Lowest at 12. */
async function measured(params: Parameters): Promise<Record<string, number>> {
  const x = params.get('x').data[0];
  return { validation_loss: 1 + (x - 12) ** 2 / 100 };
}

const by = (settings: Partial<Parameters_>) =>
  validationBy({ validate_every: 4, keep_best: false, early_stop: 0, ...settings }, 10, ['model'], async () => ({}));
type Parameters_ = { validate_every: number; keep_best: boolean; early_stop: number };

test('about 200 lines of metrics, whatever the number of steps; a line is the mean since the line before', async (t) => {
  for (const [steps, lines] of [
    [3, 3],
    [200, 200],
    [777, 195],
    [20_000, 200],
  ])
    assert.equal(Math.ceil(steps / logEvery({ log_every: 0 }, steps)), lines);
  assert.equal(logEvery({ log_every: 7 }, 20_000), 7);
  const rig = new Rig(t);
  await rig.run({ steps: 11, every: 4 });
  assert.deepEqual(
    rig.lines.map(({ step }) => step),
    [4, 8, 11],
  );
  assert.ok(Math.abs(rig.lines[0].loss - (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4) < 1e-12);
  assert.ok(Number.isNaN(rig.lines[1].odd) && rig.lines[2].odd > 0);
  assert.deepEqual(rig.said, []);
});

test('validations have a rhythm of their own, and the last step has one', async (t) => {
  const rig = new Rig(t);
  assert.equal(await rig.run({ steps: 18, every: 5, validation: by({}) }), 18);
  const at = (name: string) => rig.lines.filter((line) => name in line).map(({ step }) => step);
  assert.deepEqual(at('validation_loss'), [4, 8, 12, 16, 18]);
  assert.deepEqual(at('loss'), [4, 5, 8, 10, 12, 15, 16, 18]);
  const other = new Rig(t);
  await other.run({ steps: 20, every: 20, validation: by({ validate_every: 0 }) });
  assert.deepEqual(
    other.lines.map(({ step }) => step),
    [10, 20],
    'by default after each iteration',
  );
});

test('a validation loss that rises while the training loss falls gives a warning that says what to do', async (t) => {
  const rig = new Rig(t);
  await rig.run({ steps: 40, every: 1, validation: by({}) });
  assert.equal(rig.said.length, 1);
  assert.match(
    rig.said[0],
    /^training overfits: its validation loss rises from 1 \(step 12\) to 8\.84 \(step 40\), while .* keep_best=true would keep the weights of step 12\.$/,
  );
  const fine = new Rig(t);
  await fine.run({ steps: 12, every: 1, validation: by({}) });
  assert.deepEqual(fine.said, []);
});

test('keep_best keeps the best weights, early_stop ends in time; a kill before any step leaves the same', async (t) => {
  for (const [settings, expected, last, said] of [
    [{ keep_best: true }, 12, 30, /^kept the weights of step 12 \(validation loss 1\.00\)$/],
    [{ keep_best: true, early_stop: 2 }, 12, 20, /^stopped early at step 20 of 30: .* lowest at step 12/],
    [{ early_stop: 1 }, 16, 16, /^stopped early at step 16 of 30/],
  ] as const) {
    const plan = { steps: 30, every: 3, checkpointEvery: 5, validation: by(settings) };
    const calm = new Rig(t);
    assert.equal(await calm.run(plan), expected);
    assert.equal(calm.lines.at(-1)!.step, last);
    assert.ok(
      calm.said.some((line) => said.test(line)),
      calm.said.join('; '),
    );
    for (let kill = 1; kill < last; kill += 3) {
      const killed = new Rig(t);
      await assert.rejects(killed.run(plan, kill), /killed/);
      if (kill < 20 && kill > 9) await assert.rejects(killed.run(plan, kill + 1 < last ? kill + 1 : kill), /killed/);
      assert.equal(await killed.run(plan), expected, `killed before step ${kill}`);
      assert.deepEqual(killed.lines, calm.lines, `killed before step ${kill}`);
      assert.deepEqual(killed.said, calm.said);
    }
  }
  const none = new Rig(t);
  const nothing = { ...by({ keep_best: true }), measure: async () => ({}) };
  await none.run({ steps: 4, every: 1, validation: undefined });
  assert.deepEqual(none.said, []);
  await train(
    {
      instance: 'critic',
      priors: [],
      config: { training: { keep_state: false } },
      scratch: () => emptyFolder(t),
      progress: () => ({ advance() {}, note() {}, done() {} }),
      signal: new AbortController().signal,
      log: { warn: (line: string) => none.said.push(line) },
      metrics: { resume() {}, write() {} },
    } as unknown as ShardContext<unknown>,
    {
      steps: 2,
      every: 1,
      trainer: { save: async () => {}, load: async () => {} },
      parameters: { model: Parameters.from({ x: { shape: [1], data: [0] } }) },
      step: async () => ({ loss: 1 }),
      validation: nothing,
      label: 'steps',
    },
  );
  assert.match(none.said[0], /^no held-out data for a validation/);
});

test('checkpoints that take long are saved less often, so that they take at most a tenth of the time; others always', async () => {
  let now = 0;
  const rhythm = new SavingRhythm(() => now);
  const saves = (ms: number) => rhythm.timed(async () => void (now += ms));
  assert.ok(rhythm.due(), 'the first is always saved');
  await saves(900);
  assert.ok(rhythm.due(), 'a quick one was saved just before');
  await saves(20_000);
  now += 179_000;
  assert.equal(rhythm.due(), false);
  now += 1_000;
  assert.ok(rhythm.due());
});

test('the critic computes as many micro-batches of a step together as fit into 512 rows, and always a divisor of them', () => {
  const together: [batch: number, accumulate: number, expected: number][] = [
    [32, 4, 4],
    [32, 64, 16],
    [600, 4, 1],
    [100, 7, 1],
    [128, 6, 3],
    [1, 1, 1],
  ];
  for (const [batch, accumulate, expected] of together) {
    assert.equal(microBatchesTogether(batch, accumulate), expected, `${batch} × ${accumulate}`);
  }
});
