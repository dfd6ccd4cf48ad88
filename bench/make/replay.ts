/**
 * Generates a synthetic offline data set of any size at the real widths, with critiq's own writers, to measure reading and
 * training: `node dist/bench/make/replay.js FOLDER [gigabytes=5] [candidates=64] [rep=4096] [image=1408] [seed=0]`. It has
 * the data sets of an import (docs/data.md). The numbers are noise, with a little of the reward in the representations.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { actionColumns } from '../../src/agents/action-columns.js';
import { UserError } from '../../src/errors.js';
import { ImageVectorWriter } from '../../src/data/image-vectors.js';
import { fingerprint, openDataset, type Shard } from '../../src/data/store/manifest.js';
import { RepresentationWriter } from '../../src/data/representations.js';
import { monteCarloReturns } from '../../src/data/returns.js';
import { writeTable } from '../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, type CandidateRow, type Transition } from '../../src/data/transitions.js';
import { Random } from '../../src/random.js';

const STEPS = 10;
const SHARD = 1000;
const GAMMA = 0.95;

/** Sizes of the data set. */
export interface ReplaySize {
  /** size of the representations in units of 1e9 bytes */
  gigabytes: number;
  /** actions per state, including the one taken */
  candidates: number;
  /** floats per representation */
  rep: number;
  /** floats per image vector */
  image: number;
  seed: number;
}

/** The released sizes (docs/algorithms.md §0). */
export const RELEASED: ReplaySize = { gigabytes: 5, candidates: 64, rep: 4096, image: 1408, seed: 0 };

/** Writes the data sets to subfolders of `folder`; existing shards are kept. Returns the number of transitions. */
export async function makeReplay(folder: string, size: ReplaySize): Promise<number> {
  const { gigabytes, candidates, rep, image, seed } = size;
  const wanted = Math.ceil((gigabytes * 1e9) / (2 * candidates * rep));
  const transitions = Math.max(STEPS, Math.ceil(wanted / STEPS) * STEPS);
  const pool = noise(seed, 1 << 20);
  const opened = async (name: string) => openDataset(join(folder, name), { stage: 'make-replay', verify: 'structure' });
  const [images, representations, tables, actions] = await Promise.all(
    ['image-vectors', 'representations', 'trajectories', 'candidates'].map(opened),
  );
  const origin = { inputs: 'synthetic', settings: fingerprint(size) };
  for (let first = 0, n = 0; first < transitions; first += SHARD, n++) {
    const shard = String(n).padStart(5, '0');
    const count = Math.min(SHARD, transitions - first);
    const tids = Array.from({ length: count }, (_, i) => first + i);
    const commit = async (
      set: typeof images,
      file: string,
      write: (path: string) => Promise<{ bytes: number; crc32: number; rows: number }>,
    ) => {
      if (set.has(shard, origin)) return;
      const written = await write(set.path(file));
      await set.commit({ shard, files: [{ file, ...written }], ...origin } satisfies Shard);
    };
    await commit(images, `images-${shard}.arrow`, async (path) => {
      const writer = await ImageVectorWriter.open(path, image);
      for (const tid of tids) {
        await writer.append(imageName(tid), slice(pool, tid * 31, image));
        if (tid % STEPS === STEPS - 1) await writer.append(imageName(tid, true), slice(pool, tid * 31 + 7, image));
      }
      return writer.commit();
    });
    await commit(representations, `representations-${shard}.arrow`, async (path) => {
      const writer = await RepresentationWriter.open(path, rep);
      const rows = new Float32Array(candidates * rep);
      for (const tid of tids) {
        for (let cand = 0; cand < candidates; cand++) rows.set(slice(pool, tid * 8191 + cand * 131, rep), cand * rep);
        if (succeeds(seed, tid)) for (let i = 0; i < 16; i++) rows[i] += 1;
        await writer.append(tid, rows);
      }
      return writer.commit();
    });
    await commit(actions, `candidates-${shard}.parquet`, (path) =>
      writeTable(
        path,
        CANDIDATES,
        tids.map((tid) => candidateRow(tid, candidates)),
      ),
    );
    await commit(tables, `transitions-${shard}.parquet`, (path) =>
      writeTable(
        path,
        TRANSITIONS,
        tids.map((tid) => transition(seed, tid)),
      ),
    );
  }
  return transitions;
}

