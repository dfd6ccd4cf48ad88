import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { actionColumns } from '../../../src/agents/action-columns.js';
import { formatAction } from '../../../src/agents/grammar.js';
import { policyPrompt } from '../../../src/agents/policy/prompt.js';
import { ANNOTATIONS, boxesOf } from '../../../src/data/annotations.js';
import { androidControlEpisodes } from '../../../src/data/episodes/androidcontrol.js';
import { aitwEpisodes } from '../../../src/data/episodes/aitw.js';
import type { Source } from '../../../src/data/episodes/episode.js';
import { importEpisodes, type EpisodeImportOptions } from '../../../src/data/episodes/import.js';
import { decodeExample } from '../../../src/data/formats/tf-example.js';
import { maskedCrc, tfRecords } from '../../../src/data/formats/tfrecord.js';
import { ImageStore } from '../../../src/data/images.js';
import { readTable } from '../../../src/data/tables.js';
import { TRANSITIONS } from '../../../src/data/transitions.js';
import { fixture, rejectsWithLine, tempFolder } from '../../rigs/files.js';

const AITW = fixture('tfrecord', 'general', 'aitw-00000-of-00001');
const PLAIN = fixture('tfrecord', 'general', 'aitw-plain');
const CONTROL = fixture('tfrecord', 'android_control-00000-of-00001');

const OPTIONS: EpisodeImportOptions = {
  ...{ layout: 'aitw', inputs: {}, gamma: 0.5, validation: 0, test: 0, shardSize: 100 },
  format: (action) => formatAction(action),
  parse: actionColumns,
  prompt: policyPrompt,
};

