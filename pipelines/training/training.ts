import { rmSync } from 'node:fs';
import type { Parameters, Trainer } from '../../src/graph/index.js';
import type { ShardContext } from '../../src/runner/stage.js';
import { fitInWords, fitOf } from '../../src/report/verdicts.js';
import type { TrainingSettings } from '../sections.js';
import { Checkpoints } from './checkpoints.js';
import type { Validated } from './rhythm.js';

/** A training run that a kill may interrupt at any moment. */
export interface TrainingPlan {
  readonly steps: number;
  /** steps between two lines of metrics; each line holds the means since the line before */
  readonly every: number;
  /** steps between two checkpoints @default a tenth of all steps */
  readonly checkpointEvery?: number;
  /** its state is saved beside the parameters; `step` trains with it */
  readonly trainer: Pick<Trainer<never>, 'save' | 'load'>;
  /** everything that changes: trained parameters, and the target networks that follow them */
  readonly parameters: Readonly<Record<string, Parameters>>;
  /** Runs one step (from 0); must depend only on its number and the parameters. @returns values to log */
  readonly step: (step: number) => Promise<Record<string, number>>;
  readonly validation?: Validation;
  readonly label: string;
  /** whether a longer training may go on from the end of this one: nothing depends on the number of all steps */
  readonly goesOn?: boolean;
}

/** Measures on held-out data, and what they decide. */
export interface Validation {
  /** steps between two of them; the last step always has one */
  readonly every: number;
  /** @returns values for the line of metrics, `validation_loss` among them; empty if there is no held-out data */
  readonly measure: () => Promise<Record<string, number>>;
  /** ends training after this many measures in a row without a new lowest loss; 0: never */
  readonly patience: number;
  /** names of the parameters that get the values of the lowest loss in the end; none: the last values stay */
  readonly keepBest: readonly string[];
}

/** The validation that the settings ask for. @param names of the parameters that the stage keeps */
export function validationBy(
  { validate_every, early_stop, keep_best }: Omit<Validated, 'log_every'>,
  iterationSteps: number,
  names: readonly string[],
  measure: Validation['measure'],
): Validation {
  return {
    every: validate_every || iterationSteps,
    measure,
    patience: early_stop,
    keepBest: keep_best ? names : [],
  };
}

/**
 * Runs the micro-batches of one optimizer step, in parallel if the trainer has `lanes: lanesOf(ctx, grad_accum_steps)`.
 * @param count micro-batches per step
 * @param run runs one micro-batch, given its number since the start of training; the returned numbers are averaged
 */
export async function microBatches<K extends string>(
  step: number,
  count: number,
  run: (micro: number) => Promise<Record<K, number>>,
): Promise<Record<K, number>> {
  const results = await Promise.all(Array.from({ length: count }, (_, k) => run(step * count + k)));
  const keys = Object.keys(results[0]) as K[];
  const mean = (key: K) => results.reduce((sum, result) => sum + result[key], 0) / count;
  return Object.fromEntries(keys.map((key) => [key, mean(key)])) as Record<K, number>;
}

/** How an epoch draws its data (settings `epoch_steps` of Digi-Q's stages): in passes, or each minibatch independently. */
export function drawsOf({ epoch_steps: steps }: { epoch_steps: number }): 'epochs' | 'uniform' {
  return steps > 0 ? 'uniform' : 'epochs';
}

/** Number of micro-batches of a step to run in parallel: at most one per thread. */
export function lanesOf(ctx: ShardContext<unknown>, count: number): number {
  return Math.max(1, Math.min(ctx.threads, count));
}

/** What is kept of the end of a training, beside its parameters, to go on from there. */
interface End {
  readonly seen: object;
  /** whether it was stopped early: a longer training ends here, too */
  readonly stopped: boolean;
  /** the line of metrics that a longer training has here, where the last one of this training is another; null: none */
  readonly line?: Record<string, number> | null;
}

/** What a training has seen so far, beside its parameters. It is saved with every checkpoint. */
interface Seen {
  /** of the values since the last line of metrics */
  sums: Record<string, number>;
  count: number;
  /** of the training loss since the last validation */
  loss: { sum: number; count: number };
  validations: { step: number; loss: number | null; validation_loss: number }[];
}

