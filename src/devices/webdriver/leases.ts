import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunError } from '../../errors.js';
import { livingHolder, Lock, LockedError } from '../../data/store/lock.js';

/** The right to have a session on a device. */
export interface DeviceLease {
  /** undefined: the server chooses the device */
  readonly udid?: string;
  release(): void;
}

/**
 * Who may have a session on which device. A second session on a device silently ends the first, whoever opened it, so each
 * is lent to one session at a time, in all processes of this machine, by a lock file in the system's folder for such.
 */
export class DeviceLeases {
  /** @param folder of the lock files */
  constructor(private readonly folder = join(tmpdir(), 'critiq-devices')) {}

  /**
   * A device of a list, if possible the one with the number of the slot.
   * @param host of the server: names are its own
   * @throws LockedError where other processes have all that are left; RunError where this one still has
   */
  take(host: string, udids: readonly string[], slot: number): DeviceLease {
    const own = slot % udids.length;
    const order = [...udids.slice(own), ...udids.slice(0, own)];
    let ours = false;
    const others: string[] = [];
    for (const udid of order) {
      const file = this.file(`${host} ${udid}`);
      try {
        const lock = Lock.acquire(file);
        return { udid, release: () => lock.release() };
      } catch (error) {
        if (!(error instanceof LockedError)) throw error;
        const holder = livingHolder(file);
        if (holder?.pid === process.pid && holder.host === hostname()) ours = true;
        else others.push(`${udid} (process ${holder?.pid ?? 'unknown'}, lock file ${file})`);
      }
    }
    if (ours) {
      const names = udids.length === 1 ? `device ${udids[0]}` : 'all devices that are left';
      throw new RunError(`${names} still used by this process: a session that is open, being opened or being closed`);
    }
    throw new LockedError(
      `device.webdriver.udids: in use by another critiq: ${others.join(', ')}; wait for it, or list other devices`,
    );
  }

  private file(key: string): string {
    mkdirSync(this.folder, { recursive: true });
    try {
      // others may use this machine as well,
      // and have to take over what a killed process of ours has left
      chmodSync(this.folder, 0o777);
    } catch {
      // it is another's, who has done so
    }
    const readable = key.replace(/[^\w.-]+/g, '_').slice(0, 80);
    const hash = createHash('sha256').update(key).digest('hex').slice(0, 8);
    return join(this.folder, `${readable}-${hash}.lock`);
  }
}
