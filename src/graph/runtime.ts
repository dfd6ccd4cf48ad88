import { RunError } from '../errors.js';
import type { OnnxModel, Spec } from './onnx.js';
import { TypedArray, allocate, checkData } from './tensor.js';

/** Arrays bound to all inputs and outputs of a session. */
export interface Binding {
  /** Computes the output arrays from the current values of the input arrays. One run at a time. */
  run(): Promise<void>;
  /** Frees the binding's native memory; the arrays stay. */
  close(): void;
}

/** A loaded model. */
export interface Session {
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  /**
   * Binds an array to every input and output by name. Where the runtime allows it, arrays are read and written in place
   * and never copied. An output may share its array with an input that only the output's own operation reads.
   * @throws RunError for a missing or unknown name, or an array of the wrong type or length
   */
  bind(buffers: Readonly<Record<string, TypedArray>>): Binding;
  /** Runs once and returns the outputs in new arrays. */
  run(feeds: Readonly<Record<string, TypedArray>>): Promise<Record<string, TypedArray>>;
  /** Frees the native memory when current runs have ended. */
  close(): void;
}

/**
 * Session options of ONNX Runtime (onnxruntime_session_options_config_keys.h) that both runtimes set. Idle threads wait
 * instead of spinning: pocket graphs are small, and spinning more than doubles their CPU time when other threads (phones,
 * workers) need the cores.
 */
export const SESSION_CONFIG = { 'session.intra_op.allow_spinning': '0' } as const;

/** Executes models. */
export interface Runtime {
  readonly name: 'ffi' | 'node';
  /** number of threads an operation may use */
  readonly threads: number;
  /** the device that sessions run on: `cpu`, or for example `cuda:0` */
  readonly device: string;
  /**
   * Lets the values of an array stay on the device between runs. From now on, binding the array or a part of its buffer
   * binds a copy on the device. The values are moved there before a run, and back when the host asks for them (see
   * residence.ts). On the CPU this does nothing: the array itself is used.
   * @param exposed whether other code may keep a reference to the array. If so (the default), it is filled with NaN while
   * the values are on the device.
   */
  resident(array: TypedArray, exposed?: boolean): void;
  /**
   * @param threads number of threads an operation of this session may use; default: the runtime's
   * @throws RunError if the model can't be loaded
   */
  session(model: OnnxModel, threads?: number): Promise<Session>;
  close(): Promise<void>;
}

/** Checks that every input and output has an array of its type and size, and that no other array is given. */
export function checkBuffers(
  where: string,
  specs: readonly Spec[],
  buffers: Readonly<Record<string, TypedArray>>,
): void {
  const names = new Set(specs.map((spec) => spec.name));
  for (const name of Object.keys(buffers))
    if (!names.has(name)) throw new RunError(`${where}: the model has no ${name}; expected ${[...names].join(', ')}`);
  for (const { name, dtype, shape } of specs) {
    if (!(name in buffers)) throw new RunError(`${where}: ${name} is missing`);
    checkData(`${where}: ${name}`, buffers[name], dtype, shape);
  }
}

/** Runs a session once with new arrays for the outputs. */
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
