/**
 * A disk that fills up, breaks or becomes read-only, and too few open files, at any operation of any command: one line that
 * says what, where and what to do, nothing lost, and the next run ends in the same bytes.
 */
import { attacked, made } from '../rigs/attack.js';
import { faulty } from '../rigs/faults.js';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/random.js';
import { registry as growing } from '../rigs/growing.js';
import { emptyFolder } from '../rigs/process.js';
import { registry as rig } from '../rigs/stages.js';

test('a new run of three stages with checkpoints', async (t) => {
  await attacked(
    t,
    rig,
    emptyFolder(t),
    (data) => ['total', 'numbers.workers=1', `data=${data}`],
    new Random(1, 'new'),
  );
});

test('a result that is replaced, and kept', async (t) => {
  const before = await made(t, rig, ['total', 'numbers.workers=1']);
  await attacked(
    t,
    rig,
    before,
    (data) => ['total', 'squares.power=3', '--redo', `data=${data}`],
    new Random(2, 'redo'),
  );
});

test('results that grow, and that make way', async (t) => {
  const before = await made(t, growing, ['score', 'items.count=6']);
  const grow = (data: string): string[] => ['score', 'items.count=9', '--redo', `data=${data}`];
  await attacked(t, growing, before, grow, new Random(3, 'grow'));
  const larger = await made(t, growing, ['score', 'items.count=9']);
  await attacked(
    t,
    growing,
    larger,
    (data) => ['score', 'items.count=5', '--redo', `data=${data}`],
    new Random(4, 'cut'),
  );
});

test('the layer fails as it says', async (t) => {
  const folder = emptyFolder(t);
  assert.ok(!existsSync(join(folder, 'x')));
  const { writeAtomic } = await import('../../src/data/store/atomic.js');
  await assert.rejects(
    faulty({ kind: 'ENOSPC', after: 0, folder }, () => writeAtomic(join(folder, 'x'), 'text')),
    /x: the disk is full \(ENOSPC\); free/,
  );
  assert.ok(!existsSync(join(folder, 'x')));
  await faulty({ kind: 'short', after: 0, folder }, () => writeAtomic(join(folder, 'x'), 'a long text'));
  assert.equal(readFileSync(join(folder, 'x'), 'utf8'), 'a long text');
  const elsewhere = emptyFolder(t);
  await faulty({ kind: 'EROFS', after: 0, folder }, () => writeAtomic(join(elsewhere, 'x'), 'text'));
});
