/** Films of episodes: what is drawn, for how long, and that the files are valid. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAction } from '../../src/agents/grammar.js';
import { webm } from '../../src/recordings/webm.js';
import { animatedWebp, vp8Of, vp8Size } from '../../src/recordings/webp.js';
import { tap, type Action } from '../../src/data/action.js';
import type { Frame } from '../../src/data/formats/frame.js';
import { film, videoKind, type FilmOptions } from '../../src/recordings/film.js';
import { filmedEpisodes, type FilmedEpisode } from '../../src/recordings/filmed.js';
import { FilmPicture } from '../../src/recordings/picture.js';
import { timeline } from '../../src/recordings/timeline.js';

/** A screen of one colour. */
function screen(r: number, g: number, b: number, { width = 270, height = 585 } = {}): Frame {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < rgba.length; i += 4) rgba.set([r, g, b, 255], i);
  return { width, height, rgba };
}

const SWIPE: Action = { type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.2, 0.5] };
const ACTIONS = [
  formatAction(tap([0.25, 0.5])),
  formatAction(SWIPE),
  formatAction({ type: 'TYPE', text: 'red lamp' }),
  formatAction({ type: 'PRESS_BACK' }),
  'invalid answer: no "Action:" in "I am lost."',
  formatAction({ type: 'STATUS_TASK_COMPLETE' }),
];
const EPISODE: FilmedEpisode = {
  episode: '000007',
  goal: 'Find a red lamp',
  steps: ACTIONS.map((action, i) => ({ image: String(i), action })),
  finalImage: 'end',
  verdict: 'success',
  truncated: false,
};
const OPTIONS: FilmOptions = { format: 'webm', seconds: 1, fps: 5, width: 360, quality: 80 };
const GREY = screen(200, 200, 200);

test('each screen is shown plain, then with its action, and the durations add up', () => {
  const shots = timeline(EPISODE, { seconds: 1.2, fps: 5 });
  assert.deepEqual(
    shots.map(({ step }) => step),
    [0, 1, 2, 3, 4, 5].flatMap((step) => Array<number>(5).fill(step)).concat(6),
  );
  for (let step = 0; step < 6; step++) {
    const own = shots.filter((shot) => shot.step === step);
    assert.equal(own.reduce((sum, { milliseconds }) => sum + milliseconds, 0), 1200); // prettier-ignore
    assert.deepEqual(own.map(({ progress }) => progress), [0, 0.25, 0.5, 0.75, 1]); // prettier-ignore
  }
  assert.ok(shots.every(({ milliseconds }) => Number.isInteger(milliseconds) && milliseconds > 0));
  const slow = timeline(EPISODE, { seconds: 0.1, fps: 0 });
  assert.deepEqual(slow.slice(0, 2).map(({ progress, milliseconds }) => [progress, milliseconds]), [[0, 40], [1, 60]]); // prettier-ignore
  assert.deepEqual(timeline({ steps: [] }, OPTIONS).length, 1, 'an episode without steps has only an ending');
});

