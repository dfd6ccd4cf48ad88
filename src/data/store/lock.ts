import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RunError, UserError } from '../../errors.js';
import { writeFailure } from './atomic.js';
import { here, startOf, type Place } from './processes.js';

/** The process that holds a lock, as written in the lock file. */
export interface Holder {
  readonly pid: number;
  /** start time of the process in the system's form, because pids are reused */
  readonly started: string;
  readonly host: string;
  /** stage instance that is running, for `critiq status` */
  readonly running: string;
  /** machine and container (processes.ts); missing in the lock of an older critiq */
  readonly space?: string;
  /** tells this lock from the next one of the same process */
  readonly token?: string;
  /** milliseconds without a sign of life after which others may take the lock; missing: never */
  readonly lease?: number;
}

/** Where a lock is held and how long it lives without a sign of life. */
export interface Terms extends Place {
  /** @default 180000 */
  readonly leaseMs: number;
  /** milliseconds between two signs of life @default 20000 */
  readonly beatMs: number;
}

const LEASE_MS = 180_000;
const BEAT_MS = 20_000;

/** Another process is using this run folder. Exit code 75 (EX_TEMPFAIL): try again later. */
export class LockedError extends UserError {
  override name = 'LockedError';
}

/** Another process has taken the lock of this one, which gave no sign of life for too long. */
export class LockLost extends RunError {
  override name = 'LockLost';
}

/**
 * The right to write in a folder, held by one process at a time.
 *
 * On the holder's own machine, others look whether its process lives. From another machine they cannot: there a lock ends by
 * lease. The holder writes its lock file again every `beatMs`; a file that is older than the lease may be taken. Ages are
 * differences between times that the file server gave, so the clocks of the machines do not matter.
 *
 * Whoever takes a lock first renames the file and then looks at its age again. `hold` first writes the file and then looks
 * whether it is still there. Whichever comes first, either the other sees the new sign of life and puts the file back, or
 * `hold` finds that the lock is lost. So after `hold`, the lock is safe for as long as the lease.
 */
export class Lock {
  private fd: number;
  private readonly beat: NodeJS.Timeout;
  private lostTo: LockLost | undefined;
  private listeners: ((error: LockLost) => void)[] = [];

  private constructor(
    private readonly file: string,
    private holder: Holder,
    beatMs: number,
  ) {
    this.fd = openSync(file, 'r+');
    this.beat = setInterval(() => this.live(), beatMs).unref();
  }

  /**
   * Acquires the lock. The lock of a dead process is taken over, or one of another machine whose lease has ended.
   * @param onTakeover is called with the former holder
   * @throws LockedError if a living process holds the lock
   */
  static acquire(file: string, onTakeover: (dead: Holder) => void = () => {}, terms: Partial<Terms> = {}): Lock {
    const { leaseMs: lease = LEASE_MS, beatMs = BEAT_MS, ...place } = terms;
    const at = { ...here(), ...place };
    const token = randomBytes(8).toString('hex');
    const holder: Holder = { pid: process.pid, started: startOf(process.pid) ?? '', ...at, running: '', token, lease };
    try {
      makeFolder(dirname(file));
      for (let attempt = 0; attempt < 20; attempt++) {
        if (create(file, holder)) {
          removeLeftovers(file, at);
          return new Lock(file, holder, beatMs);
        }
        const seen = look(file);
        if (seen === undefined) continue;
        const other = parse(seen.text);
        const age = other && canLookUp(other, at) ? undefined : ageMs(file, seen.mtimeMs);
        if (!other || isAlive(other, at, age ?? 0)) throw new LockedError(refusal(file, other, at, age));
        // Two processes may find the same dead holder. Only the one with the guard takes the lock.
        let guard: Lock;
        try {
          guard = Lock.acquire(`${file}.takeover`, undefined, terms);
        } catch (error) {
          if (!(error instanceof LockedError)) throw error;
          pause(20);
          continue;
        }
        try {
          if (takeAway(file, seen)) onTakeover(other);
        } finally {
          guard.release();
        }
      }
    } catch (error) {
      throw writeFailure(file, error);
    }
    const seen = look(file);
    throw new LockedError(refusal(file, seen && parse(seen.text), at, seen && ageMs(file, seen.mtimeMs)));
  }

  /** Calls `listener` once, soon after another process has taken the lock. */
  onLost(listener: (error: LockLost) => void): void {
    if (this.lostTo) listener(this.lostTo);
    else this.listeners.push(listener);
  }

  /** The error that says who has taken the lock; undefined while it is held. */
  get lost(): LockLost | undefined {
    return this.lostTo;
  }

  /** Gives a sign of life and makes sure that the lock is still held. Call it before every commit. @throws LockLost */
  hold(): void {
    if (this.lostTo) throw this.lostTo;
    try {
      writeSync(this.fd, JSON.stringify(this.holder), 0);
    } catch (error) {
      // a network file system says so if the file is gone
      if ((error as NodeJS.ErrnoException).code !== 'ESTALE') throw writeFailure(this.file, error);
    }
    if (this.isMine()) return;
    const now = look(this.file);
    const other = now && parse(now.text);
    const who = other ? `process ${other.pid} on ${other.host} works there now` : 'its lock file is gone';
    const { lease } = this.holder;
    this.lostTo = new LockLost(
      `${dirname(this.file)}: stopped, because this process gave no sign of life for ${seconds(lease!)} or more, and ${who}; finished work is kept`,
    );
    clearInterval(this.beat);
    for (const listener of this.listeners) listener(this.lostTo);
    throw this.lostTo;
  }

