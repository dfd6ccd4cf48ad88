import { TensorToStore, readSafetensors, toFloat32, writeSafetensors } from '../data/formats/safetensors.js';
import { RunError, UserError } from '../errors.js';
import { LruCache } from './cache.js';
import { Bound, DEFAULT_SESSIONS, Queue } from './forward.js';
import { grad } from './grad.js';
import { add } from './ops/elementwise.js';
import { accumulated } from './ops/matrix.js';
import type { Optimizer } from './optimizer.js';
import type { Parameters } from './parameters.js';
import type { Runtime } from './runtime.js';
import { snapshot, writable } from './residence.js';
import { OptimizerState } from './state.js';
import { Tensor, TypedArray, fail, input, sameShape } from './tensor.js';

export interface TrainerOptions<Bucket> {
  readonly runtime: Runtime;
  readonly params: Parameters;
  /** which parameters are trained; default all. The others are frozen: no gradient and no optimizer state. */
  readonly trainable?: (name: string) => boolean;
  readonly optimizer: Optimizer;
  /** the scalar to minimize, and metrics to return with it, for the parameters and a bucket */
  readonly loss: (p: Record<string, Tensor>, bucket: Bucket) => { loss: Tensor; metrics?: Record<string, Tensor> };
  /** number of buckets whose sessions are kept; default 16 */
  readonly sessions?: number;
  /**
   * number of micro-batches of a step that run at the same time, each with its own gradients and its share of the
   * runtime's threads; default 1. Graphs of many small operations gain more from lanes than from threads per operation.
   */
  readonly lanes?: number;
}

/** A queue of micro-batches with its own gradients. */
class Lane {
  readonly queue = new Queue();
  /** number of micro-batches accumulated in its gradients */
  pending = 0;
}

const CLOSED = 'trainer: already closed';
const gradientName = (name: string) => `gradient of ${name}`;
const totalName = (name: string) => `gradients so far of ${name}`;

/**
 * Trains parameters in place. A step is one or more calls of `accumulate` (graph A: forward, backward, gradient
 * accumulation) and one of `apply` (graph B: averaging, clipping, the optimizer). Calls run one after another, except
 * micro-batches in different lanes. The lane of a micro-batch depends only on its number in the step.
 */
export class Trainer<Bucket> {
  private readonly sessions: LruCache<Bound>;
  private readonly lanes: readonly Lane[];
  private readonly state: OptimizerState;
  /** number of the step's next micro-batch */
  private next = 0;
  private closed = false;

  constructor(private readonly options: TrainerOptions<Bucket>) {
    const { params, trainable = () => true, sessions = DEFAULT_SESSIONS, lanes = 1 } = options;
    if (!Number.isInteger(lanes) || lanes < 1) fail('trainer', `lanes: expected at least 1, got ${lanes}`);
    const names = params.names().filter(trainable);
    if (names.length === 0)
      fail('trainer', `all ${params.names().length} parameters are frozen, expected at least one to train`);
    this.sessions = new LruCache(sessions * lanes);
    this.lanes = Array.from({ length: lanes }, () => new Lane());
    this.state = new OptimizerState(options.runtime, params, names, options.optimizer, lanes);
  }

  /** number of steps done */
  get step(): number {
    return this.state.step;
  }

  /**
   * Forward and backward pass for one micro-batch. The gradients are added to those since the last `apply`.
   * @returns the loss [1] and the metrics
   */
  accumulate(bucket: Bucket, feeds: Readonly<Record<string, TypedArray>>): Promise<Record<string, TypedArray>> {
    if (this.closed) return Promise.reject(new RunError(CLOSED));
    const number = this.next++ % this.lanes.length;
    const lane = this.lanes[number];
    return lane.queue.add(async () => {
      const adding = lane.pending > 0;
      const key = `${number} ${adding ? 'add' : 'set'} ${JSON.stringify(bucket)}`;
      const bound = await this.sessions.get(key, () => this.open(bucket, number, adding));
      const results = await bound.run('accumulate', feeds);
      lane.pending++;
      return results;
    });
  }

  /** Builds graph A. The first micro-batch of a step overwrites the gradients, which saves clearing and reading them. */
  private open(bucket: Bucket, lane: number, adding: boolean): Promise<Bound> {
    const { runtime, params } = this.options;
    const inputs = params.inputs();
    const { loss, metrics = {} } = this.options.loss(inputs, bucket);
    const { names } = this.state;
    const gradients = grad(
      loss,
      names.map((name) => inputs[name]),
    );
    const outputs: Record<string, Tensor> = { ...metrics, loss };
    const shared: Record<string, TypedArray> = params.arrays();
    // A product that adds to its own output is known to work in place only on the CPU.
    const plus = runtime.device === 'cpu' ? accumulated : add;
    names.forEach((name, i) => {
      const total = input(totalName(name), inputs[name].shape);
      outputs[gradientName(name)] = adding ? plus(total, gradients[i]) : gradients[i];
      shared[gradientName(name)] = shared[totalName(name)] = this.state.gradient(name, lane);
    });
    return Bound.open(runtime, outputs, shared, Math.max(1, Math.floor(runtime.threads / this.lanes.length)));
  }