function noise(seed: number, length: number): Float32Array {
  const random = new Random(seed, 'replay', 'noise');
  return Float32Array.from({ length }, () => random.normal());
}

function slice(pool: Float32Array, at: number, length: number): Float32Array {
  const start = at % (pool.length - length);
  return pool.subarray(start, start + length);
}

function succeeds(seed: number, tid: number): boolean {
  return new Random(seed, 'replay', 'reward', Math.floor(tid / STEPS)).chance(0.4);
}

function imageName(tid: number, after = false): string {
  return fingerprint([tid, after]).repeat(2);
}

function actionText(tid: number, cand: number): string {
  const point = `[${(((tid * 37 + cand * 11) % 10000) / 1e4).toFixed(4)}, ${(((tid * 53 + cand * 29) % 10000) / 1e4).toFixed(4)}]`;
  return (
    'Action Plan: [DUAL_POINT]; Action Decision: "action_type": "DUAL_POINT", ' +
    `"touch_point": "${point}", "lift_point": "${point}", "typed_text": ""`
  );
}

function candidateRow(tid: number, candidates: number): CandidateRow {
  return {
    tid,
    actions: Array.from({ length: candidates }, (_, cand) => actionText(tid, cand)),
    counts: new Array<number>(candidates).fill(1),
    valid: new Array<boolean>(candidates).fill(true),
    logProbs: new Array<number>(candidates).fill(-Math.log(candidates)),
  };
}

function transition(seed: number, tid: number): Transition {
  const step = tid % STEPS;
  const first = step === 0;
  const last = step === STEPS - 1;
  const outcome = succeeds(seed, tid) ? 1 : 0;
  const rewards = Array.from({ length: STEPS }, (_, i) => (i === STEPS - 1 ? outcome : 0));
  const goal = `Go to shop${Math.floor(tid / STEPS) % 97}.com, search for item ${Math.floor(tid / STEPS) % 211}`;
  const prompt = (previous: string) => `Previous Actions: ${previous} Goal: ${goal}</s>`;
  return {
    tid,
    trajectory: `t${Math.floor(tid / STEPS)}`,
    step,
    task: goal,
    goal,
    family: 'synthetic',
    prompt: prompt(first ? '' : actionText(tid - 1, 0)),
    prevAction: first ? '' : actionText(tid - 1, 0),
    action: actionText(tid, 0),
    ...actionColumns(actionText(tid, 0)),
    policy: 'synthetic',
    temperature: null,
    image: imageName(tid),
    prevImage: imageName(first ? tid : tid - 1),
    nextImage: last ? imageName(tid, true) : imageName(tid + 1),
    nextPrevImage: imageName(tid),
    reward: rewards[step],
    done: last,
    truncated: false,
    mcReturn: monteCarloReturns(rewards, GAMMA)[step],
    trajectoryReward: outcome,
    nextPrompt: prompt(actionText(tid, 0)),
    imagePath: '',
  };
}

function sizes(args: string[]): ReplaySize {
  const size = { ...RELEASED };
  for (const arg of args) {
    const [key, value] = arg.split('=');
    if (!Object.hasOwn(size, key) || !(Number(value) >= 0)) {
      throw new UserError(`make-replay: expected one of ${Object.keys(size).join(', ')} as key=number, got ${arg}`);
    }
    size[key as keyof ReplaySize] = Number(value);
  }
  return size;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, ...rest] = process.argv.slice(2);
  try {
    if (!folder) throw new UserError('make-replay: expected a folder to write to');
    const transitions = await makeReplay(folder, sizes(rest));
    console.log(`${folder}: ${transitions} transitions`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
