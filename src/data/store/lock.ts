import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { writeFailure } from './atomic.js';
import { UserError } from '../../errors.js';

/** The process that holds a lock, as written in the lock file. */
export interface Holder {
  readonly pid: number;
  /** start time of the process in the system's form, because pids are reused */
  readonly started: string;
  readonly host: string;
  /** stage instance that is running, for `critiq status` */
  readonly running: string;
}

/** Another process is using this run folder. Exit code 75 (EX_TEMPFAIL): try again later. */
export class LockedError extends UserError {
  override name = 'LockedError';
}

/** The right to write in a run folder, held by one process at a time. */
export class Lock {
  private constructor(
    private readonly file: string,
    private holder: Holder,
  ) {}

  /**
   * Acquires the lock. A lock whose process is dead is taken over.
   * @param onTakeover is called with the dead holder
   * @throws LockedError if a living process, or one on another host, holds the lock
   */
  static acquire(file: string, onTakeover: (dead: Holder) => void = () => {}): Lock {
    const holder: Holder = { pid: process.pid, started: startOf(process.pid) ?? '', host: hostname(), running: '' };
    try {
      makeFolder(dirname(file));
      for (let attempt = 0; attempt < 20; attempt++) {
        if (create(file, holder)) {
          removeLeftovers(file);
          return new Lock(file, holder);
        }
        const text = readText(file);
        if (text === undefined) continue;
        const other = parse(text);
        if (!other || isAlive(other)) throw new LockedError(refusal(file, other));
        // Two processes may find the same dead holder. Only the one with the guard removes the lock, and only if it is
        // unchanged, so a lock that was taken over meanwhile is never removed.
        let guard: Lock;
        try {
          guard = Lock.acquire(`${file}.takeover`);
        } catch (error) {
          if (!(error instanceof LockedError)) throw error;
          pause(20);
          continue;
        }
        try {
          if (readText(file) === text) {
            rmSync(file, { force: true });
            onTakeover(other);
          }
        } finally {
          guard.release();
        }
      }
    } catch (error) {
      throw writeFailure(file, error);
    }
    throw new LockedError(refusal(file, readHolder(file)));
  }

  /** Writes the running stage instance to the lock file. */
  update(running: string): void {
    this.holder = { ...this.holder, running };
    const own = `${this.file}.${process.pid}.tmp`;
    try {
      writeFileSync(own, JSON.stringify(this.holder));
      renameSync(own, this.file);
    } catch (error) {
      rmSync(own, { force: true });
      throw writeFailure(this.file, error);
    }
  }

  release(): void {
    rmSync(this.file, { force: true });
  }
}

/** The living holder of a lock (or one on another host, which cannot be checked); undefined if nobody holds it. */
export function livingHolder(file: string): Holder | undefined {
  const holder = readHolder(file);
  return holder && isAlive(holder) ? holder : undefined;
}

/** Like `mkdir -p`. Node's own `recursive` fails with ENOENT on a read-only file system. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Creates the file with its content atomically, so readers never see it empty. @returns false if it exists */
function create(file: string, holder: Holder): boolean {
  const own = `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    writeFileSync(own, JSON.stringify(holder), { flag: 'wx' });
    linkSync(own, file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENOENT: another host removed the temporary file as that of a dead process
    if (code === 'EEXIST' || (code === 'ENOENT' && existsSync(dirname(file)))) return false;
    // the file system has no hard links (some network shares)
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') return createExclusive(file, holder);
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Removes files that killed processes left next to the lock file: temporary files, and the guard of a takeover. A process
 * that waits for that guard then finds the lock held and takes nothing over.
 */
function removeLeftovers(file: string): void {
  for (const name of readdirSync(dirname(file))) {
    if (!name.startsWith(`${basename(file)}.`)) continue;
    const path = join(dirname(file), name);
    const text = readText(path);
    const holder = text === undefined ? undefined : parse(text);
    if (holder ? !isAlive(holder) : isAbandoned(name)) rmSync(path, { force: true });
  }
}

/** Whether an empty temporary file is that of a dead process, whose pid is in the name. */
function isAbandoned(name: string): boolean {
  const writer = /\.(\d+)(?:-[0-9a-f]+)?\.tmp$/.exec(name);
  return writer !== null && startOf(Number(writer[1])) === undefined;
}

function createExclusive(file: string, holder: Holder): boolean {
  try {
    writeFileSync(file, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function readHolder(file: string): Holder | undefined {
  const text = readText(file);
  return text === undefined ? undefined : parse(text);
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, started, host, running } = JSON.parse(text) as Partial<Holder>;
    if (!Number.isInteger(pid) || typeof started !== 'string' || typeof host !== 'string') return undefined;
    return { pid: pid!, started, host, running: String(running ?? '') };
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  return startOf(holder.pid) === holder.started;
}

function refusal(file: string, holder: Holder | undefined): string {
  if (!holder) return `${file}: not a lock file of critiq; delete it if no critiq runs in this folder`;
  const what = holder.running ? ` (${holder.running})` : '';
  if (holder.host !== hostname()) {
    return `${dirname(file)}: in use by process ${holder.pid} on ${holder.host}${what}; wait for it, or delete ${file} if it is gone`;
  }
  return `${dirname(file)}: in use by process ${holder.pid}${what}; wait for it, or use another folder with run=NAME`;
}

/** Start time of a process (boot id and clock ticks on Linux, the text of `ps` elsewhere); undefined if it is dead. */
function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // Field 2, the command, may contain spaces and brackets. After it come state (3) to starttime (22); see proc(5).
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (rest[0] === 'Z' || rest[0] === 'X') return undefined;
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      return `${boot} ${rest[19]}`;
    } catch {
      return undefined;
    }
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}
