import type { Parameters, Trainer } from '../../src/graph/index.js';
import type { ShardContext } from '../../src/runner/stage.js';
import { Checkpoints } from './checkpoints.js';

/** A number of training steps that a kill can interrupt anywhere. */
export interface TrainingPlan {
  readonly steps: number;
  /** steps between two lines of metrics, which hold the means over them */
  readonly every: number;
  /** checkpoints are written at multiples of `every`, about this many in all @default 10 */
  readonly checkpoints?: number;
  /** whose state is kept beside the parameters; `step` is what trains with it */
  readonly trainer: Pick<Trainer<never>, 'save' | 'load'>;
  /** everything that changes: the trained parameters, and the targets that follow them */
  readonly parameters: Readonly<Record<string, Parameters>>;
  /** One step (from 0), a function of its number alone beside the parameters. Returns what to log. */
  readonly step: (step: number) => Promise<Record<string, number>>;
  /** more to log at each line of metrics, for example on held-out data */
  readonly evaluate?: (step: number) => Promise<Record<string, number>>;
  readonly label: string;
}

/**
 * One optimizer step's micro-batches, `grad_accum_steps` of them. They may run at the same time: give the trainer
 * `lanes: lanesOf(ctx, grad_accum_steps)`.
 * @param run the k-th micro-batch of this step; numbers that it returns are averaged
 * @param micro its number since the beginning of the training
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

/** Micro-batches of a step that run at the same time: as many as there are, and threads for. */
export function lanesOf(ctx: ShardContext<unknown>, count: number): number {
  return Math.max(1, Math.min(ctx.threads, count));
}

/**
 * Run a training plan with progress, metrics and checkpoints in the shard's scratch folder. A run that was killed goes
 * on from its last checkpoint and ends with the same parameters and metrics, bit for bit, as an undisturbed one.
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

/** Learning rate at a step: rises linearly over `warmup` steps, then falls linearly to `floor` × lr at the end. */
export function schedule(lr: number, step: number, steps: number, { warmup = 0, floor = 1 } = {}): number {
  const rise = warmup > 0 ? Math.min(1, (step + 1) / warmup) : 1;
  const fall = 1 - (1 - floor) * (step / Math.max(1, steps - 1));
  return lr * Math.min(rise, fall);
}

/** The learning rate of a step by an algorithm's settings: constant, or down to 0 over all steps. */
export function learningRate(
  { lr, lr_schedule }: { lr: number; lr_schedule: 'constant' | 'linear' | 'cosine' },
  step: number,
  steps: number,
): number {
  const done = step / Math.max(1, steps);
  if (lr_schedule === 'linear') return lr * (1 - done);
  return lr_schedule === 'cosine' ? (lr * (1 + Math.cos(Math.PI * done))) / 2 : lr;
}