/**
 * Runs a training plan with progress, metrics, and checkpoints in the shard's scratch folder. A killed run resumes from its
 * last checkpoint and ends with the same parameters and metrics, bit for bit, as an uninterrupted one. Warns if the
 * validation loss rose while the training loss fell.
 */
export async function train(ctx: ShardContext<unknown>, plan: TrainingPlan): Promise<void> {
  const { steps, every, label, validation, trainer, parameters } = plan;
  const spacing = plan.checkpointEvery ?? Math.max(1, Math.round(steps / 10));
  const best = Object.fromEntries((validation?.keepBest ?? []).map((name) => [name, parameters[name].clone()]));
  const saved = { ...parameters, ...Object.fromEntries(Object.entries(best).map(([name, p]) => [`best-${name}`, p])) };
  const content = { trainers: { optimizer: trainer }, parameters: saved };
  const checkpoints = new Checkpoints(ctx.scratch(), content);
  const resumed = await checkpoints.restore();
  const state = resumed ? undefined : ctx.priors[0]?.state;
  const shorter = state === undefined ? undefined : await new Checkpoints(state, content).restore();
  const end = shorter?.notes as End | undefined;
  let step = resumed?.step ?? shorter?.step ?? 0;
  let seen = unpacked(resumed?.notes ?? end?.seen) ?? nothing();
  if (step > 0) ctx.metrics.resume(end?.line === undefined ? step : step - 1);
  if (end?.line) ctx.metrics.write(step, end.line);
  if (end) ctx.log.info(`going on from step ${step}, where the shorter training ended`);
  const progress = ctx.progress(steps, label, step);
  const keep = async (stopped: boolean, so: Seen, line?: End['line']): Promise<void> => {
    if (!plan.goesOn || !keepsState(ctx)) return;
    const folder = ctx.keep();
    rmSync(folder, { recursive: true });
    await new Checkpoints(folder, content).save(step, { seen: packed(so), stopped, line } satisfies End);
  };
  const rhythm = new SavingRhythm();
  let ended = step === steps || end?.stopped === true;
  if (ended) await keep(end?.stopped === true, seen, end?.line);
  while (!ended) {
    ctx.signal.throwIfAborted();
    for (const [key, value] of Object.entries(await plan.step(step))) {
      seen.sums[key] = (seen.sums[key] ?? 0) + value;
      if (key === 'loss') seen.loss = { sum: seen.loss.sum + value, count: seen.loss.count + 1 };
    }
    seen.count++;
    step++;
    progress.advance();
    ended = step === steps;
    const validates = validation !== undefined && step % validation.every === 0;
    const logs = step % every === 0 || validates;
    // the last step always has a validation and a line of metrics, which a longer training may not have here
    const extra = ended && ((validation !== undefined && !validates) || !logs);
    const line = Object.fromEntries(Object.entries(seen.sums).map(([key, sum]) => [key, sum / seen.count]));
    if (extra) await keep(false, logs ? { ...seen, sums: {}, count: 0 } : seen, logs ? line : null);
    let measured: Record<string, number> = {};
    if (validation && (validates || ended)) {
      measured = await validation.measure();
      if (note(seen, step, measured.validation_loss))
        for (const [name, copy] of Object.entries(best)) copy.copyFrom(parameters[name]);
      ended ||= validation.patience > 0 && sinceBest(seen) >= validation.patience;
    }
    if (logs || ended) {
      ctx.metrics.write(step, { ...line, ...measured });
      seen = { ...seen, sums: {}, count: 0 };
    }
    if (ended && !extra) await keep(step < steps, seen);
    if (step % spacing === 0 && !ended && rhythm.due()) await rhythm.timed(() => checkpoints.save(step, packed(seen)));
  }
  progress.done();
  if (seen.validations.length === 0) {
    if (validation && (validation.patience > 0 || validation.keepBest.length > 0))
      ctx.log.warn('no held-out data for a validation, so keep_best and early_stop have no effect');
    return;
  }
  for (const [name, copy] of Object.entries(best)) parameters[name].copyFrom(copy);
  sayValidation(ctx, seen, { step, steps, kept: Object.keys(best).length > 0 });
}

