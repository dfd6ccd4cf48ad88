import { createRequire } from 'node:module';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { RunError } from '../errors.js';
import type { OnnxModel, Spec } from './onnx.js';
import { Binding, Runtime, Session, SESSION_CONFIG, checkBuffers, runOnce } from './runtime.js';
import { STORAGE, TypedArray } from './tensor.js';

/**
 * ONNX Runtime's C API (onnxruntime_c_api.h), called in the library that onnxruntime-node ships. The binding is kept
 * to the few functions below, since a wrong call ends the process instead of throwing.
 */

/** The OrtApi table only grows, so any library of at least this version has these functions at these places. */
const API_VERSION = 20;
const FUNCTIONS = {
  GetErrorMessage: [2, 'const char* f(void* status)'],
  CreateEnv: [3, 'void* f(int level, const char* id, _Out_ void** env)'],
  CreateSessionFromArray: [8, 'void* f(void* env, void* model, size_t bytes, void* options, _Out_ void** session)'],
  CreateSessionOptions: [10, 'void* f(_Out_ void** options)'],
  SetSessionGraphOptimizationLevel: [23, 'void* f(void* options, int level)'],
  SetIntraOpNumThreads: [24, 'void* f(void* options, int threads)'],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void* f(void* memory, void* data, size_t bytes, int64_t* shape, size_t rank, int type, _Out_ void** value)',
  ],
  CreateCpuMemoryInfo: [69, 'void* f(int allocator, int type, _Out_ void** memory)'],
  ReleaseStatus: [93, 'void f(void* status)'],
  ReleaseSession: [95, 'void f(void* session)'],
  ReleaseValue: [96, 'void f(void* value)'],
  ReleaseSessionOptions: [100, 'void f(void* options)'],
  AddSessionConfigEntry: [130, 'void* f(void* options, const char* key, const char* value)'],
  RunWithBinding: [133, 'void* f(void* session, void* options, void* binding)'],
  CreateIoBinding: [134, 'void* f(void* session, _Out_ void** binding)'],
  ReleaseIoBinding: [135, 'void f(void* binding)'],
  BindInput: [136, 'void* f(void* binding, const char* name, void* value)'],
  BindOutput: [137, 'void* f(void* binding, const char* name, void* value)'],
} as const;

/** ORT_LOGGING_LEVEL_FATAL, since errors are thrown here; OrtAllocatorType.OrtArenaAllocator; OrtMemTypeDefault; ORT_ENABLE_ALL */
const LOG_FATAL = 4;
const ARENA_ALLOCATOR = 1;
const MEMORY_DEFAULT = 0;
const ALL_OPTIMIZATIONS = 99;

/** koffi's default stack for calls, 256 KiB to 1 MiB, is too small for ONNX Runtime's graph optimizers. */
const STACK_BYTES = 16 * 2 ** 20;

type Pointer = unknown;
type NativeFunction = ((...args: unknown[]) => Pointer) & { async(...args: unknown[]): void };
type Api = Record<keyof typeof FUNCTIONS, NativeFunction>;

/** Everything of the process that must live as long as any session: koffi unloads a library whose handle is collected. */
interface Library {
  readonly handle: unknown;
  readonly api: Api;
  readonly env: Pointer;
  readonly memory: Pointer;
}

let library: Library | undefined;

/** The shared library beside onnxruntime-node's addon, for this platform. */
function libraryFile(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const bin = join(root, 'bin');
  const builds = existsSync(bin) ? readdirSync(bin).filter((name) => name.startsWith('napi-')) : [];
  const pattern = {
    linux: /^libonnxruntime\.so\.\d+$/,
    darwin: /^libonnxruntime\.\d+\.dylib$/,
    win32: /^onnxruntime\.dll$/,
  }[process.platform as string];
  for (const build of builds) {
    const folder = join(bin, build, process.platform, process.arch);
    const name = pattern && existsSync(folder) ? readdirSync(folder).find((file) => pattern.test(file)) : undefined;
    if (name) return join(folder, name);
  }
  throw new RunError(`onnxruntime: no library for ${process.platform} ${process.arch} in ${bin}`);
}

function check(api: Api, status: Pointer): void {
  if (!status) return;
  const message = api.GetErrorMessage(status) as unknown as string;
  api.ReleaseStatus(status);
  throw new RunError(`onnxruntime: ${message.split('\n')[0]}`);
}

/** Calls a function whose last argument gives back a pointer. */
function made(api: Api, call: (out: [Pointer]) => Pointer): Pointer {
  const out: [Pointer] = [null];
  check(api, call(out));
  return out[0];
}

/** The same, off the main thread. */
function later(api: Api, fn: NativeFunction, ...args: unknown[]): Promise<void> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error: unknown, status: Pointer) => {
      try {
        if (error) throw error;
        check(api, status);
        resolve();
      } catch (reason) {
        reject(reason);
      }
    });
  });
}

