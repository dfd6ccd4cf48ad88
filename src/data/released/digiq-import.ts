import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { digiqTrajectory, type ImportedStep } from './digiq-layout.js';
import { ImageVectors, ImageVectorWriter } from '../image-vectors.js';
import { fingerprint, openDataset, type Dataset, type Shard } from '../store/manifest.js';
import { RepresentationWriter } from '../representations.js';
import { monteCarloReturns } from '../returns.js';
import { writeTable } from '../tables.js';
import { TorchFile } from '../formats/torch.js';
import {
  CANDIDATES,
  INVALID,
  TRANSITIONS,
  type ActionColumns,
  type CandidateRow,
  type Transition,
} from '../transitions.js';
import type { VectorType } from '../vectors.js';

export interface DigiqImport {
  /** parses an action text (`actionColumns`); the grammar of actions is in a higher layer */
  readonly parse: (action: string) => ActionColumns;
  /** discount of the Monte Carlo returns, if the file has none */
  readonly gamma?: number;
  /** how representations are stored: float16 (default, half the size) or float32 (exact) */
  readonly representations?: VectorType;
  /**
   * Whether image_features is the concatenation of the previous and the current frame (`pair`) or one vector (`single`).
   * `auto`: pair if the width is even, as released (2 × 1408).
   */
  readonly images?: 'auto' | 'pair' | 'single';
  /** approximate number of transitions per shard, which has whole trajectories */
  readonly shardSize?: number;
  /** called after each trajectory with the totals so far */
  readonly onProgress?: (trajectories: number, transitions: number) => void;
}

/** Counts of an import. */
export interface Imported {
  readonly trajectories: number;
  readonly transitions: number;
  readonly shards: number;
  /** floats per image vector and per representation (0 if the file has none) */
  readonly imageDim: number;
  readonly representationDim: number;
}

/** The data sets in the run's folder that an import writes. */
export const IMPORTED = ['image-vectors', 'representations', 'candidates', 'trajectories'] as const;

/**
 * Imports a torch.save file with the layout of the released data sets (docs/algorithms.md §0: a list of trajectories, each a
 * list of steps) into critiq's data sets `trajectories`, `candidates`, `representations` and `image-vectors` in `folder`. It
 * reads one trajectory at a time, executes nothing and commits shard by shard; when run again, it skips existing shards.
 * Widths come from the data.
 * @throws UserError that names the file, trajectory, step and field if something is missing or wrong
 */
export async function importDigiq(file: string, folder: string, options: DigiqImport): Promise<Imported> {
  const source = await TorchFile.open(file);
  try {
    source.verify();
    return await new Import(source, folder, options).run();
  } finally {
    source.close();
  }
}

/** Maximum size of the imported vectors, relative to the file; see `checkSharing`. */
const SHARING = 8;

class Import {
  private readonly settings: string;
  private readonly inputs: string;
  private readonly sets = new Map<string, Dataset>();
  private readonly trajectoryIds = new Set<string>();
  private readonly imageIds = new Set<string>();
  private trajectories = 0;
  private transitions = 0;
  private bytes = 0;
  private shards = 0;
  private imageDim = 0;
  private representationDim = 0;

  constructor(
    private readonly source: TorchFile,
    private readonly folder: string,
    private readonly options: DigiqImport,
  ) {
    const { gamma = 0.95, representations = 'float16', images = 'auto', shardSize = 1000 } = options;
    this.settings = fingerprint({ gamma, representations, images, shardSize });
    this.inputs = fingerprint({ crc32: source.crc32, size: source.size });
  }

  async run(): Promise<Imported> {
    for (const name of IMPORTED) this.sets.set(name, await openDataset(join(this.folder, name), { stage: 'import digiq' }));
    const shardSize = this.options.shardSize ?? 1000;
    let steps: ImportedStep[] = [];
    for (const item of this.source.items()) {
      const trajectory = digiqTrajectory(this.source, item, this.trajectories, this.options.images ?? 'auto');
      this.checkWidths(trajectory);
      this.checkSharing(trajectory);
      steps.push(...this.named(trajectory));
      this.trajectories++;
      if (steps.length >= shardSize) {
        await this.write(steps);
        steps = [];
      }
      this.options.onProgress?.(this.trajectories, this.transitions + steps.length);
    }
    if (steps.length > 0) await this.write(steps);
    if (this.trajectories === 0) throw this.source.fault('expected a list of trajectories, got an empty one');
    await this.removeStale();
    const { trajectories, transitions, shards, imageDim, representationDim } = this;
    return { trajectories, transitions, shards, imageDim, representationDim };
  }