/**
 * Limits the time that checkpoints take to a tenth. Those that take under a second are never left out: a checkpoint of the
 * released critic has 6.7 GB.
 */
export class SavingRhythm {
  private took = 0;
  private last = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** whether a checkpoint is due where the plan has one */
  due(): boolean {
    return this.took < 1000 || this.now() - this.last >= 9 * this.took;
  }

  async timed(save: () => Promise<void>): Promise<void> {
    const start = this.now();
    await save();
    this.last = this.now();
    this.took = this.last - start;
  }
}

/** Whether the settings say to keep what a longer training needs. */
export function keepsState({ config }: ShardContext<unknown>): boolean {
  return (config.training as TrainingSettings).keep_state;
}

function nothing(): Seen {
  return { sums: {}, count: 0, loss: { sum: 0, count: 0 }, validations: [] };
}

/** As JSON, which has no NaN; numbers as text come back bit by bit. */
function packed(seen: Seen): object {
  return JSON.parse(
    JSON.stringify(seen, (_, value: unknown) => (typeof value === 'number' ? String(value) : value)),
  ) as object;
}

function unpacked(notes: unknown): Seen | undefined {
  const number = /^(-?[\d.]+(e[+-]?\d+)?|NaN|-?Infinity)$/;
  const revive = (_: string, value: unknown): unknown =>
    typeof value === 'string' && number.test(value) ? Number(value) : value;
  return notes === undefined || notes === null ? undefined : (JSON.parse(JSON.stringify(notes), revive) as Seen);
}

/** Adds a validation. @returns whether its loss is the lowest so far */
function note(seen: Seen, step: number, loss: number | undefined): boolean {
  if (loss === undefined || !Number.isFinite(loss)) return false;
  const lowest = seen.validations.every(({ validation_loss: before }) => loss < before);
  const mean = seen.loss.count === 0 ? null : seen.loss.sum / seen.loss.count;
  seen.validations = [...seen.validations, { step, loss: mean, validation_loss: loss }];
  seen.loss = { sum: 0, count: 0 };
  return lowest;
}

/** Validations after the one with the lowest loss. */
function sinceBest({ validations }: Seen): number {
  const losses = validations.map(({ validation_loss }) => validation_loss);
  return losses.length === 0 ? 0 : losses.length - 1 - losses.indexOf(Math.min(...losses));
}

/** Says which weights are kept and why training ended, or warns of overfitting. */
function sayValidation(
  { log }: ShardContext<unknown>,
  seen: Seen,
  { step, steps, kept }: { step: number; steps: number; kept: boolean },
): void {
  const fit = fitOf(seen.validations.map((line) => ({ shard: '', ...line })));
  const lowest = seen.validations[seen.validations.length - 1 - sinceBest(seen)];
  const at = `step ${lowest.step} (validation loss ${lowest.validation_loss.toPrecision(3)})`;
  if (step < steps) log.info(`stopped early at step ${step} of ${steps}: the validation loss was lowest at ${at}`);
  if (kept) log.info(`kept the weights of ${at}`);
  else if (fit?.kind === 'overfits') log.warn(fitInWords('training', fit));
}

/** Learning rate of a step: rises linearly over `warmup` steps, then decays linearly to `floor` × lr at the end. */
export function schedule(lr: number, step: number, steps: number, { warmup = 0, floor = 1 } = {}): number {
  const rise = warmup > 0 ? Math.min(1, (step + 1) / warmup) : 1;
  const fall = 1 - (1 - floor) * (step / Math.max(1, steps - 1));
  return lr * Math.min(rise, fall);
}

/** Learning rate of a step by an algorithm's settings: constant, or decaying to 0 over all steps. */
export function learningRate(
  { lr, lr_schedule }: { lr: number; lr_schedule: 'constant' | 'linear' | 'cosine' },
  step: number,
  steps: number,
): number {
  const done = step / Math.max(1, steps);
  if (lr_schedule === 'linear') return lr * (1 - done);
  return lr_schedule === 'cosine' ? (lr * (1 + Math.cos(Math.PI * done))) / 2 : lr;
}