test('actions are drawn at their points, and only while they happen', () => {
  const picture = new FilmPicture(EPISODE, GREY, 360);
  picture.show(GREY);
  const at = (x: number, y: number): number[] =>
    [...picture.canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
  const top = (picture.canvas.height - 586) * (44 / 74);
  const place = ([y, x]: readonly [number, number]): [number, number] => [
    Math.round(270 * x),
    Math.round(top + 586 * y),
  ];
  const magenta = ([r, g, b]: number[]): boolean => r > 180 && g < 90 && b > 70 && b < 190;
  const count = (test: (colour: number[]) => boolean): number => {
    const { width, height } = picture.canvas;
    const { data } = picture.canvas.getContext('2d').getImageData(0, 0, width, height);
    let found = 0;
    for (let i = 0; i < data.length; i += 4) if (test([data[i], data[i + 1], data[i + 2]])) found++;
    return found;
  };
  picture.draw(0, 0);
  assert.equal(count(magenta), 0);
  assert.deepEqual(at(...place([0.25, 0.5])), [200, 200, 200]);
  picture.draw(0, 1);
  assert.ok(magenta(at(...place([0.25, 0.5]))), 'the tap is drawn');
  const ring = count(magenta);
  picture.draw(0, 0.2);
  assert.ok(count(magenta) < ring, 'its ring widens');
  picture.draw(1, 1);
  assert.ok(magenta(at(...place([0.5, 0.5]))), 'the swipe passes the middle');
  picture.draw(1, 0.3);
  assert.ok(!magenta(at(...place([0.3, 0.5]))), 'but not at its start');
  for (const step of [2, 3]) {
    picture.draw(step, 1);
    assert.ok(count(magenta) > 1500, 'the typed text or the key is drawn');
  }
  picture.draw(4, 1);
  assert.ok(count(magenta) < 50, 'no action is drawn, except for edges of the red label');
  assert.ok(count(([r, g]) => r > 180 && g < 60) > 1000, 'the label is red');
  picture.draw(6, 0);
  const green = ([r, g]: number[]): boolean => r < 60 && g > 100 && g < 150;
  assert.ok(count(green) > 5000);
  const failed = new FilmPicture({ ...EPISODE, verdict: 'failure' }, GREY, 360);
  failed.show(GREY);
  failed.draw(6, 0);
  const { data } = failed.canvas.getContext('2d').getImageData(200, failed.canvas.height - 8, 1, 1);
  assert.ok(data[0] > 180 && data[1] < 60);
});

test('large screens shrink, narrow ones get room for the text, sides are even, long tasks are cut', () => {
  const goal = 'word '.repeat(200);
  for (const [size, width, expected] of [
    [{ width: 1080, height: 2400 }, 360, [360, 874]],
    [{ width: 101, height: 201 }, 360, [200, 276]],
    [{ width: 1280, height: 720 }, 360, [360, 276]],
    [{ width: 400, height: 4000 }, 100, [200, 324]],
  ] as const) {
    const picture = new FilmPicture({ ...EPISODE, goal }, size, width);
    assert.deepEqual([picture.canvas.width, picture.canvas.height], expected);
    picture.show(screen(1, 2, 3, size));
    picture.draw(0, 1);
  }
});

/** An EBML element: its content, and its start in bytes. */
interface Element {
  readonly id: number;
  readonly at: number;
  readonly data: Buffer;
}

/** Reads consecutive elements (RFC 8794), whose lengths must fit exactly. */
function elements(bytes: Buffer, start = 0): Element[] {
  const found: Element[] = [];
  let at = 0;
  const vint = (keepMarker: boolean): number => {
    const length = Math.clz32(bytes[at]) - 23;
    assert.ok(length >= 1 && length <= 8, `a length at ${at}`);
    let value = keepMarker ? bytes[at] : bytes[at] & ((1 << (8 - length)) - 1);
    for (let i = 1; i < length; i++) value = value * 256 + bytes[at + i];
    at += length;
    return value;
  };
  while (at < bytes.length) {
    const begin = at;
    const id = vint(true);
    const length = vint(false);
    assert.ok(at + length <= bytes.length, `element ${id.toString(16)} ends outside`);
    found.push({ id, at: start + begin, data: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

const one = (list: readonly Element[], id: number): Buffer => {
  const [found, ...more] = list.filter((element) => element.id === id);
  assert.ok(found && more.length === 0, id.toString(16));
  return found.data;
};
const number = (data: Buffer): number => data.readUIntBE(0, data.length);

test('WebM: lengths fit, times increase, cues point to clusters, pictures are VP8 key frames of the right size', async () => {
  const screens = new Map(
    [...EPISODE.steps, { image: 'end' }].map(({ image }, i) => [image, screen(40 * i, 255 - 40 * i, 90)]),
  );
  const asked: string[] = [];
  const get = async (id: string) => {
    asked.push(id);
    return screens.get(id)!;
  };
  const bytes = await film(EPISODE, get, OPTIONS);
  assert.deepEqual(asked, ['0', '1', '2', '3', '4', '5', 'end'], 'each screen is loaded once, when it is shown');
  assert.equal(videoKind(bytes), 'webm');
  const [ebml, segment, ...rest] = elements(bytes);
  assert.deepEqual([ebml.id, segment.id, rest.length], [0x1a45dfa3, 0x18538067, 0]);
  assert.equal(String(one(elements(ebml.data), 0x4282)), 'webm');
  const parts = elements(segment.data);
  const info = elements(one(parts, 0x1549a966));
  const shots = timeline(EPISODE, OPTIONS);
  const total = shots.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  assert.equal(one(info, 0x4489).readDoubleBE(), total);
  assert.equal(String(one(info, 0x7ba9)), '000007: Find a red lamp');
  const video = elements(one(elements(one(elements(one(parts, 0x1654ae6b)), 0xae)), 0xe0));
  const size = { width: number(one(video, 0xb0)), height: number(one(video, 0xba)) };
  assert.deepEqual(size, { width: 270, height: 660 });
  const clusters = parts.filter(({ id }) => id === 0x1f43b675);
  const times: number[] = [];
  for (const { data } of clusters) {
    const held = elements(data);
    const begin = number(one(held, 0xe7));
    for (const { data: group } of held.filter(({ id }) => id === 0xa0)) {
      const block = one(elements(group), 0xa1);
      assert.equal(block[0], 0x81);
      times.push(begin + block.readInt16BE(1));
      assert.deepEqual(vp8Size(block.subarray(4)), size);
      assert.equal(number(one(elements(group), 0x9b)), shots[times.length - 1].milliseconds);
    }
  }
  let now = 0;
  assert.deepEqual(times, shots.map(({ milliseconds }) => (now += milliseconds) - milliseconds)); // prettier-ignore
  const cues = elements(one(parts, 0x1c53bb6b)).map(({ data }) => {
    const [time, positions] = [one(elements(data), 0xb3), elements(one(elements(data), 0xb7))];
    return [number(time), number(one(positions, 0xf1).subarray(2))];
  });
  assert.deepEqual(cues, clusters.map(({ at, data }) => [number(one(elements(data), 0xe7)), at])); // prettier-ignore
  assert.ok(clusters.length > 1);
  assert.deepEqual(await film(EPISODE, get, OPTIONS), bytes, 'the same bytes again');
});

test('animated WebP: the same pictures with the same durations', async () => {
  const bytes = await film(EPISODE, async () => GREY, { ...OPTIONS, format: 'webp' });
  assert.equal(bytes.toString('latin1', 0, 4), 'RIFF');
  assert.equal(bytes.readUInt32LE(4), bytes.length - 8);
  const names: string[] = [];
  const durations: number[] = [];
  for (let at = 12; at < bytes.length;) {
    const length = bytes.readUInt32LE(at + 4);
    const name = bytes.toString('latin1', at, at + 4);
    names.push(name);
    if (name === 'ANMF') {
      durations.push(bytes.readUIntLE(at + 8 + 12, 3));
      assert.equal(bytes.toString('latin1', at + 24, at + 28), 'VP8 ');
      assert.ok(bytes.readUInt32LE(at + 28) <= length - 24);
    }
    at += 8 + length + (length & 1);
  }
  const shots = timeline(EPISODE, OPTIONS);
  assert.deepEqual(names, ['VP8X', 'ANIM', ...shots.map(() => 'ANMF')]);
  assert.deepEqual(durations, shots.map(({ milliseconds }) => milliseconds)); // prettier-ignore
});

test('pictures in other formats are refused', () => {
  assert.throws(() => vp8Of(Buffer.from('GIF89a and more')), /not a WebP/);
  const lossless = Buffer.from('RIFF\0\0\0\0WEBPVP8L\x04\0\0\0abcd', 'latin1');
  assert.throws(() => vp8Of(lossless), /lossless/);
  assert.throws(() => vp8Of(Buffer.from('RIFF\0\0\0\0WEBPVP8 \xff\0\0\0abcd', 'latin1')), /truncated/);
  assert.throws(() => vp8Size(Buffer.alloc(20)), /not a VP8 key frame/);
  assert.throws(() => webm([], ''), /no frames/);
  assert.throws(() => animatedWebp([]), /no frames/);
  assert.equal(videoKind(Buffer.from('\0\0\0\x18ftypmp42....', 'latin1')), 'mp4');
  assert.equal(videoKind(Buffer.from('not a video at all')), undefined);
  assert.equal(videoKind(Buffer.alloc(3)), undefined);
});

test('transitions are grouped into episodes', () => {
  const row = (trajectory: string, image: string, done = false, trajectoryReward = 0) => ({
    trajectory,
    goal: `goal ${trajectory}`,
    action: ACTIONS[0],
    image,
    nextImage: `${image}'`,
    done,
    truncated: done && trajectoryReward === 0,
    trajectoryReward,
  });
  const episodes = filmedEpisodes([row('1', 'a', false, 1), row('1', 'b', true, 1), row('4', 'c', true)]);
  assert.deepEqual(
    episodes.map(({ episode, steps, finalImage, verdict, truncated }) => [
      episode,
      steps.length,
      finalImage,
      verdict,
      truncated,
    ]),
    [
      ['1', 2, "b'", 'success', false],
      ['4', 1, "c'", 'failure', true],
    ],
  );
});