  /** Trajectories keep their traj_id. If it is missing or repeated, their number is added to it. */
  private named(trajectory: ImportedStep[]): ImportedStep[] {
    const stated = trajectory[0].trajectory;
    const id = stated !== undefined && !this.trajectoryIds.has(stated) ? stated : `${stated ?? ''}#${this.trajectories}`;
    this.trajectoryIds.add(id);
    return trajectory.map((step) => ({ ...step, trajectory: id }));
  }

  /**
   * A pickle may contain the same object many times, so a small file could expand without limit. Arrays that neighbouring
   * steps share expand to less than eight times the file's size.
   */
  private checkSharing(trajectory: ImportedStep[]): void {
    for (const { image, representationDim, candidates } of trajectory) {
      this.bytes += 4 * (4 * image.length + representationDim * candidates.length);
    }
    if (this.bytes > SHARING * this.source.size) {
      throw this.source.fault(`refused: its steps expand to more than ${SHARING} times the file's size`);
    }
  }

  private checkWidths(trajectory: ImportedStep[]): void {
    trajectory.forEach(({ image, representationDim }, step) => {
      const widths = { imageDim: image.length, representationDim };
      if (this.trajectories === 0 && step === 0) Object.assign(this, widths);
      if (widths.imageDim !== this.imageDim || widths.representationDim !== this.representationDim) {
        throw this.source.fault(
          `trajectory ${this.trajectories}, step ${step}: expected image vectors of ${this.imageDim} and representations of ` +
            `${this.representationDim} floats as in the first step, got ${widths.imageDim} and ${widths.representationDim}`,
        );
      }
    });
  }

  /** Writes a shard to all data sets, the table of transitions last, and skips those that already have it. */
  private async write(steps: ImportedStep[]): Promise<void> {
    const shard = String(this.shards++).padStart(5, '0');
    const firstTid = this.transitions;
    this.transitions += steps.length;
    const range = { firstTid, transitions: steps.length };
    await this.commit('image-vectors', shard, `images-${shard}.arrow`, range, (path) => this.writeImages(path, steps));
    const written = ImageVectors.open([this.sets.get('image-vectors')!.path(`images-${shard}.arrow`)]);
    for (const id of written.ids()) this.imageIds.add(id);
    written.close();
    if (this.representationDim > 0) {
      await this.commit('representations', shard, `representations-${shard}.arrow`, range, (path) =>
        this.writeRepresentations(path, steps, firstTid),
      );
    }
    await this.commit('candidates', shard, `candidates-${shard}.parquet`, range, (path) =>
      writeTable(path, CANDIDATES, candidateRows(steps, firstTid, this.options.parse)),
    );
    await this.commit('trajectories', shard, `transitions-${shard}.parquet`, range, (path) =>
      writeTable(path, TRANSITIONS, transitionRows(steps, firstTid, this.options), {
        mcReturn: `as the imported file states it, or else with discount ${this.options.gamma ?? 0.95}`,
      }),
    );
  }

  private async commit(
    name: string,
    shard: string,
    file: string,
    facts: Shard['facts'],
    write: (path: string) => Promise<{ bytes: number; crc32: number; rows: number }>,
  ): Promise<void> {
    const set = this.sets.get(name)!;
    const { inputs, settings } = this;
    if (set.has(shard, { inputs, settings })) return;
    const written = await write(set.path(file));
    await set.commit({ shard, files: [{ file, ...written }], inputs, settings, facts });
  }

