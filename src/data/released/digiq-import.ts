import { join } from 'node:path';
import { digiqTrajectory, type ImportedStep, type StoredStep } from './digiq-layout.js';
import { layoutOf, stacked, type FrameLayout } from './frames.js';
import type { Pictures } from './pictures.js';
import { candidateRows, transitionRows, vectorId } from './rows.js';
import { screenLayoutOf, screensOf, type ScreenLayout } from './screens.js';
import { Tuple } from '../formats/pickle.js';
import { ImageVectorWriter } from '../image-vectors.js';
import { ImageStore } from '../images.js';
import { fingerprint, openDataset, type Dataset, type Shard } from '../store/manifest.js';
import { RepresentationWriter } from '../representations.js';
import { writeTable } from '../tables.js';
import { UserError } from '../../errors.js';
import { TorchFile } from '../formats/torch.js';
import { CANDIDATES, TRANSITIONS, type ActionColumns } from '../transitions.js';
import type { VectorType } from '../vectors.js';

export interface DigiqImport {
  /** parses an action text (`actionColumns`); the grammar of actions is in a higher layer */
  readonly parse: (action: string) => ActionColumns;
  /** discount of the Monte Carlo returns, which are computed from the rewards; those of the file have another one @default 0.95 */
  readonly gamma?: number;
  /** how representations are stored: float16 (default, half the size) or float32 (exact) */
  readonly representations?: VectorType;
  /** what image_features holds; `auto`: by the first trajectory @default auto */
  readonly images?: 'auto' | FrameLayout;
  /** whether image_path is the screen before or after the action; `auto`: by the first trajectory @default auto */
  readonly screens?: 'auto' | ScreenLayout;
  /** the screenshots that the file names, to store under the ids of their vectors */
  readonly pictures?: Pictures;
  /** approximate number of transitions per shard, which has whole trajectories */
  readonly shardSize?: number;
  /** called after each trajectory with the totals so far */
  readonly onProgress?: (trajectories: number, transitions: number) => void;
}

/** Counts of an import. */
export interface Imported {
  readonly trajectories: number;
  /** trajectories without steps, which are left out */
  readonly empty: number;
  readonly transitions: number;
  readonly shards: number;
  /** floats per image vector and per representation (0 if the file has none) */
  readonly imageDim: number;
  readonly representationDim: number;
  /** what image_features holds, and which screen image_path names */
  readonly images: FrameLayout;
  readonly screens: ScreenLayout;
  /** whether the file has candidates; if not, `critiq candidates` samples them */
  readonly candidates: boolean;
  /** screenshots that were stored, and paths that had none; undefined without `pictures` */
  readonly pictures?: { readonly stored: number; readonly missing: number };
}

/** The data sets in the run's folder that an import writes. */
export const IMPORTED = ['image-vectors', 'representations', 'candidates', 'trajectories'] as const;