  /** Writes the running stage instance to the lock file. @throws LockLost */
  update(running: string): void {
    this.hold();
    const holder = { ...this.holder, running };
    const own = `${this.file}.${process.pid}.tmp`;
    try {
      rmSync(own, { force: true });
      writeFileSync(own, JSON.stringify(holder), { flag: 'wx' });
      const fd = openSync(own, 'r+');
      renameSync(own, this.file);
      closeSync(this.fd);
      [this.fd, this.holder] = [fd, holder];
    } catch (error) {
      rmSync(own, { force: true });
      throw writeFailure(this.file, error);
    }
  }

  /** Gives the lock back; does nothing if it is not held any more. */
  release(): void {
    clearInterval(this.beat);
    if (this.fd < 0) return;
    closeSync(this.fd);
    this.fd = -1;
    if (!this.lostTo && this.isMine()) rmSync(this.file, { force: true });
  }

  private live(): void {
    try {
      this.hold();
    } catch {
      // lost: the listeners know. A server that does not answer: the next beat, or the next commit, will tell
    }
  }

  private isMine(): boolean {
    const now = look(this.file);
    return now !== undefined && parse(now.text)?.token === this.holder.token;
  }
}

/** The living holder of a lock; undefined if nobody holds it. Writes nothing, so it trusts the clock of this machine. */
export function livingHolder(file: string): Holder | undefined {
  const seen = look(file);
  const holder = seen && parse(seen.text);
  return holder && isAlive(holder, here(), Date.now() - seen.mtimeMs) ? holder : undefined;
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
  const own = temporary(file);
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
 * Takes away the lock of a dead holder, unless it has changed since it was looked at: then another process was faster, or
 * the holder lives. @returns whether it is gone
 */
function takeAway(file: string, seen: Seen): boolean {
  const aside = temporary(file);
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    const now = look(aside);
    if (now?.text === seen.text && now.mtimeMs === seen.mtimeMs) return true;
    // If a third process has created the lock meanwhile, it stays with that one: the holder will notice.
    putBack(aside, file);
    return false;
  } finally {
    rmSync(aside, { force: true });
  }
}

function putBack(aside: string, file: string): void {
  try {
    linkSync(aside, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') renameSync(aside, file);
    else if (code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}

/**
 * Removes files that killed processes left next to the lock file: temporary files, and the guard of a takeover. A process
 * that waits for that guard then finds the lock held and takes nothing over.
 */
function removeLeftovers(file: string, at: Place): void {
  for (const name of readdirSync(dirname(file))) {
    if (!name.startsWith(`${basename(file)}.`)) continue;
    const path = join(dirname(file), name);
    const seen = look(path);
    const holder = seen && parse(seen.text);
    const dead = (holder: Holder): boolean =>
      !isAlive(holder, at, canLookUp(holder, at) ? 0 : ageMs(file, seen!.mtimeMs));
    if (holder ? dead(holder) : isAbandoned(name)) rmSync(path, { force: true });
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

function temporary(file: string): string {
  return `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

interface Seen {
  readonly text: string;
  /** time that the file server gave, ms since 1970 */
  readonly mtimeMs: number;
}

/** Content and time of a file, as they are on the server: opening a file asks for both again. Undefined if it is gone. */
function look(file: string): Seen | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    return { text: readFileSync(fd, 'utf8'), mtimeMs: fstatSync(fd).mtimeMs };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESTALE') return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** How long ago a time of the file server was: by the time that it gives to a new file beside `file`. */
function ageMs(file: string, mtimeMs: number): number {
  const probe = temporary(file);
  const fd = openSync(probe, 'wx');
  try {
    writeSync(fd, ' ');
    return fstatSync(fd).mtimeMs - mtimeMs;
  } finally {
    closeSync(fd);
    rmSync(probe, { force: true });
  }
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, started, host, running, space, token, lease } = JSON.parse(text) as Partial<Holder>;
    if (!Number.isInteger(pid) || typeof started !== 'string' || typeof host !== 'string') return undefined;
    return { pid: pid!, started, host, running: String(running ?? ''), space, token, lease };
  } catch {
    return undefined;
  }
}

/** Whether the pid of a holder means a process that can be looked up from here. */
function canLookUp({ host, space }: Holder, at: Place): boolean {
  return host === at.host && (space === undefined || space === at.space);
}

/** @param age of the lock file, in ms; counts only if the holder cannot be looked up */
function isAlive(holder: Holder, at: Place, age: number): boolean {
  if (canLookUp(holder, at)) return startOf(holder.pid) === holder.started;
  return holder.lease === undefined || age <= holder.lease;
}

function refusal(file: string, holder: Holder | undefined, at: Place, age = 0): string {
  if (!holder) return `${file}: not a lock file of critiq; delete it if no critiq runs in this folder`;
  const { pid, host, running, lease } = holder;
  const what = running ? ` (${running})` : '';
  const folder = dirname(file);
  if (canLookUp(holder, at))
    return `${folder}: in use by process ${pid}${what}; wait for it, or use another folder with run=NAME`;
  if (lease === undefined)
    return `${folder}: in use by process ${pid} on ${host}${what}; wait for it, or delete ${file} if it is gone`;
  const left = seconds(Math.max(0, lease - age));
  return `${folder}: in use by process ${pid} on ${host}${what}, whose last sign of life was ${seconds(age)} ago; wait for it; if no other sign comes, the folder is free in ${left}`;
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 1000))} s`;
}
