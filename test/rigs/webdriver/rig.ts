import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Action } from '../../../src/data/action.js';
import type { Task } from '../../../src/data/task.js';
import { phoneTasks } from '../../../src/devices/phone/index.js';
import { WebDriverFleet } from '../../../src/devices/webdriver/fleet.js';
import { DeviceLeases } from '../../../src/devices/webdriver/leases.js';
import { SessionRecords } from '../../../src/devices/webdriver/records.js';
import { WebDriverSettings } from '../../../src/devices/webdriver/settings.js';
import type { WebDriverDevice } from '../../../src/devices/webdriver/webdriver.js';
import type { ScriptedServer } from './server.js';

/** A deadline for calls that should succeed even on a busy machine. */
export const PATIENT = { deadlineMs: 30_000 };

export const TASKS: readonly Task[] = phoneTasks({ set: 'general', split: 'train', count: 40, seed: 1 });
export const EPISODE = { task: TASKS[0], seed: 7, ...PATIENT };

/** Settings that give the scripted server's phones their tasks and ask for the result. */
export const BY_COMMANDS = {
  prepare: [{ script: 'test: begin', args: { task: '{task}', seed: '{seed}' } }],
  reward: { script: 'test: achieved', args: {} },
};

/** Settings without waits that a test does not need. */
export function settingsOf(server: { url: string }, others: object = {}): WebDriverSettings {
  const brisk = { url: server.url, settle_ms: 0, blank_ms: 0, server_ms: 500, session_ms: 10_000 };
  return WebDriverSettings.parse({ ...brisk, ...others });
}

/** Separate leases and session records for a test, in a temporary folder. */
export function someLeases(t: { after(fn: () => unknown): void }) {
  const folder = mkdtempSync(join(tmpdir(), 'critiq-leases-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const leases = new DeviceLeases(join(folder, 'leases'));
  return { folder, leases, records: new SessionRecords(join(folder, 'sessions')) };
}

type Context = { after(fn: () => unknown): void };

export function fleetOf(
  t: Context,
  server: { url: string },
  settings: object = {},
  env: NodeJS.ProcessEnv = {},
): WebDriverFleet {
  return new WebDriverFleet(settingsOf(server, settings), { env, ...someLeases(t) });
}

/** A device of the scripted server, reset for an episode. */
export async function deviceOf(t: Context, server: ScriptedServer, settings: object = {}): Promise<WebDriverDevice> {
  const device = await fleetOf(t, server, { ...BY_COMMANDS, ...settings }).open(0);
  t.after(() => device.close());
  await device.reset('app', EPISODE);
  return device;
}

/** A tap on a pixel of the embedded phone's screen of 270 × 585. */
export function tapAt(x: number, y: number): Action {
  const point = [(y + 0.5) / 585, (x + 0.5) / 270] as const;
  return { type: 'DUAL_POINT', touch: point, lift: point };
}

/** critiq's warnings while `work` ran. */
export async function warnings(work: () => Promise<unknown>): Promise<string[]> {
  const messages: string[] = [];
  const listen = (warning: Error & { code?: string }): void => {
    if (warning.code?.startsWith('CRITIQ_')) messages.push(warning.message);
  };
  process.on('warning', listen);
  try {
    await work();
    // warnings are emitted in the next turn
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('warning', listen);
  }
  return messages;
}

/** Polls until a condition holds. @throws after a minute */
export async function until(what: string, so: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !so();) {
    if (performance.now() > end) throw new Error(`not reached within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
