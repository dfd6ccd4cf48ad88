/** Runs critiq, or the pipeline of stages.ts, as a process of its own in an empty folder. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Random } from '../../src/random.js';

const PROGRAM = fileURLToPath(new URL('./stages.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly killed: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface Where {
  cwd: string;
  delayMs?: number;
  program?: string;
}

/** A new empty folder, removed after the test. */
export function emptyFolder(t: { after(fn: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'critiq-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function start(args: readonly string[], { cwd, delayMs = 0, program = PROGRAM }: Where): Started {
  const env = { ...process.env, CRITIQ_TEST_DELAY_MS: String(delayMs), NODE_TEST_CONTEXT: '' };
  const child = spawn(process.execPath, [program, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (piece: Buffer) => (stdout += String(piece)));
  child.stderr.on('data', (piece: Buffer) => (stderr += String(piece)));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, killed) => resolve({ code, killed, stdout, stderr }));
  });
  return { child, ended };
}

export async function critiq(args: readonly string[], where: Where): Promise<Ended> {
  return start(args, where).ended;
}

/** Like `critiq`, but the process must exit with code 0. */
export async function succeed(args: readonly string[], where: Where): Promise<Ended> {
  const result = await critiq(args, where);
  assert.equal(result.code, 0, result.stderr);
  return result;
}

/**
 * Runs a command repeatedly and kills it (SIGKILL) at a random moment each time, until it finishes or was killed `most`
 * times. The moments are parts of the time that the command takes undisturbed on this machine, so a fast machine kills as
 * often as a slow one: the first three together are shorter than the whole. They grow, so that every machine makes progress.
 * @param calmMs how long the same command took undisturbed, just before
 * @returns the number of kills
 */
export async function killedAgainAndAgain(
  args: readonly string[],
  where: Where,
  { most, calmMs, random }: { most: number; calmMs: number; random: Random },
): Promise<number> {
  for (let kills = 0; kills < most; kills++) {
    const { child, ended } = start(args, where);
    const timer = setTimeout(() => child.kill('SIGKILL'), calmMs * (0.12 + 0.03 * kills + 0.16 * random.next()));
    const { killed, code, stderr } = await ended;
    clearTimeout(timer);
    if (killed) continue;
    assert.equal(code, 0, stderr);
    return kills;
  }
  return most;
}

/** Like `succeed`; returns how many milliseconds the command took. */
export async function timed(args: readonly string[], where: Where): Promise<number> {
  const begin = performance.now();
  await succeed(args, where);
  return performance.now() - begin;
}

/** Waits up to 10 s until a condition holds. */
export async function until(holds: () => boolean, what: string, seconds = 10): Promise<void> {
  for (let n = 0; n < seconds * 100; n++) {
    if (holds()) return;
    await sleep(10);
  }
  assert.fail(`never happened: ${what}`);
}

/** What differs from run to run: the log, and the TensorBoard events, which say when. `run.json` names the checkout's commit. */
const WALL_CLOCK = /(^|\/)(\.log\/.*|run\.json|[^/]*\.?tfevents[^/]*)$/;

/** The files below a folder with a digest of their bytes, without those that differ from run to run. */
export function contents(folder: string): Record<string, string> {
  if (!existsSync(folder)) return {};
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    // what a run keeps aside is no part of its results
    .filter((name) => !WALL_CLOCK.test(name) && !name.startsWith('.spare/') && !name.includes('/.spare/'))
    .sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha1')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]),
  );
}

/** Asserts that a process failed with this code and one line of error output that matches. */
export function failedInOneLine({ code, stderr }: Ended, expected: number, line: RegExp): void {
  assert.equal(code, expected, stderr);
  assert.match(stderr, /^critiq: [^\n]+\n$/, 'one line');
  assert.match(stderr, line);
}