function loadLibrary(): Library {
  if (library) return library;
  const file = libraryFile();
  koffi.config({ ...koffi.config(), sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  const handle = koffi.load(file);
  // struct OrtApiBase { const OrtApi* (*GetApi)(uint32_t version); const char* (*GetVersionString)(void); }
  const base = handle.func('void* OrtGetApiBase()')();
  const [getApi, getVersion] = koffi.decode(base, koffi.array('void*', 2)) as Pointer[];
  const table = koffi.call(getApi, koffi.proto('void* f(uint32_t version)'), API_VERSION);
  if (!table) {
    const version = koffi.call(getVersion, koffi.proto('const char* f()')) as string;
    throw new RunError(`onnxruntime: ${file} is version ${version}, expected API ${API_VERSION} or later`);
  }
  const slots = Math.max(...Object.values(FUNCTIONS).map(([slot]) => slot)) + 1;
  const pointers = koffi.decode(table, koffi.array('void*', slots)) as Pointer[];
  const api = Object.fromEntries(
    Object.entries(FUNCTIONS).map(([name, [slot, proto]]) => [
      name,
      koffi.decode(pointers[slot], koffi.proto(proto.replace(' f(', ` ${name}(`))),
    ]),
  ) as Api;
  const env = made(api, (out) => api.CreateEnv(LOG_FATAL, 'critiq', out));
  const memory = made(api, (out) => api.CreateCpuMemoryInfo(ARENA_ALLOCATOR, MEMORY_DEFAULT, out));
  library = { handle, api, env, memory };
  return library;
}

/** Arrays bound to a session. The native values point into the arrays, so these are held here. */
class FfiBinding implements Binding {
  private readonly values: Pointer[] = [];
  private readonly binding: Pointer;
  private running = false;
  private closed = false;

  constructor(
    private readonly lib: Library,
    private readonly session: FfiSession,
    private readonly native: Pointer,
    readonly buffers: Readonly<Record<string, TypedArray>>,
  ) {
    const { api } = lib;
    this.binding = made(api, (out) => api.CreateIoBinding(native, out));
    for (const spec of session.inputs) check(api, api.BindInput(this.binding, spec.name, this.value(spec)));
    for (const spec of session.outputs) check(api, api.BindOutput(this.binding, spec.name, this.value(spec)));
  }

  private value({ name, shape, dtype }: Spec): Pointer {
    const { api, memory } = this.lib;
    const data = this.buffers[name];
    const sizes = BigInt64Array.from(shape, (size) => BigInt(size));
    const type = STORAGE[dtype].onnx;
    const value = made(api, (out) =>
      api.CreateTensorWithDataAsOrtValue(memory, data, data.byteLength, sizes, sizes.length, type, out),
    );
    this.values.push(value);
    return value;
  }

  async run(): Promise<void> {
    if (this.running || this.closed)
      throw new RunError(`run: the binding is ${this.closed ? 'closed' : 'running'}; wait for one run before the next`);
    this.running = true;
    this.session.enter();
    try {
      await later(this.lib.api, this.lib.api.RunWithBinding, this.native, null, this.binding);
    } finally {
      this.running = false;
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
    this.lib.api.ReleaseIoBinding(this.binding);
    for (const value of this.values) this.lib.api.ReleaseValue(value);
  }
}

class FfiSession implements Session {
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  private readonly bindings = new Set<FfiBinding>();
  private running = 0;
  private closed = false;

  constructor(
    private readonly lib: Library,
    private readonly native: Pointer,
    { inputs, outputs }: OnnxModel,
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

  private release(): void {
    this.lib.api.ReleaseSession(this.native);
    this.onClose(this);
  }
}

class FfiRuntime implements Runtime {
  readonly name = 'ffi';
  private readonly sessions = new Set<FfiSession>();

  constructor(
    private readonly lib: Library,
    readonly threads: number,
  ) {}

  async session(model: OnnxModel, threads = this.threads): Promise<Session> {
    const { api, env } = this.lib;
    const options = made(api, (out) => api.CreateSessionOptions(out));
    try {
      check(api, api.SetIntraOpNumThreads(options, threads));
      for (const [key, value] of Object.entries(SESSION_CONFIG)) {
        check(api, api.AddSessionConfigEntry(options, key, value));
      }
      check(api, api.SetSessionGraphOptimizationLevel(options, ALL_OPTIMIZATIONS));
      const out: [Pointer] = [null];
      await later(api, api.CreateSessionFromArray, env, model.bytes, model.bytes.length, options, out);
      const session = new FfiSession(this.lib, out[0], model, (closed) => this.sessions.delete(closed));
      this.sessions.add(session);
      return session;
    } finally {
      api.ReleaseSessionOptions(options);
    }
  }

  async close(): Promise<void> {
    for (const session of [...this.sessions]) session.close();
  }
}

/**
 * The runtime on ONNX Runtime's C API.
 * @throws RunError where there is no library for this platform, or it is too old
 */
export function openFfi(threads: number): Runtime {
  return new FfiRuntime(loadLibrary(), threads);
}
