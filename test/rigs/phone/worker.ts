/** A thread of threads.test.ts: runs episodes and posts the hashes of their frames. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { DEFAULT_GRID, expert, Phone, phoneTasks } from '../../../src/devices/phone/index.js';
import { Random } from '../../../src/random.js';

/** Hashes of the frames of some episodes, run by the expert. */
export function playedFrames(seed: number): string[] {
  const random = new Random(seed, 'walk');
  const phone = new Phone();
  return phoneTasks({ set: 'all', split: 'train', count: 12, seed }).flatMap((task, i) => {
    phone.begin(task, seed + i);
    const seen: string[] = [];
    for (let step = 0; step < 12; step++) {
      seen.push(createHash('sha256').update(phone.frame().rgba).digest('hex'));
      const action = expert(phone, { grid: DEFAULT_GRID, random });
      phone.apply(action);
      if (action.type.startsWith('STATUS')) break;
    }
    return seen;
  });
}

if (parentPort) parentPort.postMessage(playedFrames(workerData as number));
