import type { Parameters, Trainer } from '../../src/graph/index.js';
import type { ShardContext } from '../../src/runner/stage.js';
import { Checkpoints } from './checkpoints.js';

/** A training run that a kill may interrupt at any moment. */
export interface TrainingPlan {
  readonly steps: number;
  /** steps between two lines of metrics; each line holds the means over these steps */
  readonly every: number;
  /** approximate number of checkpoints, written at multiples of `every` @default 10 */
  readonly checkpoints?: number;
  /** its state is saved beside the parameters; `step` trains with it */
  readonly trainer: Pick<Trainer<never>, 'save' | 'load'>;
  /** everything that changes: trained parameters, and the target networks that follow them */
  readonly parameters: Readonly<Record<string, Parameters>>;
  /** Runs one step (from 0); must depend only on its number and the parameters. @returns values to log */
  readonly step: (step: number) => Promise<Record<string, number>>;
  /** further values for each line of metrics, for example on held-out data */
  readonly evaluate?: (step: number) => Promise<Record<string, number>>;
  readonly label: string;
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

/**
 * Runs a training plan with progress, metrics, and checkpoints in the shard's scratch folder. A killed run resumes from its
 * last checkpoint and ends with the same parameters and metrics, bit for bit, as an uninterrupted one.
 */
export async function train(ctx: ShardContext<unknown>, plan: TrainingPlan): Promise<void> {
  const { steps, every, label } = plan;
  const spacing = every * Math.max(1, Math.round(steps / every / (plan.checkpoints ?? 10)));
  const { trainer, parameters } = plan;
  const checkpoints = new Checkpoints(ctx.scratch(), { trainers: { optimizer: trainer }, parameters });
  let step = (await checkpoints.restore())?.step ?? 0;
  if (step > 0) ctx.metrics.resume(step);
  const progress = ctx.progress(steps, label, step);
  let sums: Record<string, number> = {};
  let count = 0;
  while (step < steps) {
    ctx.signal.throwIfAborted();
    for (const [key, value] of Object.entries(await plan.step(step))) sums[key] = (sums[key] ?? 0) + value;
    count++;
    step++;
    progress.advance();
    if (step % every === 0 || step === steps) {
      const means = Object.fromEntries(Object.entries(sums).map(([key, sum]) => [key, sum / count]));
      ctx.metrics.write(step, { ...means, ...(await plan.evaluate?.(step)) });
      sums = {};
      count = 0;
    }
    if (step % spacing === 0 && step < steps) await checkpoints.save(step);
  }
  progress.done();
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
