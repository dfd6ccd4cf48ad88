/** A lock that is held on another machine ends by lease, and its holder notices. Other machines are other host names here. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { livingHolder, Lock, LockedError, LockLost, type Holder } from '../../../src/data/store/lock.js';
import { critiq, emptyFolder, start, until } from '../../rigs/process.js';

const MODULE = fileURLToPath(new URL('../../../src/data/store/lock.js', import.meta.url));
/** Long enough that a slow machine's timers do not miss it. */
const SHORT = { leaseMs: 3000, beatMs: 200 };

/** A process that holds the lock as another machine, and prints `held`. */
function elsewhere(t: TestContext, file: string, host: string): { child: ChildProcess; held: Promise<void> } {
  const script = `
    import { Lock } from ${JSON.stringify(MODULE)};
    const lock = Lock.acquire(${JSON.stringify(file)}, undefined, { host: '${host}', leaseMs: 3000, beatMs: 200 });
    console.log('held');
    setInterval(() => {
      try { lock.hold(); } catch (error) { console.log(error.name); process.exit(error.name === 'LockLost' ? 3 : 4); }
    }, 50);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return { child, held: new Promise((resolve) => child.stdout.once('data', () => resolve())) };
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on('close', resolve));
}

test('the lock of a living process elsewhere stays; when its machine dies, it ends by lease', async (t) => {
  const file = join(emptyFolder(t), 'lock');
  const { child, held } = elsewhere(t, file, 'far');
  await held;
  await sleep(SHORT.leaseMs * 1.3); // longer than the lease: the holder gives signs of life
  assert.throws(() => Lock.acquire(file, undefined, SHORT), {
    name: 'LockedError',
    message: /in use by process \d+ on far, whose last sign of life was \d+ s ago; .* the folder is free in [123] s$/,
  });
  child.kill('SIGKILL');
  await ended(child);
  assert.throws(() => Lock.acquire(file, undefined, SHORT), LockedError, 'the lease still runs');
  let former: Holder | undefined;
  let lock: Lock | undefined;
  await until(
    () => {
      try {
        lock = Lock.acquire(file, (holder) => (former = holder), SHORT);
      } catch (error) {
        assert.ok(error instanceof LockedError, String(error));
      }
      return lock !== undefined;
    },
    'the lease ends',
    30,
  );
  assert.equal(former?.host, 'far');
  lock!.release();
  assert.deepEqual(readdirSync(join(file, '..')), []);
});

test('a holder that wakes up after its lease finds the lock lost, and does not touch that of its successor', async (t) => {
  const file = join(emptyFolder(t), 'lock');
  const { child, held } = elsewhere(t, file, 'far');
  await held;
  child.kill('SIGSTOP');
  await sleep(SHORT.leaseMs + 500);
  const lock = Lock.acquire(file, undefined, { host: 'near', leaseMs: 60_000, beatMs: 200 });
  const content = readFileSync(file, 'utf8');
  child.kill('SIGCONT');
  assert.equal(await ended(child), 3, 'LockLost');
  assert.equal(readFileSync(file, 'utf8'), content);
  lock.hold();
  lock.release();
  assert.equal(existsSync(file), false);
});

test('holders that sleep at the wrong moment: what is written after `hold` is never written by two', async (t) => {
  const folder = emptyFolder(t);
  const [file, count] = [join(folder, 'lock'), join(folder, 'count')];
  writeFileSync(count, '0');
  const script = (host: string): string => `
    import { Lock, LockedError, LockLost } from ${JSON.stringify(MODULE)};
    import { readFileSync, writeFileSync } from 'node:fs';
    const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const done = { written: 0, lost: 0 };
    for (let rounds = 0; rounds < 4; ) {
      try {
        const lock = Lock.acquire(${JSON.stringify(file)}, undefined, { host: '${host}', leaseMs: 1000, beatMs: 1e6 });
        rounds++;
        const count = Number(readFileSync(${JSON.stringify(count)}, 'utf8'));
        sleep(rounds % 2 ? 20 : 1000 + 300 * Math.random()); // around the end of the lease
        try {
          lock.hold();
          writeFileSync(${JSON.stringify(count)}, String(count + 1));
          done.written++;
        } catch (error) {
          if (!(error instanceof LockLost)) throw error;
          done.lost++;
        }
        lock.release();
      } catch (error) {
        if (!(error instanceof LockedError)) throw error;
      }
      sleep(20);
    }
    console.log(JSON.stringify(done));`;
  const all = await Promise.all(
    ['a', 'b', 'c'].map(async (host) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script(host)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      child.stdout.on('data', (piece: Buffer) => (out += String(piece)));
      assert.equal(await ended(child), 0);
      return JSON.parse(out) as { written: number; lost: number };
    }),
  );
  const sum = (of: 'written' | 'lost'): number => all.reduce((sum, one) => sum + one[of], 0);
  assert.equal(sum('written') + sum('lost'), 12);
  assert.equal(Number(readFileSync(count, 'utf8')), sum('written'));
});

test('the clocks of the machines do not matter: ages are by the time of the file server', (t) => {
  const folder = emptyFolder(t);
  const file = join(folder, 'lock');
  const now = Date.now;
  t.after(() => (Date.now = now));
  const holder = Lock.acquire(file, undefined, { host: 'far', leaseMs: 60_000, beatMs: 1e6 });
  for (const days of [-400, 400]) {
    Date.now = () => now() + days * 86_400_000;
    assert.throws(() => Lock.acquire(file, undefined, { host: 'near' }), LockedError);
  }
  Date.now = now;
  holder.release();
});

test('many processes of several machines find a lease that has ended: exactly one at a time gets the lock', async (t) => {
  const folder = emptyFolder(t);
  const file = join(folder, 'lock');
  writeFileSync(file, JSON.stringify({ pid: 4, started: '', host: 'gone', running: '', token: 'x', lease: 1000 }));
  utimesSync(file, 1e9, 1e9);
  const script = (host: string): string => `
    import { Lock, LockedError } from ${JSON.stringify(MODULE)};
    import { appendFileSync, mkdirSync, rmdirSync } from 'node:fs';
    const [file, inside] = ${JSON.stringify([file, join(folder, 'inside')])};
    for (let n = 0; n < 2000; n++) {
      try {
        const took = [];
        const lock = Lock.acquire(file, ({ host }) => took.push(host), { host: '${host}' });
        mkdirSync(inside);
        for (const host of took) appendFileSync(${JSON.stringify(join(folder, 'taken'))}, host + '\\n');
        lock.hold();
        rmdirSync(inside);
        lock.release();
        process.exit(0);
      } catch (error) {
        if (!(error instanceof LockedError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    process.exit(9);`;
  const codes = await Promise.all(
    ['a', 'b', 'c', 'a', 'b', 'c'].map((host) =>
      ended(spawn(process.execPath, ['--input-type=module', '-e', script(host)], { stdio: ['ignore', 'ignore', 'inherit'] })),
    ),
  );
  assert.deepEqual(codes, Array(6).fill(0));
  assert.deepEqual(readdirSync(folder), ['taken'], 'no other file is left');
  assert.equal(readFileSync(join(folder, 'taken'), 'utf8'), 'gone\n', 'taken over once');
});

test('a container with the same host name is another place', (t) => {
  const file = join(emptyFolder(t), 'lock');
  const lock = Lock.acquire(file, undefined, { space: 'another container' });
  assert.throws(() => Lock.acquire(file), /in use by process \d+ on .+, whose last sign of life/);
  lock.release();
});

test('a command that loses its run stops with one line and commits nothing more', async (t) => {
  const cwd = emptyFolder(t);
  const run = join(cwd, 'data/pocket');
  const first = start(['numbers', 'numbers.workers=1'], { cwd, delayMs: 400 });
  t.after(() => first.child.kill('SIGKILL'));
  await until(() => livingHolder(join(run, 'lock'))?.running === 'numbers', 'numbers runs', 60);
  first.child.kill('SIGSTOP');
  // another machine finds the lease ended: for it, this lock is of a host that cannot be looked up
  const file = join(run, 'lock');
  utimesSync(file, 1e9, 1e9);
  const lock = Lock.acquire(file, undefined, { host: 'near' });
  const manifest = join(run, 'numbers/_manifest.jsonl');
  const before = existsSync(manifest) ? readFileSync(manifest, 'utf8') : '';
  first.child.kill('SIGCONT');
  const { code, stderr } = await first.ended;
  assert.equal(code, 1, stderr);
  assert.match(
    stderr.trimEnd().split('\n').at(-1)!,
    /^critiq: .*data\/pocket: stopped, because this process gave no sign of life for 180 s or more, and process \d+ on near works there now; finished work is kept$/,
  );
  assert.equal(existsSync(manifest) ? readFileSync(manifest, 'utf8') : '', before);
  lock.hold();
  assert.equal((await critiq(['numbers'], { cwd })).code, 75, 'the other machine still works there');
  lock.release();
  assert.equal((await critiq(['numbers', 'numbers.workers=1'], { cwd })).code, 0);
  assert.equal(new LockLost('x').name, 'LockLost');
});
