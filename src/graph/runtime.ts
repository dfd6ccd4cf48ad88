import { RunError } from '../errors.js';
import type { OnnxModel, Spec } from './onnx.js';
import { TypedArray, allocate, checkData } from './tensor.js';

/** A session with arrays bound to all its inputs and outputs. */
export interface Binding {
  /** Computes the outputs from what the input arrays hold now, into the output arrays. One run at a time. */
  run(): Promise<void>;
  /** Frees what the binding holds beside the arrays. */
  close(): void;
}

/** A model that is ready to run. */
export interface Session {
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  /**
   * Binds an array to every input and output by name. Arrays are read and written in place and never copied where the
   * runtime allows it; an output may share its array with an input that only the output's own operation reads.
   * @throws RunError for a missing or unknown name, or an array of the wrong type or length
   */
  bind(buffers: Readonly<Record<string, TypedArray>>): Binding;
  /** Runs once, with new arrays for the outputs. */
  run(feeds: Readonly<Record<string, TypedArray>>): Promise<Record<string, TypedArray>>;
  /** Frees the native memory, once runs that are under way have ended. */
  close(): void;
}

/**
 * Session options of ONNX Runtime (onnxruntime_session_options_config_keys.h) that both runtimes set. A thread that has
 * nothing to do waits instead of spinning: pocket graphs are small, and spinning costs more than twice their CPU time
 * where other threads (phones, workers) want the cores.
 */
export const SESSION_CONFIG = { 'session.intra_op.allow_spinning': '0' } as const;

/** What executes models. */
export interface Runtime {
  readonly name: 'ffi' | 'node';
  /** threads an operation may use */
  readonly threads: number;
  /** what computes: `cpu`, or the device that sessions run on, as `cuda:0` */
  readonly device: string;
  /**
   * Lets the values of an array stay on the device between runs: whoever binds the array, or a part of its buffer, from
   * now on binds a copy there, which the values are moved to before a run and back when the host asks for them (see
   * residence.ts). On the CPU the array itself is used, and this does nothing.
   * @param exposed whether code may hold on to the array: it is then filled with NaN while the values are away (default)
   */
  resident(array: TypedArray, exposed?: boolean): void;
  /**
   * @param threads threads an operation of this session may use; by default the runtime's
   * @throws RunError where the model can't be loaded
   */
  session(model: OnnxModel, threads?: number): Promise<Session>;
  close(): Promise<void>;
}

/** How a runtime is chosen. */
export interface RuntimeOptions {
  /** `ffi`: ONNX Runtime's C API, in place; `node`: onnxruntime-node in a worker thread; `auto`: ffi where it can be bound */
  readonly kind?: 'auto' | 'ffi' | 'node';
  /** threads an operation may use; at least 1 */
  readonly threads?: number;
  /** what computes: the CPU (default), an NVIDIA GPU, or `auto`: the GPU where there is one that can be used */
  readonly provider?: 'cpu' | 'cuda' | 'auto';
  /** which GPU; default 0 */
  readonly deviceId?: number;
  /** let the GPU round the operands of matrix products to 10 bits of mantissa; default no */
  readonly tf32?: boolean;
}

/** Checks that there is a fitting array for every input and output, and none for anything else. */
export function checkBuffers(
  where: string,
  specs: readonly Spec[],
  buffers: Readonly<Record<string, TypedArray>>,
): void {
  const names = new Set(specs.map((spec) => spec.name));
  for (const name of Object.keys(buffers))
    if (!names.has(name))
      throw new RunError(`${where}: no input or output ${name}; there are ${[...names].join(', ')}`);
  for (const { name, dtype, shape } of specs) {
    if (!(name in buffers)) throw new RunError(`${where}: nothing given for ${name}`);
    checkData(`${where}: ${name}`, buffers[name], dtype, shape);
  }
}

/** Runs a session once: binds new output arrays beside the feeds. */
export async function runOnce(
  session: Pick<Session, 'inputs' | 'outputs' | 'bind'>,
  feeds: Readonly<Record<string, TypedArray>>,
): Promise<Record<string, TypedArray>> {
  checkBuffers('run', session.inputs, feeds);
  const results = Object.fromEntries(session.outputs.map(({ name, dtype, shape }) => [name, allocate(dtype, shape)]));
  const binding = session.bind({ ...feeds, ...results });
  try {
    await binding.run();
  } finally {
    binding.close();
  }
  return results;
}

/**
 * Opens a runtime. With kind `auto`, a library that can't be bound (another platform, a missing file) falls back to
 * `node`, which runs on the CPU only.
 * @throws RunError where the chosen kind or provider can't be opened
 */
export async function openRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const { kind = 'auto', threads = 2, provider = 'cpu' } = options;
  if (!Number.isInteger(threads) || threads < 1)
    throw new RunError(`openRuntime: expected at least 1 thread, got ${threads}`);
  if (kind === 'node' && provider === 'cuda')
    throw new RunError(
      'provider cuda: onnxruntime-node (runtime kind node) has no values that stay on a device; use kind ffi, or provider=cpu',
    );
  if (provider !== 'cpu' && kind !== 'node') {
    try {
      return await openCuda(threads, options);
    } catch (error) {
      if (provider === 'cuda') throw error;
    }
  }
  if (kind !== 'node') {
    try {
      const { openFfi } = await import('./ort-ffi.js');
      return await openFfi(threads);
    } catch (error) {
      const { message } = error as Error;
      if (kind === 'ffi')
        throw error instanceof RunError ? error : new RunError(`onnxruntime: can't be bound: ${message}`);
      process.emitWarning(`${message}; using onnxruntime-node, which is slower and needs more memory`);
    }
  }
  const { openNode } = await import('./ort-node.js');
  return openNode(threads);
}

async function openCuda(threads: number, { deviceId = 0, tf32 = false }: RuntimeOptions): Promise<Runtime> {
  if (!Number.isInteger(deviceId) || deviceId < 0)
    throw new RunError(`openRuntime: expected a device number of at least 0, got ${deviceId}`);
  const [{ openFfi }, { cuda }] = await Promise.all([import('./ort-ffi.js'), import('./ort-device.js')]);
  try {
    return await openFfi(threads, (lib) => cuda(lib, { deviceId, tf32 }));
  } catch (error) {
    const { message } = error as Error;
    if (message.startsWith('provider cuda')) throw error;
    throw new RunError(
      `provider cuda: device ${deviceId} can't be used: ${message}; see docs/gpu.md, or set provider=cpu`,
    );
  }
}