async function imported(t: TestContext, source: Source) {
  const run = join(tempFolder(t), 'run');
  const counts = await importEpisodes(source, run, OPTIONS);
  const rows = await readTable(join(run, 'trajectories', 'transitions-00000.parquet'), TRANSITIONS);
  const annotations = await readTable(join(run, 'trajectories', '_annotations', 'annotations-00000.parquet'), ANNOTATIONS);
  return { counts, rows, annotations, images: new ImageStore(join(run, 'images')) };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The pixels that make_tfrecords.py writes. */
function pixel(seed: number, x: number, y: number): number[] {
  return [0, 1, 2].map((c) => (seed * 31 + 7 * y + 3 * x + 50 * c) % 256);
}

test('records of an independent writer are read, compressed and plain', async () => {
  const [zipped, plain] = [await all(tfRecords(AITW)), await all(tfRecords(PLAIN))];
  assert.equal(zipped.length, 8);
  assert.deepEqual(zipped, plain);
  let at = 0;
  for (const record of plain) {
    assert.equal(record.offset, at);
    at += 16 + ('bytes' in record ? record.bytes.length : 0);
  }
  assert.equal(at, readFileSync(PLAIN).length);
  // RFC 3720, B.4: the CRC-32C of 32 zeros is 8a9136aa
  const crc = 0x8a9136aa;
  assert.equal(maskedCrc(new Uint8Array(32)), (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
});

test('Android in the Wild: actions, points [y, x], pixels, boxes and texts', async (t) => {
  const { counts, rows, annotations, images } = await imported(t, aitwEpisodes([AITW], { damaged: 'stop' }));
  const [cafe, door] = [rows.filter(({ trajectory }) => trajectory === '1234567890123456789'), rows.filter(({ trajectory }) => trajectory === '77')];
  assert.deepEqual(
    cafe.map(({ actionType, touchY, touchX, liftY, liftX, typedText }) => [actionType, touchY, touchX, liftY, liftX, typedText]),
    [
      ['DUAL_POINT', 0.75, 0.25, 0.75, 0.2813, null],
      ['TYPE', null, null, null, null, 'cafe é'],
      ['PRESS_ENTER', null, null, null, null, null],
      ['DUAL_POINT', 0.75, 0.5, 0.25, 0.5, null],
      ['STATUS_TASK_COMPLETE', null, null, null, null, null],
    ],
  );
  assert.deepEqual(door.map(({ actionType }) => actionType), ['PRESS_HOME', 'INVALID', 'STATUS_TASK_IMPOSSIBLE']);
  assert.deepEqual(counts.outside, { 'action type 1': 1 });
  assert.deepEqual([cafe[0].trajectoryReward, door[0].trajectoryReward], [1, 0]);
  assert.ok(rows.every(({ family }) => family === 'general'));
  const frame = await images.get(cafe[3].image);
  assert.deepEqual([frame.width, frame.height], [8, 16]);
  for (const [x, y] of [
    [0, 0],
    [7, 15],
    [3, 9],
  ])
    assert.deepEqual([...frame.rgba.subarray(4 * (8 * y + x), 4 * (8 * y + x) + 4)], [...pixel(3 + 'find a cafe'.length, x, y), 255]);
  assert.deepEqual(boxesOf(annotations[0]), [
    [0.25, 0.125, 0.5, 0.25],
    [0, 0.5, 0.125, 0.25],
  ]);
  assert.deepEqual([annotations[0].boxTexts, annotations[0].boxTypes], [['Go', ''], ['TEXT', 'ICON_HOME']]);
});

test('AndroidControl: pixels become fractions, trees become boxes, the last screenshot follows the last action', async (t) => {
  const { counts, rows, annotations, images } = await imported(t, androidControlEpisodes([CONTROL], { damaged: 'stop' }));
  const photo = rows.filter(({ trajectory }) => trajectory === '3');
  assert.deepEqual(
    photo.map(({ actionType, touchY, touchX, liftY, typedText }) => [actionType, touchY, touchX, liftY, typedText]),
    [
      ['INVALID', null, null, null, null],
      ['DUAL_POINT', 0.25, 0.4, 0.25, null],
      ['TYPE', null, null, null, 'cat'],
      ['DUAL_POINT', 0.8, 0.5, 0.2, null],
      ['INVALID', null, null, null, null],
      ['PRESS_BACK', null, null, null, null],
    ],
  );
  assert.deepEqual(counts.outside, { long_press: 1, open_app: 1, wait: 1 });
  assert.ok(rows.every(({ trajectoryReward }) => trajectoryReward === 1));
  const [first] = annotations;
  // the button and the picture; not the frame around them, and not what is hidden
  assert.deepEqual(boxesOf(first), [
    [0.1, 0.1, 0.2, 0.5],
    [0.5, -0.2, 0.25, 0.7],
  ]);
  assert.deepEqual([first.boxTypes, first.boxTexts], [['Button', 'ImageView'], ['Search', 'Photo']]);
  assert.deepEqual(annotations.slice(0, 6).map(({ instruction }) => instruction), [0, 1, 2, 3, 4, 5].map((i) => `step ${i}`));
  const last = await images.get(photo[5].nextImage);
  assert.deepEqual([...last.rgba.subarray(0, 3)], pixel(36, 0, 0));
});

test('a file of splits says where an episode belongs', async () => {
  const splits = new Map([['77', 'test' as const]]);
  const found = await all(aitwEpisodes([AITW], { damaged: 'stop', splits }));
  assert.deepEqual(found.map((one) => ('id' in one ? one.split : one)), [undefined, 'test']);
});

test('damaged and truncated files are told with file, record and offset', async (t) => {
  const folder = tempFolder(t);
  const bytes = readFileSync(PLAIN);
  const offsets = (await all(tfRecords(PLAIN))).map(({ offset }) => offset);
  const attempt = (content: Buffer, options = {}) => {
    const file = join(folder, 'part');
    writeFileSync(file, content);
    return all(tfRecords(file, options));
  };
  const changed = (at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] ^= 1;
    return copy;
  };
  await rejectsWithLine(() => attempt(changed(offsets[2] + 40)), new RegExp(`part: record 2 at byte ${offsets[2]}: damaged: the checksum of its content is wrong`));
  await rejectsWithLine(() => attempt(changed(offsets[3])), new RegExp(`record 3 at byte ${offsets[3]}: damaged, or not a TFRecord file`));
  await rejectsWithLine(() => attempt(changed(offsets[3] + 9)), /record 3 .* the checksum of its length is wrong/);
  for (const cut of [offsets[1] + 5, offsets[1] + 12, offsets[2] - 1]) await rejectsWithLine(() => attempt(bytes.subarray(0, cut)), /record 1 at byte \d+: truncated/);
  await rejectsWithLine(() => attempt(Buffer.from('not a record file at all')), /record 0 at byte 0: damaged, or not a TFRecord file/);
  await rejectsWithLine(() => attempt(bytes, { largest: 100 }), /record 0 at byte 0: refused: it says that it has \d+ bytes; expected at most 100/);
  // a length with a right checksum that the file cannot hold
  const huge = Buffer.alloc(12);
  huge.writeBigUInt64LE(300_000_000n);
  huge.writeUInt32LE(maskedCrc(huge.subarray(0, 8)), 8);
  await rejectsWithLine(() => attempt(huge), /truncated: it says that it has 300000000 bytes, but the file has 12/);
  await rejectsWithLine(() => attempt(gzipSync(huge)), /truncated: it says that it has 300000000 bytes, but the file has \d+/);
  const zipped = readFileSync(AITW);
  await rejectsWithLine(() => attempt(zipped.subarray(0, zipped.length - 30)), /record \d+ at byte \d+: damaged: it cannot be decompressed/);
  // the other records of a file with one damaged
  const found = await attempt(gzipSync(changed(offsets[2] + 40)), { skipDamaged: true });
  assert.deepEqual(found.map((one) => 'damaged' in one), [false, false, true, false, false, false, false, false]);
});

test('an episode with a damaged or missing step is left out and named; the others stay', async (t) => {
  const folder = tempFolder(t);
  mkdirSync(join(folder, 'general'));
  const file = join(folder, 'general', 'part');
  const bytes = Buffer.from(gunzipSync(readFileSync(AITW)));
  const offsets = (await all(tfRecords(AITW))).map(({ offset }) => offset);
  bytes[offsets[1] + 30] ^= 1;
  writeFileSync(file, gzipSync(bytes));
  const { counts } = await imported(t, aitwEpisodes([file], { damaged: 'skip' }));
  assert.deepEqual([counts.episodes, counts.leftOut], [1, 2]);
  assert.match(counts.leftOutNames[0], /general\/part: record 1 at byte \d+: damaged/);
  assert.match(counts.leftOutNames[1], /episode 1234567890123456789\): .*record 2 at byte \d+: expected step 1, got step 2/);
  // without its last step
  cpSync(PLAIN, file);
  writeFileSync(file, readFileSync(file).subarray(0, offsets[7]));
  const cut = await all(aitwEpisodes([file], { damaged: 'stop' }));
  assert.match((cut[1] as { unreadable: string }).unreadable, /has 2 of 3 steps/);
});

test('bytes that are no example, or another kind of feature, are errors and never an endless loop', async () => {
  const [record] = await all(tfRecords(PLAIN));
  const bytes = Buffer.from((record as { bytes: Buffer }).bytes);
  assert.throws(() => decodeExample(bytes.subarray(0, 200)));
  let refused = 0;
  for (let at = 0; at < bytes.length; at += 3) {
    const copy = Buffer.from(bytes);
    copy[at] ^= 0xff;
    try {
      decodeExample(copy);
    } catch {
      refused++;
    }
  }
  assert.ok(refused > 10);
  const example = decodeExample(bytes);
  assert.throws(() => example.number('goal_info'), /goal_info: expected numbers, got bytes/);
  assert.throws(() => example.text('nothing'), /has no nothing/);
  assert.equal(example.number('image/width'), 8);
});
