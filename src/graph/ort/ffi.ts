import { RunError } from '../../errors.js';
import type { OnnxModel, Spec } from '../onnx.js';
import { OrtDevice, Provider } from './device.js';
import { Library, Pointer, check, later, loadLibrary, made, nativeSession, valueOn } from './library.js';
import { Residence, evacuate, reside, residenceOf, writable } from '../residence.js';
import { Binding, Runtime, Session, checkBuffers, runOnce } from '../runtime.js';
import type { TypedArray } from '../tensor.js';

/**
 * Bytes of results from which on a run gives the memory of its activations back: only gradients are as large. Each session
 * keeps that memory for its next run, and a training has a session for each length of its texts, so a dozen sessions of
 * T5-base would keep 20 GB. Small models keep it, since asking the system for it in each run costs them time.
 */
const LARGE = 2 ** 27;

/**
 * Arrays bound to a session. The native values point into the arrays, so the binding keeps these alive. If an array is
 * resident on the session's device, the value points into its copy there.
 */
class FfiBinding implements Binding {
  private readonly values: bigint[] = [];
  /** arrays used in place on the host */
  private readonly hosted: TypedArray[] = [];
  private readonly resident: { readonly residence: Residence; readonly writes: boolean }[] = [];
  private readonly execute: () => Promise<void>;
  /** set if the session runs on the CPU */
  private readonly binding?: Pointer;
  private running = false;
  private closed = false;

  constructor(
    private readonly lib: Library,
    private readonly session: FfiSession,
    native: Pointer,
    readonly buffers: Readonly<Record<string, TypedArray>>,
  ) {
    const { api } = lib;
    const { inputs, outputs, device } = session;
    try {
      const feeds = inputs.map((spec) => this.value(spec, false));
      const results = outputs.map((spec) => this.value(spec, true));
      if (device) {
        // An IoBinding would copy the inputs to the device when they are bound; a run must see their values at its start.
        const [ins, outs] = [inputs, outputs].map((specs) => specs.map(({ name }) => name));
        const [given, taken] = [BigUint64Array.from(feeds), BigUint64Array.from(results)];
        this.execute = () => later(api, api.Run, native, null, ins, given, ins.length, outs, outs.length, taken);
      } else {
        const binding = (this.binding = made(api, (out) => api.CreateIoBinding(native, out)));
        inputs.forEach(({ name }, i) => check(api, api.BindInput(binding, name, feeds[i])));
        outputs.forEach(({ name }, i) => check(api, api.BindOutput(binding, name, results[i])));
        const bytes = outputs.reduce((sum, { name }) => sum + buffers[name].byteLength, 0);
        const options = bytes >= LARGE ? lib.thrifty : null;
        this.execute = () => later(api, api.RunWithBinding, native, options, binding);
      }
    } catch (error) {
      this.release();
      throw error;
    }
  }

  private value({ name, shape, dtype }: Spec, writes: boolean): bigint {
    const { lib, session } = this;
    const data = this.buffers[name];
    const residence = session.device && residenceOf(data, session.device);
    if (residence) this.resident.push({ residence, writes });
    else this.hosted.push(data);
    const [memory, place] = residence
      ? [session.device!.memory, residence.address + BigInt(data.byteOffset)]
      : [lib.memory, data];
    const value = valueOn(lib, memory, place, dtype, shape);
    this.values.push(value);
    return value;
  }

