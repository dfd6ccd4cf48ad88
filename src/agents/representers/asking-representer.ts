import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import PQueue from 'p-queue';
import type { Frame } from '../../data/formats/frame.js';
import { RunError } from '../../errors.js';
import { CURSOR, frameWithCursor } from '../../models/cursor.js';
import type { AnswerCache } from './answer-cache.js';
import type { RepresentedState, Representer, RepresentOptions } from './representer.js';
import { vlmPrompt } from './vlm-prompt.js';

/** A question to a VLM: a picture and a text. */
export interface VlmQuestion {
  /** names the question; equal for equal pictures and texts */
  readonly key: string;
  /** the screenshot, with a cursor for taps */
  readonly frame: Frame;
  readonly text: string;
}

/** A slow VLM that answers each question with a vector. */
export interface AskedVlm {
  /** what decides its vectors besides the question and the model: the position and the answer */
  readonly manner: string;
  /** most questions at the same time */
  readonly concurrency: number;
  /**
   * @param dim expected length of the vector; undefined: not known yet
   * @returns a checked vector
   * @throws UserError or RunError if there is no answer
   */
  vector(question: VlmQuestion, dim: number | undefined, signal: AbortSignal): Promise<Float32Array>;
}

/** Counts of questions. */
export interface AskedCounts {
  /** questions that the VLM answered */
  calls: number;
  /** questions that the cache answered */
  hits: number;
}

interface Pending {
  readonly key: string;
  readonly state: RepresentedState;
  readonly action: string;
}

/**
 * Asks a VLM one question for each distinct screenshot and action. Each answer is cached on disk by content as it arrives,
 * so other states, stages and runs do not ask again, and a killed run loses no answers.
 */
export class AskingRepresenter implements Representer {
  /** 32 states with 64 actions of 4096 floats are 34 MB */
  readonly chunk = 32;
  readonly counts: AskedCounts = { calls: 0, hits: 0 };

  constructor(
    private readonly vlm: AskedVlm,
    private readonly cache: AnswerCache,
    /** floats in a vector, if the model's own files say */
    private readonly dim?: number,
  ) {}

  calls(states: readonly RepresentedState[]): number {
    const unknown = new Set<string>();
    for (const state of states) {
      for (const action of state.actions) {
        const key = this.key(state, action);
        if (!this.cache.has(key)) unknown.add(key);
      }
    }
    return unknown.size;
  }

  async represent(states: readonly RepresentedState[], options: RepresentOptions = {}): Promise<Float32Array[]> {
    const keys = states.map((state) => state.actions.map((action) => this.key(state, action)));
    const vectors = new Map<string, Float32Array>();
    const pending = new Map<string, Pending>();
    states.forEach((state, i) =>
      state.actions.forEach((action, j) => {
        const key = keys[i][j];
        if (vectors.has(key) || pending.has(key)) return;
        const known = this.cache.get(key);
        if (known) vectors.set(key, known);
        else pending.set(key, { key, state, action });
      }),
    );
    this.counts.hits += vectors.size;
    await this.ask([...pending.values()], vectors, options);
    return keys.map((row) => {
      const { length: dim } = vectors.get(row[0])!;
      const out = new Float32Array(row.length * dim);
      row.forEach((key, i) => out.set(vectors.get(key)!, i * dim));
      return out;
    });
  }

  /** Asks the pending questions; answers go into `vectors` and the cache. The first failure ends it and keeps the answers. */
  private async ask(
    pending: readonly Pending[],
    vectors: Map<string, Float32Array>,
    { signal, onCall }: RepresentOptions,
  ): Promise<void> {
    const stop = new AbortController();
    // each request in flight listens to it
    setMaxListeners(0, stop.signal);
    const abort = (): void => stop.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener('abort', abort, { once: true });
    const frames = new Frames(pending);
    let failure: { error: unknown } | undefined;
    const answer = async ({ key, state, action }: Pending): Promise<Float32Array> => {
      const { text, cursor } = vlmPrompt(state.goal, action);
      const bare = await frames.take(state);
      const frame = cursor ? frameWithCursor(bare, cursor) : bare;
      const vector = await this.vlm.vector({ key, frame, text }, this.cache.dim ?? this.dim, stop.signal);
      this.counts.calls++;
      return vector;
    };
    const keep = (key: string, vector: Float32Array): void => {
      this.cache.put(key, vector);
      vectors.set(key, vector);
      onCall?.();
    };
    const one = async (question: Pending): Promise<void> => {
      if (stop.signal.aborted || vectors.has(question.key)) return;
      try {
        keep(question.key, await answer(question));
      } catch (error) {
        failure ??= { error };
        stop.abort();
      }
    };
    try {
      if ((this.cache.dim ?? this.dim) === undefined) await learnWidth(pending, answer, keep);
      const queue = new PQueue({ concurrency: this.vlm.concurrency });
      for (const question of pending) void queue.add(() => one(question));
      await queue.onIdle();
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    signal?.throwIfAborted();
    if (failure) throw failure.error;
  }

  /** A hash of everything that decides a vector, except for the model, which the cache's folder names. */
  private key({ goal, image }: RepresentedState, action: string): string {
    const { text, cursor } = vlmPrompt(goal, action);
    const content = [this.vlm.manner, text, image, cursor ? [CURSOR, ...cursor] : null];
    return createHash('sha256').update(JSON.stringify(content)).digest('hex');
  }
}

/** Most answers while their widths keep changing. */
const MOST_WIDTHS = 8;

/**
 * Asks until two answers in a row have the same width, since a single answer of an unknown model may be wrong. Keeps both.
 * If there is only one question, its answer is kept as it is.
 */
async function learnWidth(
  pending: readonly Pending[],
  answer: (question: Pending) => Promise<Float32Array>,
  keep: (key: string, vector: Float32Array) => void,
): Promise<void> {
  const widths: number[] = [];
  let last: { key: string; vector: Float32Array } | undefined;
  for (let n = 0; n < MOST_WIDTHS && pending.length > 0; n++) {
    const question = pending[n % Math.min(2, pending.length)];
    const vector = await answer(question);
    if (pending.length === 1) return keep(question.key, vector);
    if (last?.vector.length === vector.length) {
      keep(last.key, last.vector);
      return keep(question.key, vector);
    }
    widths.push(vector.length);
    last = { key: question.key, vector };
  }
  if (pending.length > 0) {
    throw new RunError(
      `the VLM's answers have changing widths: ${widths.join(', ')} floats; check that one server with one model answers`,
    );
  }
}

/** Decodes each screenshot once and holds it until the last question about it has taken it. */
class Frames {
  private readonly left = new Map<string, number>();
  private readonly decoded = new Map<string, Promise<Frame>>();

  constructor(pending: readonly Pending[]) {
    for (const { state } of pending) this.left.set(state.image, (this.left.get(state.image) ?? 0) + 1);
  }

  take({ image, frame }: RepresentedState): Promise<Frame> {
    let found = this.decoded.get(image);
    if (!found) {
      found = frame();
      this.decoded.set(image, found);
    }
    const left = this.left.get(image)! - 1;
    this.left.set(image, left);
    if (left <= 0) this.decoded.delete(image);
    return found;
  }
}
