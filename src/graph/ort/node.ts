import { Worker } from 'node:worker_threads';
import { RunError } from '../../errors.js';
import type { OnnxModel, Spec } from '../onnx.js';
import { writable } from '../residence.js';
import { Binding, Runtime, Session, checkBuffers, runOnce } from '../runtime.js';
import { TypedArray, allocate } from '../tensor.js';

/** Requests of the main thread to the worker. Both see the arrays, which are in shared memory; see `SharedArray`. */
export type Request =
  | { kind: 'session'; session: number; bytes: Uint8Array; threads: number }
  | { kind: 'bind'; session: number; binding: number; inputs: SharedArray[]; outputs: SharedArray[] }
  | { kind: 'run'; binding: number }
  | { kind: 'unbind'; binding: number }
  | { kind: 'close'; session: number };

/** A spec with the shared array that holds its value. */
export type SharedArray = Spec & { readonly data: TypedArray };

/** The worker's reply to the request `id`, with `error` if it failed. */
export interface Reply {
  readonly id: number;
  readonly error?: string;
}

/** The worker thread that owns onnxruntime-node, whose `run` blocks the event loop of the thread that calls it. */
class OrtWorker {
  private readonly worker = new Worker(new URL('./node-worker.js', import.meta.url));
  private readonly pending = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  private requests = 0;
  private failure?: Error;

  constructor() {
    this.worker.on('message', ({ id, error }: Reply) => {
      const call = this.pending.get(id);
      this.pending.delete(id);
      if (error === undefined) call?.resolve();
      else call?.reject(new RunError(`onnxruntime: ${error.split('\n')[0]}`));
      if (this.pending.size === 0 && !this.failure) this.worker.unref();
    });
    this.worker.on('error', (error) => this.fail(new RunError(`onnxruntime: the worker failed: ${error.message}`)));
    this.worker.on('exit', (code) => this.fail(new RunError(`onnxruntime: the worker ended with code ${code}`)));
    this.worker.unref();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }

  send(request: Request): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.requests++;
    this.worker.ref();
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.worker.postMessage({ id, request });
    });
  }

  async close(): Promise<void> {
    this.failure = new RunError('onnxruntime: the runtime is closed');
    // A late reply would unref the worker, and the process could exit before it has ended.
    this.worker.ref();
    await this.worker.terminate();
  }
}

/** An array outside shared memory, with its copy in shared memory. */
interface Mirror {
  readonly own: TypedArray;
  readonly shared: TypedArray;
}

class NodeBinding implements Binding {
  private running = false;
  private closed = false;

  constructor(
    private readonly worker: OrtWorker,
    private readonly id: number,
    private readonly ready: Promise<void>,
    private readonly buffers: Readonly<Record<string, TypedArray>>,
    private readonly into: readonly Mirror[],
    private readonly back: readonly Mirror[],
  ) {}

  async run(): Promise<void> {
    if (this.running || this.closed)
      throw new RunError(`run: the binding is ${this.closed ? 'closed' : 'running'}; wait for one run before the next`);
    for (const array of Object.values(this.buffers)) writable(array); // another runtime may have it on a device
    this.running = true;
    try {
      for (const { own, shared } of this.into) (shared as Float32Array).set(own as Float32Array);
      // The worker serves requests in order, so there is no need to wait for binding first, or before closing.
      await Promise.all([this.ready, this.worker.send({ kind: 'run', binding: this.id })]);
      for (const { own, shared } of this.back) (own as Float32Array).set(shared as Float32Array);
    } finally {
      this.running = false;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.worker.send({ kind: 'unbind', binding: this.id }).catch(ignoreClosed);
  }
}

/** The worker has ended, and all its sessions and bindings with it. */
function ignoreClosed(): void {
  return;
}

class NodeSession implements Session {
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  private closed = false;

  constructor(
    private readonly worker: OrtWorker,
    private readonly id: number,
    private readonly nextBinding: () => number,
    { inputs, outputs }: OnnxModel,
  ) {
    this.inputs = inputs;
    this.outputs = outputs;
  }

  bind(buffers: Readonly<Record<string, TypedArray>>): Binding {
    if (this.closed) throw new RunError('bind: the session is closed');
    checkBuffers('bind', [...this.inputs, ...this.outputs], buffers);
    const mirrors = new Map<TypedArray, TypedArray>();
    const shared = (spec: Spec): SharedArray => {
      const own = buffers[spec.name];
      if (own.buffer instanceof SharedArrayBuffer) return { ...spec, data: own };
      const data = mirrors.get(own) ?? allocate(spec.dtype, spec.shape);
      mirrors.set(own, data);
      return { ...spec, data };
    };
    const [inputs, outputs] = [this.inputs.map(shared), this.outputs.map(shared)];
    const ofThese = (specs: readonly Spec[]): Mirror[] =>
      specs.flatMap(({ name }) => {
        const copy = mirrors.get(buffers[name]);
        return copy ? [{ own: buffers[name], shared: copy }] : [];
      });
    const binding = this.nextBinding();
    const ready = this.worker.send({ kind: 'bind', session: this.id, binding, inputs, outputs });
    ready.catch(ignoreClosed); // reported by run()
    return new NodeBinding(this.worker, binding, ready, buffers, ofThese(this.inputs), ofThese(this.outputs));
  }

  run(feeds: Readonly<Record<string, TypedArray>>): Promise<Record<string, TypedArray>> {
    return runOnce(this, feeds);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.worker.send({ kind: 'close', session: this.id }).catch(ignoreClosed);
  }
}

class NodeRuntime implements Runtime {
  readonly name = 'node';
  readonly device = 'cpu';
  private readonly worker = new OrtWorker();
  private sessions = 0;
  private bindings = 0;

  constructor(readonly threads: number) {}

  async session(model: OnnxModel, threads = this.threads): Promise<Session> {
    const session = this.sessions++;
    await this.worker.send({ kind: 'session', session, bytes: model.bytes, threads });
    return new NodeSession(this.worker, session, () => this.bindings++, model);
  }

  /** Does nothing: this runtime copies arrays at each run, so their values are always on the host. */
  resident(): void {
    return;
  }

  close(): Promise<void> {
    return this.worker.close();
  }
}

/** The runtime on onnxruntime-node's public API, in a worker thread. Each run copies all inputs and outputs. */
export function openNode(threads: number): Runtime {
  return new NodeRuntime(threads);
}
