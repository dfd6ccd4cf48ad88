/** Only one process at a time may use a run folder. The lock of a dead process is taken over. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Holder, livingHolder, Lock, LockedError } from '../../../src/data/store/lock.js';
import { contents, critiq, emptyFolder, failedInOneLine, start, succeed, until } from '../../rigs/process.js';

test('a second start exits with 75 while the first runs, and does not disturb it', async (t) => {
  const cwd = emptyFolder(t);
  const first = start(['total'], { cwd, delayMs: 150 });
  await until(() => livingHolder(join(cwd, 'data/pocket/lock'))?.running === 'numbers', 'numbers runs');
  // a stopped process is alive, but cannot finish while the others run
  first.child.kill('SIGSTOP');
  t.after(() => first.child.kill('SIGKILL'));
  failedInOneLine(
    await critiq(['squares'], { cwd }),
    75,
    /data\/pocket: in use by process \d+ \(numbers\); wait for it/,
  );
  const rows = JSON.parse((await succeed(['status', '--json'], { cwd })).stdout) as {
    instance: string;
    state: string;
  }[];
  assert.equal(rows.find((row) => row.instance === 'numbers')?.state, 'running');
  assert.equal((await critiq(['numbers', 'run=elsewhere'], { cwd })).code, 0, 'another run folder is free');
  first.child.kill('SIGCONT');
  assert.equal((await first.ended).code, 0);
  const calm = emptyFolder(t);
  await succeed(['total'], { cwd: calm });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
});

test('the lock of a killed process is taken over, with a message', async (t) => {
  const cwd = emptyFolder(t);
  const first = start(['numbers'], { cwd, delayMs: 300 });
  await until(() => existsSync(join(cwd, 'data/pocket/lock')), 'the lock');
  first.child.kill('SIGKILL');
  await first.ended;
  const { stderr } = await succeed(['numbers'], { cwd });
  assert.match(stderr, new RegExp(`data/pocket/lock: taken over from process ${first.child.pid}, which has ended\\n`));
  assert.equal(existsSync(join(cwd, 'data/pocket/lock')), false);
});

test('a process that reuses the pid of a dead holder does not count as the holder', (t) => {
  const file = join(emptyFolder(t), 'lock');
  const holder: Holder = { pid: process.pid, started: 'another boot 12', host: hostname(), running: '' };
  writeFileSync(file, JSON.stringify(holder));
  let taken = 0;
  Lock.acquire(file, () => taken++).release();
  assert.equal(taken, 1);
});

test('temporary files of dead processes next to the lock are removed, those of living ones stay', (t) => {
  const folder = emptyFolder(t);
  const file = join(folder, 'lock');
  const holder: Holder = { pid: process.pid, started: 'another boot 12', host: hostname(), running: '' };
  const names = ['lock.123.tmp', 'lock.123-abcd.tmp', 'lock.takeover', 'lock.takeover.123-abcd.tmp'];
  for (const name of names) writeFileSync(join(folder, name), JSON.stringify(holder));
  writeFileSync(join(folder, 'lock.4-ef.tmp'), JSON.stringify({ ...holder, host: 'elsewhere' }));
  // empty, and no process has this pid
  writeFileSync(join(folder, 'lock.4194999-ab.tmp'), '');
  const living = `lock.${process.pid}-cd.tmp`;
  writeFileSync(join(folder, living), '');
  Lock.acquire(file).release();
  assert.deepEqual(readdirSync(folder).sort(), [living, 'lock.4-ef.tmp'].sort());
});

test('a lock of another host, and a file that is not a lock, are never taken over', (t) => {
  const folder = emptyFolder(t);
  const file = join(folder, 'lock');
  writeFileSync(file, JSON.stringify({ pid: 1, started: '', host: 'elsewhere', running: 'critic' }));
  assert.throws(() => Lock.acquire(file), {
    name: 'LockedError',
    message: /process 1 on elsewhere \(critic\); wait for it, or delete/,
  });
  writeFileSync(file, 'mine');
  assert.throws(() => Lock.acquire(file), { name: 'LockedError', message: /not a lock file of critiq; delete it if/ });
  assert.equal(readFileSync(file, 'utf8'), 'mine');
});

test('if many processes find the same dead lock, only one at a time gets it', async (t) => {
  const folder = emptyFolder(t);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'lock');
  writeFileSync(file, JSON.stringify({ pid: 4, started: 'long ago', host: hostname(), running: '' }));
  const lock = fileURLToPath(new URL('../../../src/data/store/lock.js', import.meta.url));
  // Each holds the lock briefly and fails if another process holds it at the same time.
  const script = `
    import { Lock, LockedError } from ${JSON.stringify(lock)};
    import { mkdirSync, rmdirSync } from 'node:fs';
    for (let n = 0; n < 400; n++) {
      try {
        const lock = Lock.acquire(${JSON.stringify(file)});
        mkdirSync(${JSON.stringify(join(folder, 'inside'))});
        rmdirSync(${JSON.stringify(join(folder, 'inside'))});
        lock.release();
        process.exit(0);
      } catch (error) {
        if (!(error instanceof LockedError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    process.exit(9);`;
  const codes = await Promise.all(
    Array.from({ length: 8 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      return new Promise((resolve) => child.on('close', resolve));
    }),
  );
  assert.deepEqual(codes, Array(8).fill(0));
  assert.deepEqual(readdirSync(folder), [], 'no file is left');
});

test('a held lock cannot be acquired again in the same process', (t) => {
  const file = join(emptyFolder(t), 'lock');
  const lock = Lock.acquire(file);
  assert.throws(() => Lock.acquire(file), LockedError);
  lock.release();
  Lock.acquire(file).release();
});
