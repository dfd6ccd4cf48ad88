/** Recordings, as played by a browser. */
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { formatAction } from '../../../src/agents/grammar.js';
import { tap } from '../../../src/data/action.js';
import { findChromium } from '../../../src/devices/browser/chromium.js';
import { film, type FilmOptions } from '../../../src/recordings/film.js';
import type { FilmedEpisode } from '../../../src/recordings/filmed.js';
import { timeline } from '../../../src/recordings/timeline.js';
import { browserTest } from '../../rigs/browser/rig.js';

const EPISODE: FilmedEpisode = {
  episode: '000001',
  goal: 'Touch the middle',
  steps: [0, 1, 2, 3].map((n) => ({ image: String(n), action: formatAction(tap([0.5, 0.5])) })),
  finalImage: '4',
  verdict: 'success',
  truncated: false,
};
const OPTIONS: Omit<FilmOptions, 'format'> = { seconds: 1, fps: 4, width: 200, quality: 80 };
/** The greys of the five screens. */
const SHADES = [40, 80, 120, 160, 200];

const screen = async (image: string) => {
  const rgba = new Uint8ClampedArray(4 * 200 * 400).fill(SHADES[Number(image)]);
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  return { width: 200, height: 400, rgba };
};

/** In the page: plays a video, and reads a corner and the middle of its screen at some times. */
const PLAY = `async (data) => {
  const video = document.createElement('video');
  video.muted = true;
  video.src = URL.createObjectURL(await (await fetch(data)).blob());
  document.body.append(video);
  await new Promise((resolve, reject) => {
    video.onloadedmetadata = resolve;
    video.onerror = () => reject(new Error(video.error.message));
  });
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const paint = canvas.getContext('2d');
  const pixels = [];
  for (const time of [0.2, 0.95, 1.2, 3.9, 5]) {
    video.currentTime = time;
    await new Promise((resolve) => (video.onseeked = resolve));
    paint.drawImage(video, 0, 0);
    const corner = paint.getImageData(20, 100, 1, 1).data;
    const middle = paint.getImageData(100, 244, 1, 1).data;
    pixels.push([corner[0], middle[0], middle[1]]);
  }
  video.currentTime = 0;
  video.playbackRate = 4;
  await video.play();
  await new Promise((resolve) => (video.onended = resolve));
  const corrupted = video.getVideoPlaybackQuality().corruptedVideoFrames;
  return { duration: video.duration, size: [video.videoWidth, video.videoHeight], pixels, corrupted };
}`;

/** In the page: shows a picture, and reads a corner of its screen. */
const SHOW = `async (data) => {
  const image = new Image();
  image.src = data;
  await image.decode();
  const paint = document.createElement('canvas').getContext('2d');
  paint.drawImage(image, 0, 0);
  return { width: image.naturalWidth, height: image.naturalHeight, shade: paint.getImageData(20, 100, 1, 1).data[0] };
}`;

browserTest(
  'a WebM plays to its end, can be sought and shows each step at its time; an animated WebP decodes',
  async (t) => {
    const browser = await chromium.launch({
      executablePath: findChromium(''),
      args: ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required'],
    });
    t.after(() => browser.close());
    const page = await browser.newPage();
    const webm = await film(EPISODE, screen, { ...OPTIONS, format: 'webm' });
    const seen = (await page.evaluate(`(${PLAY})('data:video/webm;base64,${webm.toString('base64')}')`)) as {
      readonly duration: number;
      readonly size: readonly number[];
      readonly corrupted: number;
      readonly pixels: readonly (readonly number[])[];
    };
    assert.equal(seen.duration, 6.5);
    assert.deepEqual(seen.size, [200, 474]);
    assert.equal(seen.corrupted, 0);
    const near = (got: number, expected: number) =>
      assert.ok(Math.abs(got - expected) <= 8, `expected ${expected}, got ${got}`);
    const [first, done, second, last, end] = seen.pixels;
    near(first[0], SHADES[0]);
    near(first[1], SHADES[0]);
    near(done[0], SHADES[0]);
    assert.ok(done[1] > 180 && done[2] < 90, `the tap is drawn: ${done.join(' ')}`);
    near(second[0], SHADES[1]);
    near(second[1], SHADES[1]);
    near(last[0], SHADES[3]);
    near(end[0], SHADES[4]);

    const webp = await film(EPISODE, screen, { ...OPTIONS, format: 'webp' });
    const frames = (await page.evaluate(`(${SHOW})('data:image/webp;base64,${webp.toString('base64')}')`)) as {
      readonly width: number;
      readonly height: number;
      readonly shade: number;
    };
    assert.deepEqual([frames.width, frames.height], [200, 474]);
    near(frames.shade, SHADES[0]);
    assert.equal(webp.toString('latin1').split('ANMF').length - 1, timeline(EPISODE, OPTIONS).length);
  },
);
