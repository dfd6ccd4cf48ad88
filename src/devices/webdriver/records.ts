import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { livingHolder, Lock } from '../../data/store/lock.js';
import { readJsonFile } from '../../data/formats/json.js';
import { withoutKeys } from '../../secrets/known.js';

/** A recorded session. */
export interface RecordedSession {
  readonly id: string;
  /** Removes the record once the session has ended. */
  forget(): void;
}

/**
 * Records the open sessions of this user's critiq processes on this machine, so that the next process can end those of a
 * killed one: a Grid or a farm would keep their devices until they time out. Other sessions are never touched.
 */
export class SessionRecords {
  constructor(private readonly folder = join(tmpdir(), `critiq-sessions-${userInfo().uid}`)) {}

  /** Records a session of this process. */
  keep(url: string, id: string): RecordedSession {
    // an id that repeats the key is not for a file
    if (!this.ours() || withoutKeys(id) !== id) return { id, forget: () => undefined };
    const name = createHash('sha256').update(`${url} ${id}`).digest('hex').slice(0, 16);
    const lock = Lock.acquire(join(this.folder, `${name}.lock`));
    lock.update(`${url} ${id}`);
    return { id, forget: () => lock.release() };
  }

  /** Sessions at a server whose processes are dead. */
  orphans(url: string): RecordedSession[] {
    if (!this.ours()) return [];
    return readdirSync(this.folder).flatMap((name) => {
      const file = join(this.folder, name);
      if (!name.endsWith('.lock') || livingHolder(file)) return [];
      const [server, id] = running(file);
      return server === url && id !== undefined ? [{ id, forget: () => rmSync(file, { force: true }) }] : [];
    });
  }

  /** Whether the folder exists and belongs to this user; in a shared parent folder, anybody may have created it. */
  private ours(): boolean {
    try {
      mkdirSync(this.folder, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
    const stat = lstatSync(this.folder);
    return stat.isDirectory() && (process.getuid === undefined || stat.uid === process.getuid());
  }
}

function running(file: string): string[] {
  try {
    const { running } = readJsonFile(file, 'delete it') as { running?: unknown };
    return typeof running === 'string' ? running.split(' ') : [];
  } catch {
    // its process removed it meanwhile
    return [];
  }
}
