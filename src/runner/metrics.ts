import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { eventsFile, metricsFile, readMetrics, type MetricsLine } from '../data/metrics.js';
import { writeFailure } from '../data/store/atomic.js';
import { recordTimes, scalarsRecord, versionRecord } from './tfevents.js';

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
 * leaves the same lines as an uninterrupted one. The events also hold when each line was written, and so differ from run to
 * run.
 */
export class Metrics {
  private readonly jsonl: string;
  private readonly events: string;
  private lines: MetricsLine[];
  /** when each line was written, in seconds since 1970 */
  private readonly times = new Map<MetricsLine, number>();
  /** the same for the lines that were there at the start, by shard and step */
  private readonly before = new Map<string, number>();
  private fds: { jsonl: number; events: number } | undefined;

  /** @param keep whether the lines that a shard left in an earlier run are still valid */
  constructor(runFolder: string, instance: string, keep: (shard: string) => boolean) {
    this.jsonl = metricsFile(runFolder, instance);
    this.events = eventsFile(runFolder, instance);
    const before = readMetrics(this.jsonl);
    const times = wallTimes(runFolder, instance, before);
    before.forEach((line, i) => {
      this.times.set(line, times[i]);
      this.before.set(`${line.shard} ${line.step}`, times[i]);
    });
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

  /** The lines of a shard. */
  of(shard: string): readonly MetricsLine[] {
    return this.lines.filter((line) => line.shard === shard);
  }

  /** Replaces the lines of a shard by those of the version that it goes on from. */
  adopt(shard: string, lines: readonly MetricsLine[]): void {
    if (lines.length === 0 && this.of(shard).length === 0) return;
    for (const line of lines) this.times.set(line, this.before.get(`${line.shard} ${line.step}`) ?? Date.now() / 1000);
    this.lines = [...this.lines.filter((line) => line.shard !== shard), ...lines];
    this.rewrite();
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
    this.times.set(line, Date.now() / 1000);
    try {
      if (!this.fds) {
        // appending would leave a killed run's torn last line, or an event without a line, in the middle of the file
        this.rewrite();
        this.fds = { jsonl: openSync(this.jsonl, 'a'), events: openSync(this.events, 'a') };
        return;
      }
      writeAll(this.fds.jsonl, Buffer.from(encode(line)));
      writeAll(this.fds.events, this.eventOf(line));
    } catch (error) {
      throw writeFailure(this.jsonl, error);
    }
  }

  private eventOf(line: MetricsLine): Uint8Array {
    const { shard: _, step, ...rest } = line;
    const numbers = Object.entries(rest).filter(
      (entry): entry is [string, number | null] => typeof entry[1] !== 'string',
    );
    const values = Object.fromEntries(numbers.map(([tag, value]) => [tag, value ?? NaN]));
    return scalarsRecord({ step, values, wallTime: this.times.get(line)! });
  }

  private rewrite(): void {
    this.close();
    if (this.lines.length === 0) {
      rmSync(this.jsonl, { force: true });
      rmSync(this.events, { force: true });
      return;
    }
    const first = Math.min(...this.lines.map((line) => this.times.get(line)!));
    replace(this.jsonl, [Buffer.from(this.lines.map(encode).join(''))]);
    replace(this.events, [versionRecord(first), ...this.lines.map((line) => this.eventOf(line))]);
  }
}

function encode(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
}

/**
 * When the lines of a metrics file were written, in seconds since 1970. Of a line without its event (a kill came between the
 * two) it is the time of the line before; of an older critiq, whose events have no times, that of the file.
 */
export function wallTimes(runFolder: string, instance: string, lines: readonly MetricsLine[]): number[] {
  const [jsonl, file] = [metricsFile(runFolder, instance), eventsFile(runFolder, instance)];
  const events = existsSync(file) ? recordTimes(readFileSync(file)) : [];
  const unknown = existsSync(jsonl) ? statSync(jsonl).mtimeMs / 1000 : 0;
  let last: number | undefined;
  return lines.map(({ step }, i) => {
    const event = events[i];
    if (event?.step === step && event.wallTime > MADE_UP) last = event.wallTime;
    return last ?? unknown;
  });
}

/** The events of an older critiq have the step as their time. No training has as many steps as seconds passed until 2001. */
const MADE_UP = 1e9;

function replace(file: string, pieces: readonly Uint8Array[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    // what is there under this name is removed, not written to: it may be a link to a file of someone else
    rmSync(`${file}.tmp`, { force: true });
    const fd = openSync(`${file}.tmp`, 'wx');
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
