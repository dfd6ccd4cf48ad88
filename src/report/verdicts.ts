import type { MetricsLine } from '../data/metrics.js';
import { decimal, fixed, signed } from './html.js';
import type { Reliability } from './reliability.js';

/** Whether a stage overfits, from its training and validation losses. */
export interface Fit {
  readonly kind: 'overfits' | 'worsens' | 'fine';
  /** validation losses that were measured */
  readonly points: number;
  /** where the validation loss is lowest */
  readonly best: Losses;
  readonly last: Losses;
  /** whether the stage kept the weights of the lowest validation loss (`keep_best`) */
  readonly kept?: boolean;
}

export interface Losses {
  readonly step: number;
  readonly validation: number;
  /** mean training loss since the validation before; null where none was written */
  readonly training: number | null;
}

/** A validation loss that ends less than this share above its minimum is no sign of overfitting. */
const TOLERANCE = 0.05;

/**
 * Compares the last validation loss with the lowest one. The stage overfits where the validation loss has risen by more
 * than 5 % while the training loss fell; it `worsens` where both rose. Undefined for fewer than two validation losses.
 * @param lines metrics of one stage; of several shards the first with a validation loss counts
 */
export function fitOf(lines: readonly MetricsLine[]): Fit | undefined {
  const shard = lines.find(({ validation_loss }) => finite(validation_loss))?.shard;
  const measured: Losses[] = [];
  let training: number[] = [];
  for (const { shard: of, step, loss, validation_loss: validation } of lines) {
    if (of !== shard) continue;
    if (finite(loss)) training.push(loss);
    if (!finite(validation)) continue;
    const mean = training.length === 0 ? null : training.reduce((sum, value) => sum + value, 0) / training.length;
    measured.push({ step, validation, training: mean });
    training = [];
  }
  if (measured.length < 2) return undefined;
  const best = measured.reduce((a, b) => (b.validation < a.validation ? b : a));
  const last = measured.at(-1)!;
  const rise = (last.validation - best.validation) / Math.max(Math.abs(best.validation), 1e-12);
  const fell = last.training !== null && best.training !== null && last.training < best.training;
  return { kind: rise <= TOLERANCE ? 'fine' : fell ? 'overfits' : 'worsens', points: measured.length, best, last };
}

/** The finding in a sentence or two. */
export function fitInWords(stage: string, { kind, best, last, kept = false }: Fit): string {
  const [low, end] = [decimal(best.validation), decimal(last.validation)];
  if (kind === 'fine')
    return `${stage} shows no sign of overfitting: its validation loss ends at ${end}, and ${
      best === last ? 'was never lower' : `was lowest at ${low} (step ${best.step})`
    }.`;
  const rise = `its validation loss rises from ${low} (step ${best.step}) to ${end} (step ${last.step})`;
  const from = `the weights of step ${best.step}`;
  if (kept) return `${stage} kept ${from}: ${rise} afterwards.`;
  if (kind === 'worsens')
    return `${stage} gets worse on held-out data: ${rise}, and its training loss does not fall. keep_best=true would keep ${from}.`;
  return `${stage} overfits: ${rise}, while its training loss falls from ${decimal(best.training)} to ${decimal(last.training)}. Fewer iterations, more data or more weight decay may help; keep_best=true would keep ${from}.`;
}

/** How far a critic's Q can be trusted, in words. */
export interface CalibrationVerdict {
  /** unknown: too few trajectories */
  readonly level: 'good' | 'fair' | 'poor' | 'unknown';
  readonly sentences: readonly string[];
}

/** Fewer trajectories than this give no verdict on calibration. */
const FEWEST = 10;

/** Which trajectories a reliability is about. */
export const PARTS: Readonly<Record<string, string>> = {
  train: 'training trajectories',
  validation: 'held-out trajectories',
  all: 'all trajectories',
};

/**
 * Puts calibration in words, from the held-out trajectories where there are any. The expected calibration error is judged
 * by the range of the returns: below 5 % of it is good, below 10 % fair. The slope is judged by its interval.
 * @param parts reliability by part: `train`, `validation` or `all`
 */
export function calibrationVerdict(parts: Readonly<Record<string, Reliability>>): CalibrationVerdict | undefined {
  const name = ['validation', 'all', 'train'].find((one) => parts[one]);
  if (name === undefined) return undefined;
  const { trajectories, calibration_error: error, range, bias, slope, slope_ci95: ci, correlation } = parts[name];
  if (trajectories < FEWEST) {
    const which = PARTS[name].replace(/^all /, '').replace(/ies$/, trajectories === 1 ? 'y' : 'ies');
    return {
      level: 'unknown',
      sentences: [
        `There ${trajectories === 1 ? 'is' : 'are'} only ${trajectories} ${which}, too few to judge calibration.`,
      ],
    };
  }
  const span = range[1] - range[0] || 1;
  const level = error < 0.05 * span ? 'good' : error < 0.1 * span ? 'fair' : 'poor';
  const how = { good: 'well', fair: 'fairly well', poor: 'poorly' }[level];
  const sentences = [
    `On ${PARTS[name]}, Q is ${how} calibrated: its expected calibration error is ${fixed(error, 3)}, where returns range from ${decimal(range[0])} to ${decimal(range[1])}.`,
  ];
  if (Math.abs(bias) > 0.02 * span)
    sentences.push(
      `On average Q is ${fixed(Math.abs(bias), 3)} too ${bias > 0 ? 'high' : 'low'} (${signed(bias, 3)}).`,
    );
  if (slope !== null && ci !== null) sentences.push(slopeInWords(slope, ci));
  if (correlation !== null) {
    const strength =
      correlation <= 0 ? 'wrongly' : correlation < 0.3 ? 'weakly' : correlation < 0.6 ? 'moderately well' : 'well';
    sentences.push(`It ranks steps ${strength}: its correlation with the return is ${fixed(correlation, 2)}.`);
    const trained = name === 'validation' ? parts.train?.correlation : null;
    if (trained !== null && trained !== undefined && trained - correlation > 0.1)
      sentences.push(
        `On training trajectories the correlation is ${fixed(trained, 2)}, so part of what the critic learned does not carry over to new trajectories.`,
      );
  }
  return { level, sentences };
}

function slopeInWords(slope: number, [low, high]: readonly [number, number]): string {
  const words = `The calibration slope is ${fixed(slope, 2)} (95 % interval ${fixed(low, 2)} to ${fixed(high, 2)}; 1 is ideal): `;
  if (high < 1) return `${words}Q is overconfident, its differences are larger than those of the returns.`;
  if (low > 1) return `${words}Q is too cautious, its differences are smaller than those of the returns.`;
  return `${words}there is no sign that Q is over- or underconfident.`;
}

function finite(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