/**
 * Imports a torch.save file with the layout of the released data sets (docs/algorithms.md §0: a list of trajectories, each a
 * list of steps) into critiq's data sets `trajectories`, `candidates`, `representations` and `image-vectors` in `folder`. It
 * stacks the frames of files with one vector a step, reads one trajectory at a time, executes nothing and commits shard by shard; when run again, it skips existing shards.
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
  private layout?: { readonly images: FrameLayout; readonly screens: ScreenLayout; readonly candidates: boolean };
  /** trajectories in the file so far, those without steps included */
  private seen = 0;
  private trajectories = 0;
  private transitions = 0;
  private bytes = 0;
  private shards = 0;
  private imageDim = 0;
  private representationDim = 0;
  private readonly store: ImageStore;
  private stored = 0;
  private missing = 0;

  constructor(
    private readonly source: TorchFile,
    private readonly folder: string,
    private readonly options: DigiqImport,
  ) {
    const { gamma = 0.95, representations = 'float16', images = 'auto', screens = 'auto', shardSize = 1000 } = options;
    // rules: rises when the same file and settings give other rows
    this.settings = fingerprint({ gamma, representations, images, screens, shardSize, rules: 2 });
    this.inputs = fingerprint({ crc32: source.crc32, size: source.size });
    this.store = new ImageStore(join(folder, 'images'));
  }

  async run(): Promise<Imported> {
    for (const name of IMPORTED) this.sets.set(name, await openDataset(join(this.folder, name), { stage: 'import digiq' }));
    const shardSize = this.options.shardSize ?? 1000;
    let steps: ImportedStep[] = [];
    for (const item of this.trajectoriesOf()) {
      const trajectory = this.placed(digiqTrajectory(this.source, item, this.seen));
      if (trajectory.length > 0) {
        this.checkWidths(trajectory);
        this.checkSharing(trajectory);
        await this.storePictures(trajectory);
        steps.push(...this.named(trajectory));
        this.trajectories++;
      }
      this.seen++;
      if (steps.length >= shardSize) {
        await this.write(steps);
        steps = [];
      }
      this.options.onProgress?.(this.trajectories, this.transitions + steps.length);
    }
    if (steps.length > 0) await this.write(steps);
    if (!this.layout) {
      const got = this.seen === 0 ? 'an empty one' : `${this.seen} without steps`;
      throw this.source.fault(`expected a list of trajectories, got ${got}`);
    }
    await this.store.sync();
    await this.removeStale();
    const { trajectories, transitions, shards, imageDim, representationDim, stored, missing } = this;
    return {
      ...{ trajectories, transitions, shards, imageDim, representationDim, ...this.layout },
      empty: this.seen - trajectories,
      ...(this.options.pictures ? { pictures: { stored, missing } } : {}),
    };
  }

  /** The items of the file's list, or of a tuple. */
  private *trajectoriesOf(): Generator<unknown> {
    for (const item of this.source.items()) {
      const whole = this.seen === 0 && item instanceof Tuple && !item.items.some((part) => part instanceof Map);
      if (whole) yield* item.items;
      else yield item;
    }
  }

  /**
   * Stacks a trajectory's frames and shifts its paths. The first trajectory with steps decides how, unless the options do.
   * @throws UserError if a later one is stored otherwise
   */
  private placed(steps: readonly StoredStep[]): ImportedStep[] {
    if (steps.length === 0) return [];
    const frames = steps.map((step) => step.frames);
    const screens = steps.map((step) => step.screens);
    const { images = 'auto', screens: asked = 'auto' } = this.options;
    this.layout ??= {
      images: images === 'auto' ? layoutOf(frames) : images,
      screens: asked === 'auto' ? screenLayoutOf(screens, steps[0].step ?? 0) : asked,
      candidates: steps.some(({ sampled }) => sampled),
    };
    const { layout } = this;
    if (images === 'auto' && layout.images === 'pair' && layoutOf(frames) === 'single') {
      throw this.source.fault(
        `trajectory ${this.seen}: expected image_features of two frames side by side, as in the first trajectory, but a ` +
          'step does not begin with the frame that the step before it ends with; say what they are with import.images=pair ' +
          'or import.images=single',
      );
    }
    const late = layout.candidates ? -1 : steps.findIndex(({ sampled }) => sampled);
    if (late >= 0) {
      throw this.source.fault(
        `trajectory ${this.seen}, step ${late}: has candidates or representations, but the first trajectory has none`,
      );
    }
    const [placed, named] = [stacked(frames, layout.images), screensOf(screens, layout.screens)];
    return steps.map((step, i) => ({ ...step, ...placed[i], ...named[i] }));
  }

  /** Stores the screenshots of a trajectory under the ids of their vectors. */
  private async storePictures(steps: readonly ImportedStep[]): Promise<void> {
    const { pictures } = this.options;
    if (!pictures) return;
    let found = 0;
    const wanted = steps.flatMap(({ image, imagePath, nextImage, nextImagePath }) => [
      { vector: image, path: imagePath },
      { vector: nextImage, path: nextImagePath },
    ]);
    const done = new Set<string>();
    for (const { vector, path } of wanted) {
      const id = vectorId(vector);
      if (path === '' || done.has(id)) continue;
      done.add(id);
      if (!(await this.store.has(id))) {
        const frame = await pictures.read(path);
        if (!frame) {
          this.missing++;
          continue;
        }
        await this.store.putAs(id, frame);
      }
      found++;
    }
    if (found === 0 && this.stored === 0 && this.trajectories === 0) {
      throw new UserError(
        `${pictures.from}: has no screenshot of the first trajectory, for example ${steps[0].imagePath || '(the file names none)'}; ` +
          'give the folder or zip with the pictures of this file',
      );
    }
    this.stored += found;
  }

  /** Trajectories keep their traj_id. If it is missing or repeated, their number is added to it. */
  private named(trajectory: ImportedStep[]): ImportedStep[] {
    const stated = trajectory[0].trajectory;
    const id = stated !== undefined && !this.trajectoryIds.has(stated) ? stated : `${stated ?? ''}#${this.seen}`;
    this.trajectoryIds.add(id);
    return trajectory.map((step) => ({ ...step, trajectory: id }));
  }

  /**
   * A pickle may contain the same object many times, so a small file could expand without limit. Arrays that neighbouring
   * steps share expand to less than eight times the file's size.
   */
  private checkSharing(trajectory: ImportedStep[]): void {
    for (const { frames, representationDim, candidates } of trajectory) {
      const { current, next } = frames;
      this.bytes += 4 * (current.length + (next?.length ?? 0) + representationDim * candidates.length);
    }
    if (this.bytes > SHARING * this.source.size) {
      throw this.source.fault(`refused: its steps expand to more than ${SHARING} times the file's size`);
    }
  }

  private checkWidths(trajectory: ImportedStep[]): void {
    trajectory.forEach(({ image, representationDim }, step) => {
      if (image.length === 0)
        throw this.source.fault(`refused: trajectory ${this.seen}, step ${step}: image_features has no numbers`);
      const widths = { imageDim: image.length, representationDim };
      if (this.trajectories === 0 && step === 0) Object.assign(this, widths);
      if (widths.imageDim !== this.imageDim || widths.representationDim !== this.representationDim) {
        throw this.source.fault(
          `trajectory ${this.seen}, step ${step}: expected image vectors of ${this.imageDim} and representations of ` +
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
    if (this.representationDim > 0) {
      await this.commit('representations', shard, `representations-${shard}.arrow`, range, (path) =>
        this.writeRepresentations(path, steps, firstTid),
      );
    }
    if (this.layout!.candidates) {
      await this.commit('candidates', shard, `candidates-${shard}.parquet`, range, (path) =>
        writeTable(path, CANDIDATES, candidateRows(steps, firstTid, this.options.parse)),
      );
    }
    await this.commit('trajectories', shard, `transitions-${shard}.parquet`, range, (path) =>
      writeTable(path, TRANSITIONS, transitionRows(steps, firstTid, this.options.gamma ?? 0.95, this.options.parse), {
        mcReturn: `computed from the rewards of the imported file, discount ${this.options.gamma ?? 0.95}`,
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

  /** Writes the distinct vectors of a shard, also those that an earlier shard has: stages read one shard of each data set. */
  private async writeImages(path: string, steps: ImportedStep[]) {
    const writer = await ImageVectorWriter.open(path, this.imageDim);
    try {
      const here = new Set<string>();
      for (const { image, prevImage, nextImage, nextPrevImage } of steps) {
        for (const vector of [prevImage, image, nextPrevImage, nextImage]) {
          const id = vectorId(vector);
          if (here.has(id)) continue;
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
        const unused =
          (name === 'representations' && this.representationDim === 0) ||
          (name === 'candidates' && !this.layout!.candidates);
        if (Number(shard) >= this.shards || unused) {
          await set.remove(shard);
        }
      }
    }
  }
}
