/** Shards may run in worker threads: phones in several threads of a process show the same pixels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { playedFrames } from '../../rigs/phone/worker.js';

function inThread(seed: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('../../rigs/phone/worker.js', import.meta.url), { workerData: seed });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

test('phones in worker threads have the same pixels as one in the main thread, even concurrently', async () => {
  const seeds = [3, 4, 3, 4];
  const threads = seeds.map(inThread);
  // the main thread draws while the others start and draw
  const expected = new Map([3, 4].map((seed) => [seed, playedFrames(seed)]));
  assert.notDeepEqual(expected.get(3), expected.get(4));
  (await Promise.all(threads)).forEach((got, i) => assert.deepEqual(got, expected.get(seeds[i])));
  // also after threads have ended, which shared fonts and pictures with the process
  assert.deepEqual(playedFrames(3), expected.get(3));
  assert.deepEqual(await inThread(4), expected.get(4));
});
