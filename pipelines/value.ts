import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PocketValue } from '../src/agents/value/pocket-value.js';
import type { FedState } from '../src/agents/representers/pocket-representer.js';
import { vlmInputs } from '../src/agents/representers/pocket-representer.js';
import { counted } from '../src/counted.js';
import { MinibatchSampler } from '../src/data/replay.js';
import { writeAtomic } from '../src/data/store/atomic.js';
import { clippedAdamW, Parameters, Trainer } from '../src/graph/index.js';
import { pocketValue, pocketValueSpecs, type PocketValueConfig } from '../src/models/pocket/value.js';
import type { VlmBucket } from '../src/models/pocket/vlm.js';
import { Random } from '../src/random.js';
import { ratingQuality, type RatingQuality, type ValueQuality } from '../src/report/rating-quality.js';
import { policySet } from '../src/runner/reference.js';
import { stage, type ShardContext } from '../src/runner/stage.js';
import { modelsOf, policyOf, runtimeOf } from './resources.js';
import { answerLoss, answerStep, savePocket } from './training/pocket-answers.js';
import { logEvery } from './training/rhythm.js';
import { lanesOf, train, validationBy } from './training/training.js';
import { valueModelOf } from './value/backend.js';
import { labelledSet, labelledSteps, type Labelled, type LabelledStep } from './value/labelled.js';
import { SERVER_SETTINGS, Value } from './value/settings.js';
import { registerVlm } from './vlm/reference.js';

/** Labelled steps whose screens are read together. */
const CHUNK = 64;

/** The value model of VEM (docs/algorithms.md §5): is this action good (2) or bad (1)? */
export const value = stage({
  name: 'value',
  summary: 'train the value model of VEM: is an action good or bad?',
  settings: Value,
  neutral: SERVER_SETTINGS,
  startsOver: () => ({ epochs: 'the learning rate falls over all epochs' }),
  uses: ['seed', 'models.value'],
  derived: (config) => ({ 'label.data': labelledSet(config) }),
  inputs: ({ policy, labels }, config) => [
    labels,
    labelledSet(config),
    // an external value model is only registered and measured, not trained
    ...(modelsOf(config).value === '' ? [policySet(policy)] : []),
  ],
  outputs: () => ['value'],
  plan: () => [{ id: 'value' }],
  run: async (_shard, ctx) => {
    const labelled = await labelledSteps(ctx);
    const folder = ctx.dataset('value');
    mkdirSync(folder, { recursive: true });
    const { value: model } = modelsOf(ctx.config);
    const made = model === '' ? await trained(ctx, labelled, folder) : await registered(ctx, labelled, folder, model);
    const quality = qualityOf(made.probabilities, labelled.validation);
    await writeAtomic(join(folder, 'quality.json'), `${JSON.stringify(quality, null, 2)}\n`);
    sayQuality(ctx, quality);
    const { accuracy = null, auc = null, steps = 0 } = quality.labels ?? {};
    return { value: { files: [...made.files, 'quality.json'], facts: { accuracy, auc, held_out: steps } } };
  },
});

interface Made {
  readonly files: readonly string[];
  /** of rating 2, for each held-out step */
  readonly probabilities: readonly number[];
}

async function registered(
  ctx: ShardContext<Value>,
  { validation }: Labelled,
  folder: string,
  model: string,
): Promise<Made> {
  const { name } = await registerVlm(folder, model, { signal: ctx.signal });
  ctx.log.info(`asking ${name} about ${counted(validation.length, 'held-out step')}`);
  const served = await valueModelOf(ctx, 'value');
  const progress = ctx.progress(validation.length, 'held-out steps');
  const probabilities: number[] = [];
  for (let start = 0; start < validation.length; start += CHUNK) {
    const part = validation.slice(start, start + CHUNK);
    probabilities.push(...(await served.good(part, ctx.signal)));
    progress.advance(part.length);
  }
  progress.done();
  return { files: ['config.json'], probabilities };
}

