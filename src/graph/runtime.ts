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
