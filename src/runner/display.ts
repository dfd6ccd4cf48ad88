import { performance } from 'node:perf_hooks';
import { printable } from '../errors.js';
import { withPages } from '../package.js';
import { discreet, withoutKeys } from '../secrets/known.js';

export type Verbosity = 'quiet' | 'normal' | 'verbose';

/** The log of a stage: plain lines on stderr. */
export interface Log {
  /** only with --verbose */
  debug(line: string): void;
  info(line: string): void;
  /** also with --quiet */
  warn(line: string): void;
}

/** Progress towards a known total. */
export interface Progress {
  advance(n?: number): void;
  /** sets the text shown after the count; '' for none */
  note(text: string): void;
  /** ends it before the total is reached */
  done(): void;
}

interface Task {
  label: string;
  note: string;
  total: number;
  at: number;
  /** count at the start of this process: earlier work does not count for the rate */
  began: number;
  startMs: number;
}

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Log lines, with one line of progress below them on a terminal, or a plain progress line every few seconds elsewhere. */
export class Display implements Log {
  private readonly tasks: Task[] = [];
  private shown = false;
  private lastMs = -Infinity;
  private readonly everyMs: number;

  /** @param now a clock in milliseconds, for the rate only */
  constructor(
    private readonly verbosity: Verbosity = 'normal',
    private readonly out: Terminal = process.stderr,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.everyMs = out.isTTY ? 100 : 5000;
  }

  debug(line: string): void {
    if (this.verbosity === 'verbose') this.line(line);
  }

  info(line: string): void {
    if (this.verbosity !== 'quiet') this.line(line);
  }

  warn(line: string): void {
    this.line(`warning: ${discreet(line)}`);
  }

  /** Starts a count; all unfinished ones share the line. @param at the part that an earlier run did */
  progress(total: number, label: string, at = 0): Progress {
    const task: Task = { label, note: '', total, at, began: at, startMs: this.now() };
    this.tasks.push(task);
    if (!this.out.isTTY && this.tasks.length === 1) this.lastMs = this.now();
    const done = (): void => {
      const index = this.tasks.indexOf(task);
      if (index < 0) return;
      this.tasks.splice(index, 1);
      if (this.tasks.length === 0) this.clear();
    };
    return {
      advance: (n = 1) => {
        task.at = Math.min(task.total, task.at + n);
        this.draw();
        if (task.at >= task.total) done();
      },
      note: (text) => {
        task.note = text;
      },
      done,
    };
  }

  /** Shows progress towards an unknown total. */
  count(text: string): void {
    this.show(() => text);
  }

  /** Clears the progress line of the terminal. */
  clear(): void {
    if (this.shown) this.out.write('\r\x1b[2K');
    this.shown = false;
  }

  private line(text: string): void {
    this.clear();
    this.out.write(`${printable(withPages(withoutKeys(text)))}\n`);
  }

  private draw(): void {
    const bar = Boolean(this.out.isTTY);
    this.show((now) => this.tasks.map((task, i) => describe(task, this.tasks[i - 1], now, bar)).join(' | '));
  }

  private show(describeAll: (now: number) => string): void {
    const now = this.now();
    if (this.verbosity === 'quiet' || now - this.lastMs < this.everyMs) return;
    this.lastMs = now;
    const text = printable(withoutKeys(describeAll(now)), '');
    if (this.out.isTTY) {
      this.out.write(`\r\x1b[2K${text.slice(0, Math.max(1, (this.out.columns ?? 80) - 1))}`);
      this.shown = true;
    } else {
      this.out.write(`${text}\n`);
    }
  }
}

const BAR = 20;

/** A count in words. @param before the count shown before it, whose stage is not named again */
function describe(task: Task, before: Task | undefined, now: number, bar: boolean): string {
  const fraction = task.total > 0 ? task.at / task.total : 1;
  const seconds = (now - task.startMs) / 1000;
  const rate = seconds > 0 ? (task.at - task.began) / seconds : 0;
  const filled = Math.round(fraction * BAR);
  const [stage] = /^.*?: /.exec(task.label) ?? [''];
  const parts = [before?.label.startsWith(stage) ? task.label.slice(stage.length) : task.label];
  if (bar) parts.push(`[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}]`);
  parts.push(`${task.at}/${task.total}`, `${Math.floor(fraction * 100)}%`);
  if (rate > 0) {
    parts.push(
      `${rate >= 10 ? rate.toFixed(0) : rate.toPrecision(2)}/s`,
      `${duration((task.total - task.at) / rate)} left`,
    );
  }
  if (task.note !== '') parts.push(`(${task.note})`);
  return parts.join(' ');
}

/** Seconds as `42s`, `3:07` or `2:05:09`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  const two = (n: number): string => String(n).padStart(2, '0');
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes}:${two(s % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}
