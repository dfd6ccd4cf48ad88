import type { CandidateRow, Transition } from '../src/data/transitions.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { Representations, STATE } from '../src/data/representations.js';
import type { StageContext } from '../src/runner/stage.js';
import { filesOf, readCandidates, readTransitions } from './datasets.js';

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
 * What the critic learns from: the texts of all transitions in memory, vectors and representations on disk, read by
 * position.
 */
export class CriticData {
  private constructor(
    readonly transitions: readonly CriticTransition[],
    readonly candidates: readonly CandidateRow[],
    readonly vectors: ImageVectors,
    readonly representations: Representations,
  ) {}

  /** The data sets `trajectories`, `candidates` and `representations` of the run. */
  static async open(ctx: StageContext<unknown>): Promise<CriticData> {
    const transitions = await readTransitions(ctx.dataset('trajectories'), 'collect', COLUMNS);
    const byTid = new Map((await readCandidates(ctx.dataset('candidates'), 'candidates')).map((row) => [row.tid, row]));
    const candidates = transitions.map(({ tid }) => byTid.get(tid)!);
    const vectors = ImageVectors.open(await filesOf(ctx.dataset('trajectories'), 'collect', '.vectors.arrow'));
    const files = await filesOf(ctx.dataset('representations'), 'represent', '.representations.arrow');
    return new CriticData(transitions, candidates, vectors, Representations.open(files));
  }

  /** Index of the transition after this one; itself at the end of its trajectory, where no value follows. */
  next(index: number): number {
    return this.transitions[index].done || index + 1 >= this.transitions.length ? index : index + 1;
  }

  /** Previous and current (`after`: next) image vectors of a state into `into` at row `row`. */
  readImages(index: number, after: boolean, into: Float32Array, row: number): void {
    const { image, prevImage, nextImage, nextPrevImage } = this.transitions[index];
    const { dim } = this.vectors;
    const [previous, current] = after ? [nextPrevImage, nextImage] : [prevImage, image];
    this.vectors.read(previous, into, 2 * row * dim);
    this.vectors.read(current, into, (2 * row + 1) * dim);
  }

  /** Representation of a candidate (0: the action taken) into `into` at row `row`. */
  readRep(index: number, candidate: number, into: Float32Array, row: number): void {
    this.representations.readRows(this.transitions[index].tid, [candidate], into, row * this.representations.dim);
  }

  /** Representation of the state alone into `into` at row `row`. */
  readStateRep(index: number, into: Float32Array, row: number): void {
    this.representations.readRows(this.transitions[index].tid, [STATE], into, row * this.representations.dim);
  }

  close(): void {
    this.vectors.close();
    this.representations.close();
  }
}