  /** Writes the vectors of a shard that no earlier shard has. */
  private async writeImages(path: string, steps: ImportedStep[]) {
    const writer = await ImageVectorWriter.open(path, this.imageDim);
    try {
      const here = new Set<string>();
      for (const { image, prevImage, nextImage, nextPrevImage } of steps) {
        for (const vector of [prevImage, image, nextPrevImage, nextImage]) {
          if (!vector) continue;
          const id = vectorId(vector);
          if (this.imageIds.has(id) || here.has(id)) continue;
          here.add(id);
          await writer.append(id, vector);
        }
      }
      return await writer.commit();
    } catch (error) {
      await writer.abort();
      throw this.misfit(error);
    }
  }

  private async writeRepresentations(path: string, steps: ImportedStep[], firstTid: number) {
    const dim = this.representationDim;
    const writer = await RepresentationWriter.open(path, dim, this.options.representations);
    try {
      for (const [i, { candidates, representations }] of steps.entries()) {
        const { taken, sampled } = representations();
        const rows = new Float32Array(candidates.length * dim);
        rows.set(taken);
        candidates.forEach(({ from }, k) => k > 0 && rows.set(sampled.subarray(from * dim, (from + 1) * dim), k * dim));
        await writer.append(firstTid + i, rows);
      }
      return await writer.commit();
    } catch (error) {
      await writer.abort();
      throw this.misfit(error);
    }
  }

  /** A vector with an invalid number is an error of the file. */
  private misfit(error: unknown): unknown {
    return error instanceof RangeError ? this.source.fault(error.message) : error;
  }

  /** Removes shards of an earlier, longer import into the same folder. */
  private async removeStale(): Promise<void> {
    for (const [name, set] of this.sets) {
      for (const { shard } of set.shards) {
        if (Number(shard) >= this.shards || (name === 'representations' && this.representationDim === 0)) {
          await set.remove(shard);
        }
      }
    }
  }
}

/** The content id of an imported vector, from its bytes, in the form of an image id. */
export function vectorId(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  return createHash('sha256').update(`vector ${vector.length}:`).update(bytes).digest('hex').slice(0, 32);
}

function* candidateRows(steps: ImportedStep[], firstTid: number, parse: DigiqImport['parse']): Generator<CandidateRow> {
  for (const [i, { candidates }] of steps.entries()) {
    yield {
      tid: firstTid + i,
      actions: candidates.map(({ action }) => action),
      counts: candidates.map(({ count }) => count),
      valid: candidates.map(({ action }) => parse(action).actionType !== INVALID),
      logProbs: candidates.map(() => NaN),
    };
  }
}

function* transitionRows(
  steps: ImportedStep[],
  firstTid: number,
  { gamma = 0.95, parse }: DigiqImport,
): Generator<Transition> {
  for (let start = 0, end: number; start < steps.length; start = end) {
    end = start;
    while (end < steps.length && steps[end].trajectory === steps[start].trajectory) end++;
    const trajectory = steps.slice(start, end);
    const rewards = trajectory.map(({ reward }) => reward);
    const returns = monteCarloReturns(rewards, gamma);
    const total = rewards.reduce((sum, reward) => sum + reward, 0);
    for (const [i, step] of trajectory.entries()) {
      const next = trajectory[i + 1];
      const image = vectorId(step.image);
      yield {
        tid: firstTid + start + i,
        trajectory: step.trajectory!,
        step: i,
        task: step.task,
        goal: step.task,
        family: '',
        prompt: step.prompt,
        prevAction: i === 0 ? '' : trajectory[i - 1].candidates[0].action,
        action: step.candidates[0].action,
        ...parse(step.candidates[0].action),
        policy: null,
        temperature: null,
        image,
        prevImage: step.prevImage ? vectorId(step.prevImage) : '',
        nextImage: vectorId(step.nextImage),
        nextPrevImage: step.nextPrevImage ? vectorId(step.nextPrevImage) : '',
        reward: step.reward,
        done: step.done,
        truncated: false,
        mcReturn: step.mcReturn ?? returns[i],
        trajectoryReward: step.trajectoryReward ?? total,
        nextPrompt: step.nextPrompt ?? next?.prompt ?? step.prompt,
        imagePath: step.imagePath,
      };
    }
  }
}
