/**
 * A process to kill: `node data-writer.js FOLDER` journals episodes with their pictures, then writes a table and a shard of
 * representations for every five episodes, and skips what exists. test/data/store/kill.test.ts starts it repeatedly.
 */
import { join } from 'node:path';
import { actionColumns } from '../../src/agents/action-columns.js';
import { ImageStore } from '../../src/data/images.js';
import { Journal, type Episode } from '../../src/data/store/journal.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { RepresentationWriter } from '../../src/data/representations.js';
import { writeTable } from '../../src/data/tables.js';
import { toTransitions, TRANSITIONS } from '../../src/data/transitions.js';
import { Random } from '../../src/random.js';

const EPISODES = 40;
const STEPS = 4;
const SHARD = 5;
const DIM = 512;

const folder = process.argv[2];
const images = new ImageStore(join(folder, 'images'));
const journal = Journal.open(join(folder, 'trajectories.jsonl'));

function picture(episode: number, step: number) {
  const random = new Random(0, 'picture', episode, step);
  return { width: 40, height: 60, rgba: Uint8ClampedArray.from({ length: 4 * 40 * 60 }, () => random.int(256)) };
}

for (let n = 0; n < EPISODES; n++) {
  if (journal.has(`e${n}`)) continue;
  const ids: string[] = [];
  for (let step = 0; step <= STEPS; step++) ids.push(await images.put(picture(n, step)));
  const episode: Episode = {
    episode: `e${n}`,
    task: `t${n % 3}`,
    family: 'test',
    goal: `goal ${n % 3}`,
    seed: n,
    steps: ids.slice(0, STEPS).map((image, i) => ({ image, prompt: `p${i}`, action: `a${i}`, applied: 'yes' })),
    finalImage: ids[STEPS],
    finalPrompt: 'end',
    reward: n % 2,
    truncated: false,
  };
  await images.sync();
  await journal.append(episode);
}

const set = await openDataset(join(folder, 'set'));
const origin = { inputs: 'journal', settings: 'none' };
for (let first = 0; first < EPISODES; first += SHARD) {
  const shard = String(first / SHARD);
  if (set.has(shard, origin)) continue;
  const transitions = journal.episodes.slice(first, first + SHARD).flatMap((episode, i) =>
    toTransitions(episode, {
      firstTid: (first + i) * STEPS,
      gamma: 0.9,
      policy: 'made up',
      temperature: 1,
      parse: actionColumns,
    }),
  );
  const table = await writeTable(set.path(`t${shard}.parquet`), TRANSITIONS, transitions);
  const writer = await RepresentationWriter.open(set.path(`r${shard}.arrow`), DIM);
  for (const { tid } of transitions) await writer.append(tid, new Float32Array(4 * DIM).fill(tid));
  const reps = await writer.commit();
  const files = [
    { file: `t${shard}.parquet`, ...table },
    { file: `r${shard}.arrow`, ...reps },
  ];
  await set.commit({ shard, files, ...origin });
}