  /**
   * One optimizer step on the gradients accumulated since the last step.
   * @param accumulated the number of micro-batches, by which the summed gradients are divided
   * @returns the norm of the averaged gradient over all trained parameters, before clipping
   */
  apply(lr: number, accumulated: number): Promise<{ gradNorm: number }> {
    this.next = 0;
    return this.alone(async () => {
      if (this.gathered() === 0) throw new RunError('apply: no gradients; call accumulate first');
      if (!(accumulated > 0)) throw new RunError(`apply: expected at least 1 micro-batch, got ${accumulated}`);
      const gradNorm = await this.state.apply(lr, accumulated);
      this.lanes[0].pending = 0;
      return { gradNorm };
    });
  }

  /** Runs a job after all earlier calls and before all later ones. */
  private alone<T>(job: () => Promise<T>): Promise<T> {
    if (this.closed) return Promise.reject(new RunError(CLOSED));
    const ready = Promise.all(this.lanes.map(({ queue }) => queue.add(() => Promise.resolve())));
    const result = ready.then(job);
    const done = result.then(
      () => undefined,
      () => undefined,
    );
    for (const { queue } of this.lanes) void queue.add(() => done);
    return result;
  }

  /** Adds up the gradients of all lanes, in order. @returns the number of micro-batches in the sum */
  private gathered(): number {
    const [first, ...others] = this.lanes;
    others.forEach((lane, i) => {
      if (lane.pending === 0) return;
      this.state.fold(i + 1);
      first.pending += lane.pending;
      lane.pending = 0;
    });
    return first.pending;
  }

  /** A copy of a parameter's accumulated gradient, not yet averaged. */
  gradient(name: string): Float32Array {
    if (this.closed) throw new RunError(CLOSED);
    this.gathered();
    return snapshot(this.state.gradient(name)).slice();
  }

  /**
   * Writes the optimizer's state as safetensors: `<slot>.<parameter>`, the step, and gradients not yet applied. From
   * this and the file of the parameters, training continues bit-identically.
   */
  save(file: string): Promise<void> {
    return this.alone(async () => {
      const pending = this.gathered();
      const tensors = this.state.arrays(pending > 0);
      const stored = [...tensors].map(([name, { shape, data }]): [string, TensorToStore] => [
        name,
        { dtype: 'F32', shape, data: snapshot(data) },
      ]);
      const metadata = { step: String(this.state.step), pending: String(pending) };
      await writeSafetensors(file, new Map(stored), metadata);
    });
  }

  /**
   * Loads a state that `save` wrote for the same parameters and optimizer.
   * @throws UserError with the file and the array that is missing, unexpected or of another shape
   */
  load(file: string): Promise<void> {
    return this.alone(async () => {
      const { tensors, metadata } = readSafetensors(file);
      const [step, pending] = [Number(metadata.step), Number(metadata.pending)];
      if (!Number.isSafeInteger(step) || step < 0 || !Number.isSafeInteger(pending) || pending < 0)
        throw new UserError(
          `${file}: not an optimizer state: expected whole numbers as step and pending, got ${metadata.step} and ${metadata.pending}`,
        );
      const arrays = this.state.arrays(pending > 0);
      for (const [name, { shape }] of arrays) {
        const stored = tensors.get(name);
        if (!stored || !sameShape(stored.shape, shape))
          throw new UserError(
            `${file}: ${name}: expected an array of shape [${shape}], got ${stored ? `[${stored.shape}]` : 'none'}`,
          );
      }
      if (tensors.size > arrays.size)
        throw new UserError(`${file}: expected ${arrays.size} arrays for the trained parameters, got ${tensors.size}`);
      for (const [name, { data }] of arrays) {
        writable(data).set(toFloat32(tensors.get(name)!));
        tensors.delete(name);
      }
      this.state.step = step;
      for (const lane of this.lanes) lane.pending = 0;
      this.lanes[0].pending = this.next = pending;
    });
  }

  /** Frees the sessions and the optimizer's memory. The parameters stay. */
  close(): void {
    this.closed = true;
    this.sessions.clear();
    this.state.close();
  }
}
