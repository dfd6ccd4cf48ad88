import type { CriticFeeds, Feeds } from '../../src/agents/critic/critic-feeds.js';
import type { CandidateRow, Transition } from '../../src/data/transitions.js';
import { ImageVectors } from '../../src/data/image-vectors.js';
import { Representations, STATE } from '../../src/data/representations.js';
import type { StageContext } from '../../src/runner/stage.js';
import { filesOf, readCandidates, readTransitions } from '../datasets.js';

const COLUMNS = [
  'tid',
  'trajectory',
  'goal',
  'prevAction',
  'action',
  'image',
  'prevImage',
  'nextImage',
  'nextPrevImage',
  'reward',
  'done',
  'mcReturn',
] as const;

export type CriticTransition = Pick<Transition, (typeof COLUMNS)[number]>;

/**
 * The training data of the critic: the texts of all transitions in memory; vectors and representations on disk, read on
 * demand.
 */
export class CriticData {
  private constructor(
    readonly transitions: readonly CriticTransition[],
    readonly candidates: readonly CandidateRow[],
    readonly vectors: ImageVectors,
    readonly representations: Representations,
  ) {}

  /** The data sets `trajectories`, `image-vectors`, `candidates` and `representations` of the run. */
  static async open(ctx: Pick<StageContext<unknown>, 'dataset'>): Promise<CriticData> {
    const transitions = await readTransitions(ctx.dataset('trajectories'), 'collect', COLUMNS);
    const byTid = new Map((await readCandidates(ctx.dataset('candidates'), 'candidates')).map((row) => [row.tid, row]));
    const candidates = transitions.map(({ tid }) => byTid.get(tid)!);
    const vectors = ImageVectors.open(await filesOf(ctx.dataset('image-vectors'), 'collect'));
    const files = await filesOf(ctx.dataset('representations'), 'represent');
    return new CriticData(transitions, candidates, vectors, Representations.open(files));
  }

  /** Index of the next transition; the same one at the end of its trajectory, where no value follows. */
  next(index: number): number {
    return this.transitions[index].done || index + 1 >= this.transitions.length ? index : index + 1;
  }

  /** Reads the image vectors of a state (its previous and current screen) into row `row`. @param after the next state */
  readImages(index: number, after: boolean, into: Float32Array, row: number): void {
    const { image, prevImage, nextImage, nextPrevImage } = this.transitions[index];
    const { dim } = this.vectors;
    const [previous, current] = after ? [nextPrevImage, nextImage] : [prevImage, image];
    this.vectors.read(previous, into, 2 * row * dim);
    this.vectors.read(current, into, (2 * row + 1) * dim);
  }

  /** Reads the representation of a candidate (0: the action taken) into row `row`. */
  readRep(index: number, candidate: number, into: Float32Array, row: number): void {
    this.representations.readRows(this.transitions[index].tid, [candidate], into, row * this.representations.dim);
  }

  /** Reads the representation of the state alone into row `row`. */
  readStateRep(index: number, into: Float32Array, row: number): void {
    this.representations.readRows(this.transitions[index].tid, [STATE], into, row * this.representations.dim);
  }

  close(): void {
    this.vectors.close();
    this.representations.close();
  }
}

/** Feeds of the critic's graphs (src/models/critic/network.ts) for transitions, given by their indices. */
export class CriticInputs {
  /** @param stateRep length of the state representation that the critic takes; 0: none */
  constructor(
    private readonly data: CriticData,
    private readonly feeds: CriticFeeds,
    private readonly stateRep: number,
  ) {}

  /** Feeds of `stateInputs` for the states before some transitions, or after them (`after`). */
  async state(prefix: string, rows: readonly number[], after: boolean): Promise<Feeds> {
    const { data, feeds } = this;
    const texts = rows.map((row) => {
      const { goal, prevAction, action } = data.transitions[row];
      return { goal, previous: after ? action : prevAction };
    });
    const images = new Float32Array(rows.length * 2 * data.vectors.dim);
    rows.forEach((row, i) => data.readImages(row, after, images, i));
    const reps = new Float32Array(rows.length * this.stateRep);
    if (reps.length > 0) rows.forEach((row, i) => data.readStateRep(after ? data.next(row) : row, reps, i));
    return {
      ...(await feeds.states(prefix, texts)),
      [`${prefix}images`]: images,
      ...(reps.length > 0 ? { [`${prefix}rep`]: reps } : {}),
    };
  }

  /** Feeds of `actionInputs` for one candidate of each transition. */
  async action(prefix: string, rows: readonly number[], candidates: readonly number[]): Promise<Feeds> {
    const { data, feeds } = this;
    const reps = new Float32Array(rows.length * data.representations.dim);
    rows.forEach((row, i) => data.readRep(row, candidates[i], reps, i));
    const texts = rows.map((row, i) => data.candidates[row].actions[candidates[i]]);
    return { ...(await feeds.actions(prefix, texts)), [`${prefix}rep`]: reps };
  }
}
