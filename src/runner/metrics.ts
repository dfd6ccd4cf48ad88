import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { eventsFile, metricsFile, readMetrics, type MetricsLine } from '../data/metrics.js';
import { writeFailure } from '../data/store/atomic.js';
import { scalarsRecord, versionRecord } from './tfevents.js';

/** Metrics of one shard, one line per step. */
export interface ShardMetrics {
  /** Adds a line. The steps of a shard only increase. A value that is not finite is stored as null. */
  write(step: number, values: Readonly<Record<string, number>>): void;
  /**
   * Call before the first write when the shard resumes from a checkpoint: drops lines after `lastStep`, so that no step
   * appears twice. Without this call, the first write drops all lines that the shard left before.
   */
  resume(lastStep: number): void;
}

/**
 * metrics/<instance>.jsonl and tb/<instance>/events.out.tfevents.critiq of one stage instance. Both are appended live and
 * always hold the same values. In the end `finish` sorts the lines in the order of the plan, so that an interrupted run
 * leaves the same bytes as an uninterrupted one.
 */
export class Metrics {
  private readonly jsonl: string;
  private readonly events: string;
  private lines: MetricsLine[];
  private fds: { jsonl: number; events: number } | undefined;

  /** @param keep whether the lines that a shard left in an earlier run are still valid */
  constructor(runFolder: string, instance: string, keep: (shard: string) => boolean) {
    this.jsonl = metricsFile(runFolder, instance);
    this.events = eventsFile(runFolder, instance);
    const before = readMetrics(this.jsonl);
    this.lines = before.filter((line) => keep(line.shard));
    if (this.lines.length !== before.length) this.rewrite();
  }

  shard(id: string): ShardMetrics {
    let started = false;
    const resume = (lastStep: number): void => {
      started = true;
      const kept = this.lines.filter((line) => line.shard !== id || line.step <= lastStep);
      if (kept.length === this.lines.length) return;
      this.lines = kept;
      this.rewrite();
    };
    return {
      resume,
      write: (step, values) => {
        if (!started) resume(-Infinity);
        this.append({ shard: id, step, ...values });
      },
    };
  }

  /** Sorts the lines by plan and step, and closes the files. */
  finish(order: readonly string[]): void {
    const rank = new Map(order.map((id, index) => [id, index]));
    const at = (line: MetricsLine): number => rank.get(line.shard) ?? order.length;
    const sorted = [...this.lines].sort((a, b) => at(a) - at(b) || a.step - b.step);
    if (sorted.some((line, index) => line !== this.lines[index])) {
      this.lines = sorted;
      this.rewrite();
    }
    this.close();
  }

  close(): void {
    if (!this.fds) return;
    closeSync(this.fds.jsonl);
    closeSync(this.fds.events);
    this.fds = undefined;
  }

  private append(line: MetricsLine): void {
    this.lines.push(line);
    try {
      if (!this.fds) {
        // appending would leave a killed run's torn last line, or an event without a line, in the middle of the file
        this.rewrite();
        this.fds = { jsonl: openSync(this.jsonl, 'a'), events: openSync(this.events, 'a') };
        return;
      }
      writeAll(this.fds.jsonl, Buffer.from(encode(line)));
      writeAll(this.fds.events, eventOf(line));
    } catch (error) {
      throw writeFailure(this.jsonl, error);
    }
  }

  private rewrite(): void {
    this.close();
    if (this.lines.length === 0) {
      rmSync(this.jsonl, { force: true });
      rmSync(this.events, { force: true });
      return;
    }
    replace(this.jsonl, [Buffer.from(this.lines.map(encode).join(''))]);
    replace(this.events, [versionRecord(), ...this.lines.map(eventOf)]);
  }
}

function encode(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
}

function eventOf({ shard: _, step, ...rest }: MetricsLine): Uint8Array {
  const numbers = Object.entries(rest).filter(
    (entry): entry is [string, number | null] => typeof entry[1] !== 'string',
  );
  return scalarsRecord({ step, values: Object.fromEntries(numbers.map(([tag, value]) => [tag, value ?? NaN])) });
}

function replace(file: string, pieces: readonly Uint8Array[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const fd = openSync(`${file}.tmp`, 'w');
    try {
      for (const piece of pieces) writeAll(fd, piece);
    } finally {
      closeSync(fd);
    }
    renameSync(`${file}.tmp`, file);
  } catch (error) {
    throw writeFailure(file, error);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}
