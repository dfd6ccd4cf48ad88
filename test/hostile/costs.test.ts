/** No input costs more than its size allows, and each is refused in one line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HOSTILE, type Cost } from '../rigs/hostile.js';
import { critiq } from '../rigs/process.js';

const PROGRAM = fileURLToPath(new URL('../rigs/hostile.js', import.meta.url));
/** A second and 200 MB are meant; a loaded machine and the garbage of the kinds before get some more. */
const MOST_CPU_MS = 8000;
const MOST_MB = 300;

test('hostile files are refused in one line, at once and in little memory', async () => {
  const { code, stdout, stderr } = await critiq([], { cwd: process.cwd(), program: PROGRAM });
  assert.equal(code, 0, stderr);
  const costs = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Cost);
  assert.deepEqual(
    costs.map(({ kind }) => kind),
    HOSTILE.map(({ kind }) => kind),
  );
  for (const [i, { kind, cpuMs, growthMb, error, message }] of costs.entries()) {
    const { refused } = HOSTILE[i];
    const told = `${kind}: ${error}: ${message}`;
    if (refused) {
      assert.equal(error, 'UserError', told);
      assert.match(message!, refused, told);
      // the settings tell several mistakes, a line each
      assert.ok(message!.length < 10_000, told);
      // eslint-disable-next-line no-control-regex
      assert.doesNotMatch(message!, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/, told);
    } else assert.equal(error, null, told);
    assert.ok(cpuMs < MOST_CPU_MS, `${kind}: ${cpuMs} ms`);
    assert.ok(growthMb < MOST_MB, `${kind}: ${growthMb} MB`);
  }
});
