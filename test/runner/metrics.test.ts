/** Metrics: JSON lines and TensorBoard event files with the same values, and no step twice after a resume. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import protobuf from 'protobufjs/minimal.js';
import { Metrics, wallTimes } from '../../src/runner/metrics.js';
import { lastMetrics, readMetrics } from '../../src/data/metrics.js';
import { scalarsRecord } from '../../src/runner/tfevents.js';
import { emptyFolder } from '../rigs/process.js';

/** CRC-32C bit by bit (Castagnoli, reflected polynomial 0x82f63b78), to check the encoder's. */
function crc32c(data: Uint8Array): number {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

interface Event {
  version?: string;
  wallTime: number;
  step: number;
  values: Record<string, number>;
}

/** Decodes an event file by the description of the format, and checks every CRC. */
function decode(bytes: Buffer): Event[] {
  const events: Event[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    assert.equal(unmask(bytes.readUInt32LE(at + 8)), crc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    assert.equal(unmask(bytes.readUInt32LE(at + 12 + length)), crc32c(data));
    at += 16 + length;
    const reader = protobuf.Reader.create(data);
    const event: Event = { wallTime: 0, step: 0, values: {} };
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 9) event.wallTime = reader.double();
      else if (tag === 16) event.step = Number(reader.int64());
      else if (tag === 26) event.version = reader.string();
      else if (tag === 42) decodeSummary(protobuf.Reader.create(reader.bytes()), event);
      else assert.fail(`field ${tag}`);
    }
    events.push(event);
  }
  return events;
}

function decodeSummary(reader: protobuf.Reader, event: Event): void {
  while (reader.pos < reader.len) {
    assert.equal(reader.uint32(), 10);
    const value = protobuf.Reader.create(reader.bytes());
    assert.equal(value.uint32(), 10);
    const tag = value.string();
    assert.equal(value.uint32(), 21);
    event.values[tag] = value.float();
  }
}

function timedEvents(folder: string, instance: string): Event[] {
  return decode(readFileSync(join(folder, 'tb', instance, 'events.out.tfevents.critiq')));
}

function events(folder: string, instance: string): Omit<Event, 'wallTime'>[] {
  return timedEvents(folder, instance).map(({ wallTime: _, ...event }) => event);
}

test('a known record, byte for byte', () => {
  // `Event(wall_time=1, step=1, summary=[Value(tag='a', simple_value=1)])`, assembled by hand
  const body = '09000000000000f03f' + '1001' + '2a0a' + '0a08' + '0a0161' + '150000803f';
  const record = Buffer.from(scalarsRecord({ step: 1, values: { a: 1 }, wallTime: 1 }));
  assert.equal(record.subarray(12, -4).toString('hex'), body);
  assert.equal(record.readBigUInt64LE(0), BigInt(body.length / 2));
});

test('lines and events hold the same values, live', (t) => {
  const folder = emptyFolder(t);
  const metrics = new Metrics(folder, 'critic', () => true);
  const shard = metrics.shard('all');
  shard.write(1, { loss: 0.5, accuracy: 0.25 });
  shard.write(300_000, { loss: NaN });
  assert.deepEqual(readMetrics(join(folder, 'metrics/critic.jsonl')), [
    { shard: 'all', step: 1, loss: 0.5, accuracy: 0.25 },
    { shard: 'all', step: 300_000, loss: null },
  ]);
  assert.deepEqual(events(folder, 'critic'), [
    { step: 0, version: 'brain.Event:2', values: {} },
    { step: 1, values: { loss: 0.5, accuracy: 0.25 } },
    { step: 300_000, values: { loss: NaN } },
  ]);
  metrics.close();
});