/** Trains the pocket value model. */
async function trained(ctx: ShardContext<Value>, labelled: Labelled, folder: string): Promise<Made> {
  const { settings, seed } = ctx;
  const source = ctx.dataset(policySet(settings.policy));
  const policy = await policyOf(ctx, policySet(settings.policy));
  const { tokenizer, tower } = policy;
  const config: PocketValueConfig = {
    model_type: 'critiq-pocket-value',
    autoui: policy.config,
    bad: tokenizer.encode('1')[0],
    good: tokenizer.encode('2')[0],
    history: settings.history,
    hidden: settings.hidden,
  };
  const params = Parameters.init(pocketValueSpecs(config), new Random(seed, 'value', 'init').int(2 ** 31));
  for (const name of policy.params.names()) params.get(name).data.set(policy.params.get(name).data);
  const runtime = await runtimeOf(ctx);
  const model = new PocketValue(runtime, params, config, tokenizer, tower);
  const progress = ctx.progress(labelled.train.length + labelled.validation.length, 'labelled steps read');
  const read = async (steps: readonly LabelledStep[]): Promise<FedState[]> => {
    const states: FedState[] = [];
    for (let start = 0; start < steps.length; start += CHUNK) {
      ctx.signal.throwIfAborted();
      const part = steps.slice(start, start + CHUNK);
      states.push(...(await model.fed(part)));
      progress.advance(part.length);
    }
    return states;
  };
  const [states, held] = [await read(labelled.train), await read(labelled.validation)];
  progress.done();
  const good = (steps: readonly LabelledStep[], rows: readonly number[]) =>
    Float32Array.from(rows, (row) => (steps[row].good ? 1 : 0));
  const { batch, grad_accum_steps: accumulate } = settings;
  const trainer = new Trainer<VlmBucket>({
    runtime,
    params,
    lanes: lanesOf(ctx, accumulate),
    optimizer: clippedAdamW(settings.clip, settings.weight_decay),
    loss: (p, bucket) => {
      const logit = pocketValue(p, config, vlmInputs(bucket, config.autoui.image));
      return answerLoss(logit, bucket.rows);
    },
  });
  const sampler = new MinibatchSampler(states.length, batch, seed, 'value');
  const steps = Math.ceil((settings.epochs * states.length) / (batch * accumulate));
  await train(ctx, {
    steps,
    every: logEvery(settings, steps),
    trainer,
    parameters: { model: params },
    label: 'training steps',
    step: answerStep(trainer, settings, steps, (micro) => {
      const rows = [...sampler.indices(micro)];
      const { bucket, feeds } = model.feeds(states, rows, batch);
      return { bucket, feeds: { ...feeds, label: good(labelled.train, rows) } };
    }),
    validation: validationBy(settings, Math.ceil(states.length / (batch * accumulate)), ['model'], async () => {
      const probabilities = await model.rate(held);
      const off = probabilities.map((p, i) => -Math.log(Math.max(1e-12, labelled.validation[i].good ? p : 1 - p)));
      const { accuracy, auc } = qualityOf(probabilities, labelled.validation).labels!;
      return {
        validation_loss: off.reduce((sum, loss) => sum + loss, 0) / off.length,
        validation_accuracy: accuracy,
        ...(auc === null ? {} : { validation_auc: auc }),
      };
    }),
  });
  trainer.close();
  const probabilities = await model.rate(held);
  model.close();
  return { files: await savePocket(folder, source, config, params), probabilities };
}

function qualityOf(probabilities: readonly number[], steps: readonly LabelledStep[]): ValueQuality {
  const against = (rated: (step: LabelledStep) => boolean | null) =>
    ratingQuality(
      steps.flatMap((step, i) => {
        const good = rated(step);
        return good === null ? [] : [{ probability: probabilities[i], good, trajectory: step.trajectory }];
      }),
    ) ?? null;
  return { labels: against(({ good }) => good), state: against(({ stateGood }) => stateGood) };
}

function sayQuality({ log }: ShardContext<Value>, { labels, state }: ValueQuality): void {
  const percent = (rate: number) => `${(100 * rate).toFixed(1)} %`;
  const said = ({ steps, good, accuracy, ci95, auc, calibration_error: error }: RatingQuality) =>
    `${percent(accuracy)} of ${counted(steps, 'held-out rating')} correct (95 % interval ${percent(ci95[0])} to ${percent(ci95[1])}; always the commoner rating: ${percent(Math.max(good, 1 - good))}), AUC ${auc?.toFixed(3) ?? 'undefined'}, calibration error ${error.toFixed(3)}`;
  if (labels) log.info(`by the labels: ${said(labels)}`);
  if (state) log.info(`by the state of the device: ${said(state)}`);
}
