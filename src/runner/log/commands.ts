import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { livingHolder, type Holder } from '../../data/store/lock.js';
import { exitCodeOf } from '../../errors.js';
import { gitCommit, versions } from '../package.js';
import { hardware, type Hardware } from './hardware.js';
import { addLine, logFile, logLines } from './lines.js';
import { masked, maskedText } from './secrets.js';
import { thisCommand } from './this-command.js';

/** Name of the file with the commands. */
export const COMMANDS = 'commands.jsonl';
const DIRTY = '-dirty';
const SIGNALS: Readonly<Record<number, string>> = { 130: 'SIGINT', 143: 'SIGTERM' };

interface Start {
  readonly id: string;
  readonly event: 'start';
  /** ISO 8601 in UTC */
  readonly time: string;
  /** after `critiq`, without secrets; null for a program that uses critiq as a library */
  readonly args: readonly string[] | null;
  readonly cwd: string;
  readonly host: string;
  readonly pid: number;
  readonly hardware: Hardware;
  readonly versions: Readonly<Record<string, string | null>>;
  /** of critiq's checkout; null for an installed package */
  readonly commit: string | null;
  /** whether its files differ from the commit */
  readonly dirty: boolean;
}

interface End {
  readonly id: string;
  readonly event: 'end';
  readonly time: string;
  readonly seconds: number;
  readonly code: number;
  readonly signal: string | null;
  /** first line of the error */
  readonly error: string | null;
}

/** A line of the log. */
export type LogLine = Start | End;

/** A command that worked on a run. */
export interface CommandRecord extends Omit<Start, 'event' | 'time'> {
  readonly start: string;
  /** null: no end was written */
  readonly end: string | null;
  readonly seconds: number | null;
  readonly code: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  /** `killed`: it has no end, and its process is gone */
  readonly state: 'done' | 'failed' | 'stopped' | 'running' | 'killed';
}

/** The entry of one command in the log of a run: a line when it starts, and one when it ends. */
export class CommandLog {
  readonly id: string;
  private readonly began = new Date();
  private state: 'waiting' | 'begun' | 'ended' = 'waiting';

  /** Writes nothing yet. @param run the run folder */
  constructor(private readonly run: string) {
    const time = this.began.toISOString().replace(/[-:]|\.\d+/g, '');
    this.id = `${time}-${process.pid}-${randomBytes(2).toString('hex')}`;
  }

  /** Writes the first line, once. Call it when the run exists or work starts: a mistyped command leaves no folder. */
  begin(): void {
    if (this.state !== 'waiting') return;
    this.state = 'begun';
    const commit = gitCommit();
    const args = thisCommand();
    const dirty = commit?.endsWith(DIRTY) ?? false;
    const start: Start = {
      id: this.id,
      event: 'start',
      time: this.began.toISOString(),
      args: args && masked(args),
      cwd: process.cwd(),
      host: hostname(),
      pid: process.pid,
      hardware: hardware(),
      versions: versions(),
      commit: commit && (dirty ? commit.slice(0, -DIRTY.length) : commit),
      dirty,
    };
    addLine(logFile(this.run, COMMANDS), start);
  }

  /** Writes the last line, if there is a first one. @param failure what the command throws, or the code it exits with */
  end(failure?: { readonly error: unknown } | { readonly code: number }): void {
    if (this.state !== 'begun') return;
    this.state = 'ended';
    const error = failure && 'error' in failure ? failure.error : undefined;
    const code = failure === undefined ? 0 : 'code' in failure ? failure.code : exitCodeOf(error);
    const text = error instanceof Error ? error.message : error === undefined ? '' : String(error);
    const now = new Date();
    const end: End = {
      id: this.id,
      event: 'end',
      time: now.toISOString(),
      seconds: (now.getTime() - this.began.getTime()) / 1000,
      code,
      signal: SIGNALS[code] ?? null,
      error: text === '' ? null : maskedText(text.split('\n')[0]),
    };
    try {
      addLine(logFile(this.run, COMMANDS), end);
    } catch {
      // a full disk: the command's own error matters more than its line in the log
    }
  }
}

/** The commands that worked on a run, the oldest first. @param lock the lock file of the run */
export function readCommands(run: string, lock: string): CommandRecord[] {
  const lines = logLines<LogLine>(logFile(run, COMMANDS));
  const ends = new Map(lines.filter((line) => line.event === 'end').map((line) => [line.id, line]));
  const holder = livingHolder(lock);
  return lines
    .filter((line) => line.event === 'start')
    .map(({ event: _, time, ...start }) => {
      const end = ends.get(start.id);
      return {
        ...start,
        start: time,
        end: end?.time ?? null,
        seconds: end?.seconds ?? null,
        code: end?.code ?? null,
        signal: end?.signal ?? null,
        error: end?.error ?? null,
        state: stateOf(start, end, holder),
      };
    });
}

function stateOf(
  { pid, host }: Pick<Start, 'pid' | 'host'>,
  end: End | undefined,
  holder: Holder | undefined,
): CommandRecord['state'] {
  if (!end) return holder?.pid === pid && holder.host === host ? 'running' : 'killed';
  if (end.signal !== null) return 'stopped';
  return end.code === 0 ? 'done' : 'failed';
}