test('a resumed shard has every step exactly once', (t) => {
  const folder = emptyFolder(t);
  const first = new Metrics(folder, 'actor/x', () => true);
  for (let step = 1; step <= 8; step++) first.shard('all').resume(step);
  const shard = first.shard('all');
  for (let step = 1; step <= 8; step++) shard.write(step, { loss: step });
  first.close();
  appendFileSync(join(folder, 'metrics/actor/x.jsonl'), '{"shard":"all","st');
  const second = new Metrics(folder, 'actor/x', (id) => id === 'all');
  const resumed = second.shard('all');
  resumed.resume(5);
  for (let step = 6; step <= 9; step++) resumed.write(step, { loss: step * 10 });
  second.finish(['all']);
  const steps = readMetrics(join(folder, 'metrics/actor/x.jsonl')).map(({ step, loss }) => [step, loss]);
  assert.deepEqual(steps, [
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
    [5, 5],
    [6, 60],
    [7, 70],
    [8, 80],
    [9, 90],
  ]);
  assert.deepEqual(
    events(folder, 'actor/x')
      .slice(1)
      .map(({ step, values }) => [step, values.loss]),
    steps,
  );
  assert.deepEqual(lastMetrics(join(folder, 'metrics/actor/x.jsonl')), { shard: 'all', step: 9, loss: 90 });
});

test('a shard that starts over drops its own old lines only', (t) => {
  const folder = emptyFolder(t);
  const first = new Metrics(folder, 'm', () => true);
  first.shard('b').write(1, { x: 1 });
  first.shard('a').write(0, { x: 2 });
  first.close();
  const second = new Metrics(folder, 'm', () => true);
  second.shard('b').write(3, { x: 3 });
  second.finish(['a', 'b']);
  assert.deepEqual(readMetrics(join(folder, 'metrics/m.jsonl')), [
    { shard: 'a', step: 0, x: 2 },
    { shard: 'b', step: 3, x: 3 },
  ]);
  new Metrics(folder, 'm', (id) => id === 'a').close();
  assert.equal(readMetrics(join(folder, 'metrics/m.jsonl')).length, 1);
  new Metrics(folder, 'm', () => false).close();
  assert.equal(existsSync(join(folder, 'metrics/m.jsonl')), false);
});

test('events have the time when their line was written, also after a resume and a sort', async (t) => {
  const folder = emptyFolder(t);
  const begin = Date.now() / 1000;
  const first = new Metrics(folder, 'm', () => true);
  first.shard('b').write(1, { x: 1 });
  await sleep(30);
  first.shard('a').write(1, { x: 2 });
  first.close();
  const [, b, a] = timedEvents(folder, 'm').map(({ wallTime }) => wallTime);
  assert.ok(begin <= b && b + 0.02 < a && a <= Date.now() / 1000, `${begin} ${b} ${a}`);
  await sleep(30);
  const second = new Metrics(folder, 'm', () => true);
  const resumed = second.shard('a');
  resumed.resume(1);
  resumed.write(2, { x: 3 });
  second.finish(['a', 'b']);
  const sorted = timedEvents(folder, 'm').slice(1);
  assert.deepEqual(
    sorted.map(({ values }) => values.x),
    [2, 3, 1],
  );
  assert.deepEqual([sorted[0].wallTime, sorted[2].wallTime], [a, b], 'the times stay');
  assert.ok(sorted[1].wallTime > a + 0.02);
  const lines = readMetrics(join(folder, 'metrics/m.jsonl'));
  assert.deepEqual(
    wallTimes(folder, 'm', lines),
    sorted.map(({ wallTime }) => wallTime),
  );
});

test('events of an older critiq, whose time was the step, get the time of their file; a lost event the time before', (t) => {
  const folder = emptyFolder(t);
  const metrics = new Metrics(folder, 'm', () => true);
  const shard = metrics.shard('a');
  for (let step = 1; step <= 3; step++) shard.write(step, { x: step });
  metrics.close();
  const lines = readMetrics(join(folder, 'metrics/m.jsonl'));
  const file = join(folder, 'tb/m/events.out.tfevents.critiq');
  const times = timedEvents(folder, 'm').map(({ wallTime }) => wallTime);
  const old = lines.map(({ step }) => scalarsRecord({ step, values: { x: step }, wallTime: step }));
  writeFileSync(file, Buffer.concat(old));
  utimesSync(join(folder, 'metrics/m.jsonl'), 2e9, 2e9);
  assert.deepEqual(wallTimes(folder, 'm', lines), [2e9, 2e9, 2e9]);
  writeFileSync(
    file,
    Buffer.concat([scalarsRecord({ step: 1, values: { x: 1 }, wallTime: times[1] }), old[1].subarray(0, 9)]),
  );
  assert.deepEqual(wallTimes(folder, 'm', lines), [times[1], times[1], times[1]]);
});
