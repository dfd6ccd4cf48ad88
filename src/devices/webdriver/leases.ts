import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunError } from '../../errors.js';
import { livingHolder, Lock, LockedError } from '../../data/store/lock.js';

/** The exclusive right to a session on a device. */
export interface DeviceLease {
  /** undefined: the server chooses the device */
  readonly udid?: string;
  release(): void;
}

/**
 * Lends each device to one session at a time, across all processes of this machine, since a second session on a device
 * silently ends the first. Each lease is a lock file in the system's folder for temporary files.
 */
export class DeviceLeases {
  /** @param folder of the lock files */
  constructor(private readonly folder = join(tmpdir(), 'critiq-devices')) {}

  /**
   * Leases a device of a list, if possible the one at the slot's index.
   * @param host of the server; device names are unique per host
   * @throws LockedError if other processes use all remaining devices; RunError if this process still uses one of them
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
      const names = udids.length === 1 ? `device ${udids[0]} is` : 'all remaining devices are';
      throw new RunError(`${names} still in use by this process: a session is open, being opened or being closed`);
    }
    throw new LockedError(
      `device.webdriver.udids: in use by another critiq: ${others.join(', ')}; wait until it ends, or list other devices`,
    );
  }

  private file(key: string): string {
    mkdirSync(this.folder, { recursive: true });
    try {
      // other users of this machine must be able to take over the locks of our killed processes
      chmodSync(this.folder, 0o777);
    } catch {
      // the folder belongs to another user, whose critiq has already done so
    }
    const readable = key.replace(/[^\w.-]+/g, '_').slice(0, 80);
    const hash = createHash('sha256').update(key).digest('hex').slice(0, 8);
    return join(this.folder, `${readable}-${hash}.lock`);
  }
}
