/** Attacks commands with a failing file system, in this process. */
import { faulty, type FaultKind } from './faults.js';
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { main } from '../../src/cli/main.js';
import type { Random } from '../../src/random.js';
import type { Registry } from '../../src/runner/registry.js';
import { contents, emptyFolder } from './process.js';

process.setMaxListeners(0);

export const KINDS: readonly FaultKind[] = ['ENOSPC', 'EIO', 'EROFS', 'EMFILE', 'short'];
/** Moments of each command and kind of fault. */
const MOMENTS = Number(process.env.CRITIQ_FAULT_MOMENTS ?? 2);

/** Runs a command in this process. @returns its exit code and what it said to stderr */
export async function command(registry: Registry, args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const own = process.stderr.write;
  let stderr = '';
  process.stderr.write = (piece: string | Uint8Array) => {
    stderr += String(piece);
    return true;
  };
  try {
    return { code: await main(args, registry), stderr };
  } finally {
    process.stderr.write = own;
  }
}

/** Results and what was replaced, whatever its number. */
function left(data: string): { results: Record<string, string>; kept: Set<string> } {
  const all = Object.entries(contents(data)).filter(([name]) => !name.endsWith('lock'));
  return {
    results: Object.fromEntries(all.filter(([name]) => !name.includes('.trash/'))),
    kept: new Set(all.filter(([name]) => !name.endsWith('entry.json')).map(([, digest]) => digest)),
  };
}

export async function attacked(
  t: TestContext,
  registry: Registry,
  before: string,
  args: (data: string) => string[],
  random: Random,
  kinds = KINDS,
  moments = MOMENTS,
): Promise<void> {
  const calm = emptyFolder(t);
  cpSync(before, calm, { recursive: true });
  const { code, stderr } = await command(registry, args(calm));
  assert.equal(code, 0, stderr);
  const expected = left(calm);
  for (const kind of kinds) {
    const probe = emptyFolder(t);
    cpSync(before, probe, { recursive: true });
    const { operations } = await faulty({ kind, after: Number.MAX_SAFE_INTEGER, folder: probe }, () =>
      command(registry, args(probe)),
    );
    assert.ok(operations > 0, `${kind}: nothing to meet`);
    for (let n = 0; n < (kind === 'short' ? 1 : moments); n++) {
      const data = emptyFolder(t);
      cpSync(before, data, { recursive: true });
      const after = kind === 'short' ? 0 : random.int(operations);
      const what = `${kind} at operation ${after} of ${operations} of ${args('').join(' ')}`;
      const { result, failed } = await faulty({ kind, after, folder: data }, () => command(registry, args(data)));
      assert.ok(failed > 0, what);
      checkTold(result, kind, data, what);
      // this process lives, so that the lock that it could not remove looks held
      for (const run of ['pocket', 'other']) rmSync(join(data, run, 'lock'), { force: true });
      const again = await command(registry, args(data));
      assert.equal(again.code, 0, `${what}: then ${again.stderr}`);
      const got = left(data);
      assert.deepEqual(got.results, expected.results, what);
      for (const digest of expected.kept) assert.ok(got.kept.has(digest), `${what}: a replaced result is lost`);
      rmSync(data, { recursive: true });
    }
  }
}

/** One line: what is wrong, which file, and what to do. */
export function checkTold(
  { code, stderr }: { code: number; stderr: string },
  kind: FaultKind,
  folder: string,
  what: string,
): void {
  const lines = stderr.split('\n').filter((line) => line.startsWith('critiq: '));
  assert.doesNotMatch(stderr, /unexpected error|\n {4}at /, what);
  // a line of a log or of metrics, or writes that were taken up again: the command did its work
  if (code === 0) return;
  assert.ok(kind !== 'short', `${what}: ${stderr}`);
  assert.ok(code === 1 || code === 2, `${what}: exit code ${code}: ${stderr}`);
  assert.equal(lines.length, 1, `${what}: ${stderr}`);
  assert.ok(lines[0].includes(folder), `${what}: does not say where: ${lines[0]}`);
  assert.ok(lines[0].includes(kind), `${what}: does not say what: ${lines[0]}`);
  assert.match(
    lines[0],
    /; (free|raise|check|give|make|run|delete|restore)/,
    `${what}: does not say what to do: ${lines[0]}`,
  );
}

/** A data folder on which a command has worked. */
export async function made(
  t: TestContext,
  registry: Registry,
  args: readonly string[],
  data = emptyFolder(t),
): Promise<string> {
  const { code, stderr } = await command(registry, [...args, `data=${data}`]);
  assert.equal(code, 0, stderr);
  return data;
}
