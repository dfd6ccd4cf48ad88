import { LruCache } from './cache.js';
import { toOnnx } from './onnx.js';
import type { Parameters } from './parameters.js';
import { Binding, Runtime, Session, checkBuffers } from './runtime.js';
import { Tensor, TypedArray, allocate } from './tensor.js';

/** Sessions kept by default. A session of a pocket model takes a few MB; that of a large model, its activations. */
export const DEFAULT_SESSIONS = 16;

/** Input of a run: arrays, which are copied in, or a function that fills the bound arrays. */
export type Feeds = Readonly<Record<string, TypedArray>> | ((arrays: Readonly<Record<string, TypedArray>>) => void);

/** A session with all its arrays bound: parameters in place, feeds and results in arrays of its own. */
export class Bound {
  private constructor(
    private readonly session: Session,
    private readonly binding: Binding,
    private readonly feeds: Readonly<Record<string, TypedArray>>,
    private readonly results: Readonly<Record<string, TypedArray>>,
  ) {}

  /**
   * @param shared arrays that are bound in place (or on the device, if there is one) and stay there: parameters and
   * gradients. Names that the model does not have are ignored.
   */
  static async open(
    runtime: Runtime,
    outputs: Readonly<Record<string, Tensor>>,
    shared: Readonly<Record<string, TypedArray>>,
    threads?: number,
  ): Promise<Bound> {
    const session = await runtime.session(toOnnx(outputs), threads);
    const own = (specs: Session['inputs']) =>
      Object.fromEntries(
        specs.filter(({ name }) => !(name in shared)).map(({ name, dtype, shape }) => [name, allocate(dtype, shape)]),
      );
    const [feeds, results] = [own(session.inputs), own(session.outputs)];
    const used = [...session.inputs, ...session.outputs].filter(({ name }) => name in shared);
    const inPlace = Object.fromEntries(used.map(({ name }) => [name, shared[name]]));
    for (const array of Object.values(inPlace)) runtime.resident(array);
    return new Bound(session, session.bind({ ...inPlace, ...feeds, ...results }), feeds, results);
  }

  /** names of the inputs that every run must feed */
  get feedNames(): string[] {
    return Object.keys(this.feeds);
  }

  /** Copies the feeds in, runs, and returns copies of the results. */
  async run(where: string, feeds: Feeds): Promise<Record<string, TypedArray>> {
    if (typeof feeds === 'function') feeds(this.feeds);
    else {
      checkBuffers(
        where,
        this.session.inputs.filter(({ name }) => name in this.feeds),
        feeds,
      );
      for (const [name, data] of Object.entries(feeds)) (this.feeds[name] as Float32Array).set(data as Float32Array);
    }
    await this.binding.run();
    return Object.fromEntries(Object.entries(this.results).map(([name, data]) => [name, data.slice()]));
  }

  close(): void {
    this.binding.close();
    this.session.close();
  }
}

/** Runs jobs one at a time, in the order in which they were added. */
export class Queue {
  private last: Promise<unknown> = Promise.resolve();

  add<T>(job: () => Promise<T>): Promise<T> {
    const result = this.last.then(job);
    this.last = result.catch(() => undefined);
    return result;
  }
}

/** A model for inference. Each bucket (say, a padded batch size and length) has a session; parameters are never copied. */
export class Forward<Bucket> {
  private readonly sessions: LruCache<Bound>;
  private readonly queue = new Queue();

  /**
   * @param build returns the outputs by name for the parameters and a bucket; all other graph inputs are feeds
   * @param sessions number of buckets whose sessions are kept
   */
  constructor(
    private readonly runtime: Runtime,
    private readonly params: Parameters,
    private readonly build: (p: Record<string, Tensor>, bucket: Bucket) => Record<string, Tensor>,
    sessions = DEFAULT_SESSIONS,
  ) {
    this.sessions = new LruCache(sessions);
  }

  /** The outputs for these feeds, in new arrays. A feed function may find values of an earlier run in the arrays. */
  run(bucket: Bucket, feeds: Feeds): Promise<Record<string, TypedArray>> {
    return this.queue.add(async () => {
      const bound = await this.sessions.get(JSON.stringify(bucket), () =>
        Bound.open(this.runtime, this.build(this.params.inputs(), bucket), this.params.arrays()),
      );
      return bound.run('forward', feeds);
    });
  }

  close(): void {
    this.sessions.clear();
  }
}
