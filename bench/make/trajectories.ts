/**
 * Generates a synthetic run folder with any number of trajectories, their screenshots, candidates and values, with critiq's
 * own writers, to measure the viewer:
 * `node dist/bench/make/trajectories.js FOLDER [trajectories=2000] [steps=15] [candidates=16]`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { actionColumns } from '../../src/agents/action-columns.js';
import { formatAction } from '../../src/agents/grammar.js';
import { ImageStore } from '../../src/data/images.js';
import { recordFile } from '../../src/data/store/integrity.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { writeTable, type TableKind } from '../../src/data/tables.js';
import { CANDIDATES, toTransitions, TRANSITIONS, VALUES, type Transition } from '../../src/data/transitions.js';
import { tap } from '../../src/data/action.js';
import type { Frame } from '../../src/data/formats/frame.js';
import { Random } from '../../src/random.js';

/** Number of different screenshots, which the steps use in turn. */
const SCREENS = 400;
const SIZE = { width: 1080, height: 2400 };
const SHARD = 250;
const FAMILIES = ['settings', 'search', 'webshop'];

/** Size of the run. */
export interface TrajectoriesSize {
  trajectories: number;
  steps: number;
  /** actions per state, including the one taken */
  candidates: number;
}

/** Writes the data sets `trajectories`, `candidates` and `values` and the screenshots to `folder`. */
export async function makeTrajectories(folder: string, size: TrajectoriesSize): Promise<void> {
  const random = new Random(0, 'trajectories');
  const images = new ImageStore(join(folder, 'images'));
  const screens: string[] = [];
  for (let n = 0; n < SCREENS; n++) screens.push(await images.put(screen(n)));
  const text = () => formatAction(tap([random.next(), random.next()]));
  for (let first = 0; first < size.trajectories; first += SHARD) {
    const shard = String(first / SHARD).padStart(5, '0');
    const transitions: Transition[] = [];
    for (let n = first; n < Math.min(size.trajectories, first + SHARD); n++) {
      const steps = Array.from({ length: size.steps }, (_, i) => {
        const image = screens[(n * 7 + i) % SCREENS];
        return { image, prompt: 'Previous Actions: Goal: synthetic</s>', action: text(), applied: 'yes' as const };
      });
      const goal = `Go to shop${n % 97}.com and search for item ${n % 211}`;
      const episode = {
        ...{ episode: String(n).padStart(6, '0'), task: `task-${n % 500}`, family: FAMILIES[n % 3], goal, seed: n },
        ...{ steps, finalImage: screens[n % SCREENS], finalPrompt: '', reward: random.chance(0.4) ? 1 : 0 },
        truncated: false,
      };
      transitions.push(
        ...toTransitions(episode, {
          firstTid: n * 1000,
          gamma: 0.95,
          policy: 'synthetic',
          temperature: 1,
          parse: actionColumns,
        }),
      );
    }
    await commit(folder, 'trajectories', `transitions-${shard}.parquet`, TRANSITIONS, transitions);
    const candidates = transitions.map(({ tid, action }) => ({
      tid,
      actions: [action, ...Array.from({ length: size.candidates - 1 }, text)],
      counts: new Array<number>(size.candidates).fill(1),
      valid: new Array<boolean>(size.candidates).fill(true),
      logProbs: Array.from({ length: size.candidates }, () => -5 * random.next()),
    }));
    await commit(folder, 'candidates', `candidates-${shard}.parquet`, CANDIDATES, candidates);
    const values = transitions.map(({ tid, mcReturn }) => {
      const near = () => mcReturn + 0.2 * random.normal();
      const q = () => Array.from({ length: size.candidates }, near);
      return { tid, q1: q(), q2: q(), v1: near(), v2: near() };
    });
    await commit(folder, 'values', `values-${shard}.parquet`, VALUES, values);
  }
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ seed: 0 }));
}

/** A screen with a bar and tiles, whose colours depend on n. */
function screen(n: number): Frame {
  const { width, height } = SIZE;
  const words = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const tile = y < 200 ? n : Math.floor(y / 300) * 4 + Math.floor(x / 270) + n;
      words[y * width + x] = 0xff000000 | (Math.imul(tile + 1, 0x9e3779b1) & 0xf0f0f0);
    }
  }
  return { ...SIZE, rgba: new Uint8ClampedArray(words.buffer) };
}

async function commit<Row extends object>(
  folder: string,
  name: string,
  file: string,
  kind: TableKind<Row>,
  rows: Row[],
): Promise<void> {
  const below = join(folder, name);
  mkdirSync(below, { recursive: true });
  await writeTable(join(below, file), kind, rows);
  const set = await openDataset(below, { verify: 'structure' });
  await set.commit({ shard: file, files: [await recordFile(join(below, file), file)], inputs: '', settings: '' });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, ...rest] = process.argv.slice(2);
  const size: TrajectoriesSize = { trajectories: 2000, steps: 15, candidates: 16 };
  for (const [key, value] of rest.map((arg) => arg.split('='))) size[key as keyof TrajectoriesSize] = Number(value);
  if (!folder || Object.values(size).some((count) => !(count >= 1)) || Object.keys(size).length > 3) {
    console.error('make-trajectories: expected FOLDER [trajectories=N] [steps=N] [candidates=N]');
    process.exit(2);
  }
  await makeTrajectories(folder, size);
  console.log(`${folder}: ${size.trajectories} trajectories`);
}
