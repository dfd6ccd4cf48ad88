import { readSafetensors, toFloat32, writeSafetensors } from '../data/safetensors.js';
import { RunError, UserError } from '../errors.js';
import { LruCache } from './cache.js';
import { Bound, DEFAULT_SESSIONS, Queue, parameterArrays } from './forward.js';
import { grad } from './grad.js';
import { accumulated } from './ops/matrix.js';
import type { Optimizer } from './optimizer.js';
import type { Parameters } from './parameters.js';
import type { Runtime } from './runtime.js';
import { OptimizerState } from './state.js';
import { Tensor, TypedArray, fail, input, sameShape } from './tensor.js';

export interface TrainerOptions<Bucket> {
  readonly runtime: Runtime;
  readonly params: Parameters;
  /** which parameters are trained; default all. Frozen ones get no gradient and no optimizer state. */
  readonly trainable?: (name: string) => boolean;
  readonly optimizer: Optimizer;
  /** the scalar to minimize, and values to be returned beside it, from the parameters and the bucket */
  readonly loss: (p: Record<string, Tensor>, bucket: Bucket) => { loss: Tensor; metrics?: Record<string, Tensor> };
  /** how many buckets' sessions are kept; default 16 */
  readonly sessions?: number;
}

const gradientName = (name: string) => `gradient of ${name}`;
const totalName = (name: string) => `gradients so far of ${name}`;

/**
 * Trains parameters in place. A step is one or more `accumulate` (graph A: forward, backward, gradients added up) and
 * one `apply` (graph B: averaging, clipping, the optimizer). Calls are carried out one after another.
 */
export class Trainer<Bucket> {
  private readonly sessions: LruCache<Bound>;
  private readonly queue = new Queue();
  private readonly state: OptimizerState;
  private pending = 0;

  constructor(private readonly options: TrainerOptions<Bucket>) {
    const { params, trainable = () => true, sessions = DEFAULT_SESSIONS } = options;
    const names = params.names().filter(trainable);
    if (names.length === 0) fail('trainer', `none of the ${params.names().length} parameters is trainable`);
    this.sessions = new LruCache(sessions);
    this.state = new OptimizerState(options.runtime, params, names, options.optimizer);
  }

  /** steps done so far */
  get step(): number {
    return this.state.step;
  }

  /**
   * Forward and backward for one micro-batch; the gradients are added to those since the last `apply`.
   * @returns the loss [1] and the metrics
   */
  accumulate(bucket: Bucket, feeds: Readonly<Record<string, TypedArray>>): Promise<Record<string, TypedArray>> {
    return this.queue.add(async () => {
      const adding = this.pending > 0;
      const key = `${adding ? 'add' : 'set'} ${JSON.stringify(bucket)}`;
      const bound = await this.sessions.get(key, () => this.open(bucket, adding));
      const results = await bound.run('accumulate', feeds);
      this.pending++;
      return results;
    });
  }

  /** Graph A. The first micro-batch of a step overwrites the gradients, which saves clearing and reading them. */
  private open(bucket: Bucket, adding: boolean): Promise<Bound> {
    const { runtime, params } = this.options;
    const inputs = params.inputs();
    const { loss, metrics = {} } = this.options.loss(inputs, bucket);
    const { names } = this.state;
    const gradients = grad(
      loss,
      names.map((name) => inputs[name]),
    );
    const outputs: Record<string, Tensor> = { ...metrics, loss };
    const shared = parameterArrays(params);
    names.forEach((name, i) => {
      const total = input(totalName(name), inputs[name].shape);
      outputs[gradientName(name)] = adding ? accumulated(total, gradients[i]) : gradients[i];
      shared[gradientName(name)] = shared[totalName(name)] = this.state.gradient(name);
    });
    return Bound.open(runtime, outputs, shared);
  }

  /**
   * One step of the optimizer on the gradients accumulated since the last.
   * @param accumulated the number that the summed gradients are divided by: the micro-batches
   * @returns the norm of the averaged gradient over all trained parameters, before clipping
   */
  apply(lr: number, accumulated: number): Promise<{ gradNorm: number }> {
    return this.queue.add(async () => {
      if (this.pending === 0) throw new RunError('apply: no gradients; call accumulate first');
      if (!(accumulated > 0)) throw new RunError(`apply: expected at least 1 micro-batch, got ${accumulated}`);
      const gradNorm = await this.state.apply(lr, accumulated);
      this.pending = 0;
      return { gradNorm };
    });
  }

  /** A copy of the gradient accumulated for a parameter, not yet averaged. */
  gradient(name: string): Float32Array {
    return this.state.gradient(name).slice();
  }

  /**
   * Writes the optimizer's state as safetensors: `<slot>.<parameter>`, the step, and gradients that await `apply`. With
   * the parameters' own file, training goes on from here bit by bit as if it had not stopped.
   */
  save(file: string): Promise<void> {
    return this.queue.add(async () => {
      const tensors = this.state.arrays(this.pending > 0);
      const metadata = { step: String(this.state.step), pending: String(this.pending) };
      await writeSafetensors(
        file,
        new Map([...tensors].map(([name, { shape, data }]) => [name, { dtype: 'F32' as const, shape, data }])),
        metadata,
      );
    });
  }

  /**
   * Takes over a state that `save` wrote for the same parameters and optimizer.
   * @throws UserError naming the file and the array that is missing, of another shape or too many
   */
  load(file: string): Promise<void> {
    return this.queue.add(async () => {
      const { tensors, metadata } = readSafetensors(file);
      const [step, pending] = [Number(metadata.step), Number(metadata.pending)];
      if (!Number.isSafeInteger(step) || step < 0 || !Number.isSafeInteger(pending) || pending < 0)
        throw new UserError(`${file}: not an optimizer state: step ${metadata.step}, pending ${metadata.pending}`);
      const arrays = this.state.arrays(pending > 0);
      for (const [name, { shape }] of arrays) {
        const stored = tensors.get(name);
        if (!stored || !sameShape(stored.shape, shape))
          throw new UserError(`${file}: ${name}: expected [${shape}], got ${stored ? `[${stored.shape}]` : 'none'}`);
      }
      if (tensors.size > arrays.size)
        throw new UserError(`${file}: expected ${arrays.size} arrays for these parameters, got ${tensors.size}`);
      for (const [name, { data }] of arrays) {
        data.set(toFloat32(tensors.get(name)!));
        tensors.delete(name);
      }
      this.state.step = step;
      this.pending = pending;
    });
  }

  /** Frees sessions and native memory. The parameters stay. */
  close(): void {
    this.sessions.clear();
    this.state.close();
  }
}
