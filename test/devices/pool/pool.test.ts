/** The device pool: leases, deadlines, pauses and replacements, slots given up, and a clean end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device } from '../../../src/devices/device.js';
import type { Task } from '../../../src/data/task.js';
import { DeviceFault } from '../../../src/devices/pool/guard.js';
import { Phone, phoneTasks } from '../../../src/devices/phone/index.js';
import { DevicePool, type PoolEvent, type PoolOptions } from '../../../src/devices/pool/pool.js';
import { RunError, UserError } from '../../../src/errors.js';
import { FakeClock, settle } from '../../rigs/fake-clock.js';

const [task] = phoneTasks({ set: 'webshop', split: 'train', count: 1, seed: 1 });
const episode = { task: task as Task, seed: 1, deadlineMs: 1000 };
const soon = { deadlineMs: 1000 };
const forEver = (): Promise<never> => new Promise(() => undefined);

/** A pool of phones in fake time, with records of what it opened, closed and logged. */
function poolOf(
  count: number,
  options: Partial<PoolOptions> = {},
  alter: (phone: Phone, made: number) => Device = (p) => p,
) {
  const clock = new FakeClock();
  const made: string[] = [];
  const closed: string[] = [];
  const events: PoolEvent[] = [];
  const pool = new DevicePool({
    count,
    open: async (slot) => {
      const name = `phone-${slot}-${made.filter((id) => id.startsWith(`phone-${slot}-`)).length}`;
      made.push(name);
      const phone = new Phone(name);
      const device = alter(phone, made.length - 1);
      const close = device.close.bind(device);
      device.close = async () => {
        closed.push(name);
        await close();
      };
      return device;
    },
    seed: 3,
    clock,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { pool, clock, made, closed, events };
}

const broken = (phone: Phone, replace: Partial<Device>): Device => Object.assign(phone, replace);

test('devices are opened when first needed, lent in turn, and closed with the pool', async () => {
  const { pool, clock, made, closed } = poolOf(3);
  assert.deepEqual(made, []);
  const first = await pool.lease();
  assert.deepEqual(made, ['phone-0-0']);
  first.release('fine');
  const again = await pool.lease();
  assert.deepEqual(made, ['phone-0-0'], 'a free device is used before another is opened');
  const [second, third] = await Promise.all([pool.lease(), pool.lease()]);
  assert.deepEqual(
    [again, second, third].map(({ device }) => device.id),
    ['phone-0-0', 'phone-1-0', 'phone-2-0'],
  );
  assert.deepEqual(pool.status, { working: 3, free: 0, opening: 0, resting: 0, givenUp: 0 });
  const order: string[] = [];
  const waiting = ['a', 'b'].map((name) => pool.lease().then((lease) => (order.push(name), lease)));
  await settle();
  assert.deepEqual(order, []);
  third.release('fine');
  third.release('fine');
  await settle();
  assert.deepEqual(order, ['a'], 'the first request; a second release has no effect');
  again.release('fine');
  await Promise.all(waiting);
  await pool.close();
  assert.deepEqual(closed.sort(), made.sort());
  assert.equal(clock.pending, 0, 'no timer is left');
  await assert.rejects(pool.lease(), { name: 'RunError', message: /closed/ });
});

test('a request can time out or be aborted, and the next one is served', async () => {
  const { pool, clock } = poolOf(1);
  const only = await pool.lease();
  const stop = new AbortController();
  const late = assert.rejects(pool.lease({ timeoutMs: 500 }), {
    name: 'RunError',
    message: 'no device was free within 500 ms: 1 of 1 in use, 0 being opened, 0 pausing after a failure, 0 given up',
  });
  const stopped = assert.rejects(pool.lease({ signal: stop.signal }), /enough/);
  const patient = pool.lease();
  stop.abort(new Error('enough'));
  await stopped;
  await clock.advance(500);
  await late;
  only.release('fine');
  (await patient).release('fine');
  await pool.close();
});

test('a hung call ends by its deadline, its device is replaced, and late answers are ignored', async () => {
  let answer: ((frame: Awaited<ReturnType<Phone['screenshot']>>) => void) | undefined;
  const { pool, clock, made, closed, events } = poolOf(1, { graceMs: 200 }, (phone, n) =>
    n === 0 ? broken(phone, { screenshot: () => new Promise((resolve) => (answer = resolve)) }) : phone,
  );
  const lease = await pool.lease();
  await lease.device.reset('app', episode);
  const call = lease.device.screenshot(soon);
  const failed = assert.rejects(call, (error) => {
    assert.ok(error instanceof DeviceFault && error instanceof RunError);
    assert.equal(error.message, 'device phone-0-0: screenshot: no answer in 1000 ms and 200 ms of grace');
    return true;
  });
  await clock.advance(1199);
  assert.equal(lease.device.fault, undefined);
  await clock.advance(1);
  await failed;
  answer!({ width: 1, height: 1, rgba: new Uint8ClampedArray(4) });
  await assert.rejects(lease.device.act({ type: 'PRESS_HOME' }, soon), DeviceFault, 'the device is not called again');
  lease.release('fine');
  assert.equal(pool.status.resting, 1, 'a device with a fault counts as faulty even if released as fine');
  const next = await clock.until(pool.lease());
  assert.equal(next.device.id, 'phone-0-1');
  await next.device.reset('app', episode);
  assert.equal((await next.device.screenshot(soon)).width, 270);
  next.release('fine');
  assert.deepEqual(closed, ['phone-0-0']);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['failed', 'refilled'],
  );
  await pool.close();
  assert.deepEqual(closed, made);
  assert.equal(clock.pending, 0);
});

test('an answer within the grace period counts, and an answered call leaves no timer', async () => {
  let answer: (() => void) | undefined;
  const { pool, clock } = poolOf(1, { graceMs: 200 }, (phone) =>
    broken(phone, {
      act: () => new Promise((resolve) => (answer = () => resolve({ applied: 'yes' }))),
    }),
  );
  const lease = await pool.lease();
  const timers = clock.pending;
  const call = lease.device.act({ type: 'PRESS_HOME' }, soon);
  await clock.advance(1150);
  answer!();
  assert.deepEqual(await call, { applied: 'yes' });
  assert.equal(clock.pending, timers);
  await clock.advance(10_000);
  assert.equal(lease.device.fault, undefined);
  lease.release('fine');
  assert.equal(pool.status.free, 1);
  await pool.close();
});

test('the pauses of a failing slot grow to a limit, and after enough failures in a row it is given up', async () => {
  const { pool, clock, made, events } = poolOf(2, { restMs: 1000, longestRestMs: 3000, giveUpAfter: 5 });
  const [failing, other] = await Promise.all([pool.lease(), pool.lease()]);
  failing.release('faulty', 'made to');
  for (let i = 0; i < 4; i++) (await clock.until(pool.lease())).release('faulty', 'made to');
  const rests = restsOf(events);
  assert.equal(rests.length, 4);
  [1000, 2000, 3000, 3000].forEach((most, i) =>
    assert.ok(rests[i] >= most / 2 && rests[i] <= most, `pause of ${rests[i]} ms`),
  );
  assert.equal(
    clock.now(),
    rests.reduce((sum, ms) => sum + ms, 0),
    'the pool waits for each pause',
  );
  assert.equal(events.at(-1)!.line, 'device 0: given up after 5 failures in a row; last reason: made to');
  assert.equal(made.filter((id) => id.startsWith('phone-0-')).length, 5);
  assert.deepEqual(pool.status, { working: 1, free: 0, opening: 0, resting: 0, givenUp: 1 });
  const waiting = pool.lease();
  other.release('fine');
  assert.equal((await waiting).slot, 1, 'the other slot still works');
  await pool.close();
});

test('a successful episode resets the count of failures; slots have different pauses', async () => {
  const { pool, clock, events } = poolOf(1, { restMs: 1000, giveUpAfter: 3 });
  for (const condition of ['faulty', 'faulty', 'fine', 'faulty', 'faulty'] as const) {
    (await clock.until(pool.lease())).release(condition);
  }
  const [first, second, third, fourth] = restsOf(events);
  assert.ok(first <= 1000 && second >= 1000 && third <= 1000 && fourth >= 1000);
  assert.notEqual(first, third);
  assert.equal(pool.status.resting, 1);
  await pool.close();
  const same = poolOf(2, { restMs: 1000 });
  for (const lease of await Promise.all([same.pool.lease(), same.pool.lease()])) lease.release('faulty');
  const [a, b] = restsOf(same.events);
  assert.equal(a, first, 'the seed decides the pause');
  assert.notEqual(a, b);
  await same.pool.close();
});

const restsOf = (events: readonly PoolEvent[]): number[] =>
  events.filter(({ kind }) => kind === 'failed').map(({ line }) => Number(/after (\d+) ms/.exec(line)![1]));

test('when all slots are given up, every request gets the same clear error', async () => {
  const { pool, clock, events } = poolOf(3, {
    giveUpAfter: 2,
    open: async (slot) => {
      throw new Error(`no\nemulator \u001b[31m5554\u001b[0m: ${slot === 2 ? 'no disk' : 'no memory'}`);
    },
  });
  const message =
    'all 3 devices were given up, each after 2 failures in a row: cannot be opened: no emulator 5554: no memory; cannot be opened: no emulator 5554: no disk';
  const waiting = [pool.lease(), pool.lease(), pool.lease()].map((lease) =>
    assert.rejects(lease, { name: 'RunError', message }),
  );
  await clock.until(Promise.all(waiting));
  await assert.rejects(pool.lease(), { message });
  assert.equal(events.filter(({ kind }) => kind === 'given up').length, 3);
  await pool.close();
  assert.equal(clock.pending, 0);
});

test('a UserError from opening a device ends the pool at once, with its message', async () => {
  const { pool, clock } = poolOf(4, {
    open: async () => {
      throw new UserError('device.chromium=/nowhere: no such file');
    },
  });
  const waiting = [pool.lease(), pool.lease()];
  for (const lease of waiting) await assert.rejects(lease, { name: 'UserError', message: /nowhere/ });
  await assert.rejects(pool.lease(), UserError);
  await pool.close();
  assert.equal(clock.pending, 0);
});

test('a fault names its device and call once, in one line of bounded length', async () => {
  for (const [message, reason] of [
    ['phone-0-0: act: the page crashed', 'the page crashed'],
    ['two\nlines', 'two lines'],
    ['long '.repeat(1000), `${'long '.repeat(60)}...`],
  ]) {
    const { pool } = poolOf(1, {}, (phone) => broken(phone, { act: () => Promise.reject(new Error(message)) }));
    const lease = await pool.lease();
    await assert.rejects(lease.device.act({ type: 'PRESS_HOME' }, soon), {
      message: `device phone-0-0: act: ${reason}`,
    });
    await pool.close();
  }
});

test('a UserError from a call is not a fault of the device', async () => {
  const { pool } = poolOf(1);
  const lease = await pool.lease();
  await assert.rejects(lease.device.reset('app', { ...episode, task: { ...task, goal: { kind: 'fly' } } }), UserError);
  lease.release('fine');
  assert.equal(pool.status.free, 1);
  await pool.close();
});

test('a device that opens too slowly is replaced, and closed if it opens after all', async () => {
  let late: (() => void) | undefined;
  const slow = new Phone('slow');
  let closed = 0;
  slow.close = async () => void closed++;
  const { pool, clock } = poolOf(1, {
    openMs: 5000,
    open: (slot) =>
      late ? Promise.resolve(new Phone(`quick-${slot}`)) : new Promise((resolve) => (late = () => resolve(slow))),
  });
  const lease = await clock.until(pool.lease());
  assert.equal(lease.device.id, 'quick-0');
  assert.ok(clock.now() > 5000);
  late!();
  await settle();
  assert.equal(closed, 1);
  await pool.close();
  assert.equal(clock.pending, 0);
});

test('a lease without a sign of life expires; heartbeats, calls and waits keep it alive', async () => {
  const { pool, clock, events } = poolOf(1, { leaseMs: 1000 });
  const lease = await pool.lease();
  for (let i = 0; i < 3; i++) {
    await clock.advance(900);
    lease.heartbeat();
  }
  await clock.advance(900);
  await lease.device.reset('app', episode);
  let think: ((text: string) => void) | undefined;
  const thought = lease.during(new Promise<string>((resolve) => (think = resolve)));
  await clock.advance(60_000);
  think!('tap');
  assert.equal(await thought, 'tap');
  assert.deepEqual(events, []);
  const next = pool.lease();
  const taken = await clock.until(next);
  assert.deepEqual(
    events.map(({ kind, line }) => [kind, line]),
    [['expired', 'device 0: the holder gave no sign of life in 1000 ms']],
  );
  assert.equal(taken.device.id, lease.device.id, 'the device itself is healthy');
  await assert.rejects(
    lease.device.act({ type: 'PRESS_HOME' }, soon),
    /no sign of life/,
    'the expired lease cannot act',
  );
  lease.release('faulty');
  assert.equal(pool.status.working, 1, 'nor return the device');
  await pool.close();
});

test('Ctrl-C ends waits, calls and leases at once, and closes all devices within the limit', async () => {
  const stop = new AbortController();
  const { pool, clock, made, closed, events } = poolOf(4, { signal: stop.signal, closeMs: 300 }, (phone, n) => {
    if (n === 0) return broken(phone, { screenshot: forEver });
    if (n === 1) return broken(phone, { close: forEver });
    return phone;
  });
  const { signal } = stop;
  const [hung, stuck, idle] = await Promise.all([pool.lease({ signal }), pool.lease({ signal }), pool.lease()]);
  await hung.device.reset('app', episode);
  idle.release('fine');
  const ended = [
    assert.rejects(hung.device.screenshot(soon), /Ctrl-C/),
    assert.rejects(stuck.during(forEver()), /Ctrl-C/),
  ];
  const all = [await pool.lease(), await pool.lease()];
  ended.push(assert.rejects(pool.lease(), /Ctrl-C/));
  assert.deepEqual(closed, []);
  stop.abort(new Error('Ctrl-C'));
  await Promise.all(ended);
  const start = clock.now();
  await clock.until(pool.close());
  assert.ok(clock.now() - start <= 300);
  assert.deepEqual(closed.sort(), made.sort());
  assert.deepEqual(
    events.map(({ line }) => line),
    ['device 1: phone-1-0 could not be closed: no answer in 300 ms'],
  );
  for (const lease of all) await assert.rejects(lease.device.health(), /Ctrl-C/);
  assert.equal(clock.pending, 0);
});

test('closing a pool while devices are opening takes bounded time, and late devices are closed', async () => {
  const coming: ((device: Device) => void)[] = [];
  const { pool, clock } = poolOf(2, {
    closeMs: 400,
    open: () => new Promise((resolve) => coming.push(resolve)),
  });
  const waiting = [pool.lease(), pool.lease()].map((lease) => assert.rejects(lease, /closed/));
  await settle();
  const done = pool.close();
  await Promise.all(waiting);
  let closed = 0;
  const device = (): Device => broken(new Phone(), { close: async () => void closed++ });
  coming[0](device());
  await settle();
  assert.equal(closed, 1);
  await clock.until(done);
  assert.equal(clock.now(), 400);
  assert.equal(clock.pending, 0);
  coming[1](device());
  await settle();
  assert.equal(closed, 2);
  assert.equal(clock.pending, 0);
});
