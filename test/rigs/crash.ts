/** A kill -9 inside this process: after a number of changes to the file system, that one and all later ones fail. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Thrown by every change to the file system after the crash. */
export class Crash extends Error {
  override name = 'Crash';
}

const SYNC = [
  'renameSync',
  'rmSync',
  'linkSync',
  'cpSync',
  'mkdirSync',
  'writeSync',
  'writeFileSync',
  'copyFileSync',
] as const;
const ASYNC = ['rename', 'rm', 'open'] as const;
type Changes = Record<string, (...args: unknown[]) => unknown>;

/** Changes that still succeed; undefined: no crash is planned. */
let left: number | undefined;

function change(): void {
  if (left === undefined) return;
  if (left === 0) throw new Crash('killed');
  left -= 1;
}

// once and for good: other modules may keep the functions that they see
const [sync, promises] = [fs as unknown as Changes, fs.promises as unknown as Changes];
for (const name of SYNC) {
  const own = sync[name];
  sync[name] = (...args) => (change(), own(...args));
}
for (const name of ASYNC) {
  const own = promises[name];
  promises[name] = async (...args) => {
    // reading goes on
    if (name !== 'open' || args[1] !== 'r') change();
    const result = await own(...args);
    // waiting for the disk is of no use here: the machine does not lose power
    if (name === 'open') (result as { sync: () => Promise<void> }).sync = () => Promise.resolve();
    return result;
  };
}
syncBuiltinESMExports();

/**
 * Runs work that dies at a change to the file system, after so many that succeed. What it does to clean up afterwards does
 * not happen either, as in a process that is killed.
 * @returns whether it died; false: it ended before
 */
export async function crashing(after: number, work: () => Promise<unknown>): Promise<boolean> {
  left = after;
  try {
    await work();
    return false;
  } catch (error) {
    if (left > 0) throw error;
    return true;
  } finally {
    left = undefined;
  }
}
