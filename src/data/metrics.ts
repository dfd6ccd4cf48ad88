import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { jsonObjectIn } from './formats/json.js';
import { readText } from './formats/text.js';

/** A line of metrics/<instance>.jsonl. NaN and infinities are null. */
export interface MetricsLine {
  readonly shard: string;
  readonly step: number;
  readonly [key: string]: string | number | null;
}

/** The path of a stage instance's metrics. */
export function metricsFile(runFolder: string, instance: string): string {
  return join(runFolder, 'metrics', `${instance}.jsonl`);
}

/** Where the TensorBoard events of a stage instance are. */
export function eventsFile(runFolder: string, instance: string): string {
  return join(runFolder, 'tb', instance, 'events.out.tfevents.critiq');
}

/** The lines of a metrics file; none if there is no file. An incomplete last line is ignored. */
export function readMetrics(file: string): MetricsLine[] {
  if (!existsSync(file)) return [];
  return readText(file).split('\n').flatMap(parseLine);
}

/** The last complete line of a metrics file, without reading the rest. */
export function lastMetrics(file: string): MetricsLine | undefined {
  if (!existsSync(file)) return undefined;
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, 1 << 16));
    readSync(fd, tail, 0, tail.length, size - tail.length);
    return tail.toString('utf8').split('\n').slice(-3).flatMap(parseLine).at(-1);
  } finally {
    closeSync(fd);
  }
}

function parseLine(text: string): MetricsLine[] {
  const line = jsonObjectIn(text);
  return typeof line?.shard === 'string' && typeof line.step === 'number' ? [line as unknown as MetricsLine] : [];
}