  async run(): Promise<void> {
    if (this.running || this.closed)
      throw new RunError(`run: the binding is ${this.closed ? 'closed' : 'running'}; wait for one run before the next`);
    for (const array of this.hosted) writable(array); // it may be on another device, or resident since the binding
    const entered: typeof this.resident = [];
    this.running = true;
    this.session.enter();
    try {
      for (const use of this.resident) {
        use.residence.enter(use.writes);
        entered.push(use);
      }
      await this.execute();
    } finally {
      this.running = false;
      for (const { residence, writes } of entered) residence.leave(writes);
      if (this.closed) this.release();
      this.session.leave();
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.session.forget(this);
    if (!this.running) this.release();
  }

  private release(): void {
    if (this.binding) this.lib.api.ReleaseIoBinding(this.binding);
    for (const value of this.values) this.lib.api.ReleaseValue(value);
  }
}

class FfiSession implements Session {
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  private readonly bindings = new Set<FfiBinding>();
  private running = 0;
  private closed = false;
  private readonly ended: (() => void)[] = [];

  constructor(
    private readonly lib: Library,
    private readonly native: Pointer,
    { inputs, outputs }: OnnxModel,
    readonly device: OrtDevice | undefined,
    private readonly onClose: (session: FfiSession) => void,
  ) {
    this.inputs = inputs;
    this.outputs = outputs;
  }

  bind(buffers: Readonly<Record<string, TypedArray>>): Binding {
    if (this.closed) throw new RunError('bind: the session is closed');
    checkBuffers('bind', [...this.inputs, ...this.outputs], buffers);
    const binding = new FfiBinding(this.lib, this, this.native, buffers);
    this.bindings.add(binding);
    return binding;
  }

  run(feeds: Readonly<Record<string, TypedArray>>): Promise<Record<string, TypedArray>> {
    return runOnce(this, feeds);
  }

  enter(): void {
    this.running++;
  }

  leave(): void {
    this.running--;
    if (this.closed && this.running === 0) this.release();
  }

  forget(binding: FfiBinding): void {
    this.bindings.delete(binding);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const binding of [...this.bindings]) binding.close();
    if (this.running === 0) this.release();
  }

  /** Resolves when all runs have ended. */
  end(): Promise<void> {
    return this.running === 0 ? Promise.resolve() : new Promise((resolve) => this.ended.push(resolve));
  }

  private release(): void {
    this.lib.api.ReleaseSession(this.native);
    this.onClose(this);
    for (const resolve of this.ended) resolve();
  }
}

class FfiRuntime implements Runtime {
  readonly name = 'ffi';
  readonly device: string;
  private readonly sessions = new Set<FfiSession>();
  private closing?: Promise<void>;

  constructor(
    private readonly lib: Library,
    readonly threads: number,
    private readonly provider?: Provider,
    private readonly memory?: OrtDevice,
  ) {
    this.device = provider?.name ?? 'cpu';
  }

  async session(model: OnnxModel, threads = this.threads): Promise<Session> {
    const { lib, provider } = this;
    this.check();
    const native = await nativeSession(lib, model.bytes, threads, (options) => provider?.append(lib, options));
    const session = new FfiSession(lib, native, model, this.memory, (closed) => this.sessions.delete(closed));
    this.sessions.add(session);
    if (this.closing) session.close();
    return session;
  }

  resident(array: TypedArray, exposed = true): void {
    this.check();
    if (this.memory) reside(this.memory, array, exposed);
  }

  private check(): void {
    if (this.closing) throw new RunError('onnxruntime: the runtime is closed');
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    const sessions = [...this.sessions];
    for (const session of sessions) session.close();
    await Promise.all(sessions.map((session) => session.end()));
    if (!this.memory) return;
    try {
      evacuate(this.memory);
    } finally {
      this.memory.close();
    }
  }
}

/**
 * The runtime on ONNX Runtime's C API.
 * @param choose picks the provider of the device that sessions run on; default: the CPU, in place
 * @throws RunError if there is no library for this platform, it is too old, or the device can't be used
 */
export async function openFfi(threads: number, choose?: (lib: Library) => Provider): Promise<Runtime> {
  const lib = loadLibrary();
  if (!choose) return new FfiRuntime(lib, threads);
  const provider = choose(lib);
  return new FfiRuntime(lib, threads, provider, await OrtDevice.open(lib, provider, threads));
}
