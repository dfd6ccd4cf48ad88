import { existsSync, fstatSync, openSync, readSync, closeSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { metricsFile, type MetricsLine } from '../data/metrics.js';
import type { MetricsTail } from './api.js';
import { jsonObjectIn } from '../data/formats/json.js';

/** Most bytes that one answer reads; the next answer continues from there. */
const MOST = 4 << 20;

/** Stages in the order of the pipeline; others follow by name. */
const STAGES = ['demos', 'sft', 'collect', 'vlm', 'critic', 'actor', 'value', 'vem', 'online', 'eval'];

/** The stage instances of a run that wrote metrics. */
export function metricInstances(run: string): string[] {
  const folder = join(run, 'metrics');
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  const rank = (instance: string) => (STAGES.indexOf(instance.split('/')[0]) + STAGES.length + 1) % (STAGES.length + 1);
  return files
    .filter((file) => file.endsWith('.jsonl'))
    .map((file) => file.slice(0, -'.jsonl'.length).replaceAll('\\', '/'))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/**
 * The complete lines of an instance's metrics from a position on. A stage appends while it runs and replaces the file when
 * it starts or ends; after a replacement the answer starts over with `fresh`.
 * @param file the file's name in the last answer
 * @param from where the last answer ended
 * @throws UserError if the run has no such metrics
 */
export function metricsTail(run: string, instance: string, file: string, from: number): MetricsTail {
  if (!metricInstances(run).includes(instance))
    throw new UserError(`${run}: no metrics of ${JSON.stringify(instance)}`);
  const fd = openSync(metricsFile(run, instance), 'r');
  try {
    const { size, ino } = fstatSync(fd);
    const fresh = file !== String(ino) || from > size;
    const start = fresh ? 0 : from;
    const bytes = Buffer.alloc(Math.min(MOST, size - start));
    const got = readSync(fd, bytes, 0, bytes.length, start);
    const whole = bytes.subarray(0, got).lastIndexOf(10) + 1;
    // critiq writes no line longer than an answer
    const next = start + (whole > 0 ? whole : got === MOST ? got : 0);
    const lines = bytes.toString('utf8', 0, whole).split('\n').flatMap(parse);
    return { file: String(ino), fresh, next, more: next < size && got === MOST, lines };
  } finally {
    closeSync(fd);
  }
}

function parse(text: string): MetricsLine[] {
  const line = jsonObjectIn(text);
  return typeof line?.shard === 'string' && typeof line.step === 'number' ? [line as unknown as MetricsLine] : [];
}
