import { createRequire } from 'node:module';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { RunError } from '../../errors.js';
import { SESSION_CONFIG } from '../runtime.js';
import { DType, STORAGE, TypedArray } from '../tensor.js';

/**
 * ONNX Runtime's C API (onnxruntime_c_api.h), called in the library that onnxruntime-node ships. Only the few functions
 * below are bound, because a wrong call crashes the process instead of throwing.
 */

/** The OrtApi table only grows, so every library of at least this version has these functions at these indices. */
const API_VERSION = 20;
const FUNCTIONS = {
  GetErrorMessage: [2, 'const char* f(void* status)'],
  CreateEnv: [3, 'void* f(int level, const char* id, _Out_ void** env)'],
  CreateSessionFromArray: [8, 'void* f(void* env, void* model, size_t bytes, void* options, _Out_ void** session)'],
  Run: [
    9,
    'void* f(void* session, void* options, const char** ins, void* feeds, size_t count, const char** outs, size_t more, void* results)',
  ],
  CreateSessionOptions: [10, 'void* f(_Out_ void** options)'],
  SetSessionGraphOptimizationLevel: [23, 'void* f(void* options, int level)'],
  SetIntraOpNumThreads: [24, 'void* f(void* options, int threads)'],
  CreateRunOptions: [39, 'void* f(_Out_ void** options)'],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void* f(void* memory, void* data, size_t bytes, int64_t* shape, size_t rank, int type, _Out_ void** value)',
  ],
  CreateMemoryInfo: [68, 'void* f(const char* name, int allocator, int id, int type, _Out_ void** memory)'],
  CreateCpuMemoryInfo: [69, 'void* f(int allocator, int type, _Out_ void** memory)'],
  AllocatorAlloc: [75, 'void* f(void* allocator, size_t bytes, _Out_ void** address)'],
  AllocatorFree: [76, 'void* f(void* allocator, void* address)'],
  AllocatorGetInfo: [77, 'void* f(void* allocator, _Out_ void** memory)'],
  ReleaseStatus: [93, 'void f(void* status)'],
  ReleaseMemoryInfo: [94, 'void f(void* memory)'],
  ReleaseSession: [95, 'void f(void* session)'],
  ReleaseValue: [96, 'void f(void* value)'],
  ReleaseSessionOptions: [100, 'void f(void* options)'],
  AddSessionConfigEntry: [130, 'void* f(void* options, const char* key, const char* value)'],
  CreateAllocator: [131, 'void* f(void* session, void* memory, _Out_ void** allocator)'],
  ReleaseAllocator: [132, 'void f(void* allocator)'],
  RunWithBinding: [133, 'void* f(void* session, void* options, void* binding)'],
  CreateIoBinding: [134, 'void* f(void* session, _Out_ void** binding)'],
  ReleaseIoBinding: [135, 'void f(void* binding)'],
  BindInput: [136, 'void* f(void* binding, const char* name, void* value)'],
  BindOutput: [137, 'void* f(void* binding, const char* name, void* value)'],
  AddRunConfigEntry: [165, 'void* f(void* options, const char* key, const char* value)'],
  AppendCuda: [204, 'void* f(void* options, void* cuda)'], // SessionOptionsAppendExecutionProvider_CUDA_V2
  CreateCUDAProviderOptions: [205, 'void* f(_Out_ void** cuda)'],
  UpdateCUDAProviderOptions: [206, 'void* f(void* cuda, const char** keys, const char** values, size_t count)'],
  ReleaseCUDAProviderOptions: [208, 'void f(void* cuda)'],
} as const;

/** ORT_LOGGING_LEVEL_FATAL, because errors are thrown; OrtAllocatorType.OrtArenaAllocator; OrtMemTypeDefault; ORT_ENABLE_ALL */
const LOG_FATAL = 4;
export const ARENA_ALLOCATOR = 1;
export const MEMORY_DEFAULT = 0;
const ALL_OPTIMIZATIONS = 99;

/** koffi's default stack for calls, 256 KiB to 1 MiB, is too small for ONNX Runtime's graph optimizers. */
const STACK_BYTES = 16 * 2 ** 20;

/** An address in koffi's form. */
export type Pointer = unknown;
export type NativeFunction = ((...args: unknown[]) => Pointer) & { async(...args: unknown[]): void };
export type Api = Record<keyof typeof FUNCTIONS, NativeFunction>;

/** Must live as long as any session: koffi unloads a library whose handle is garbage collected. */
export interface Library {
  readonly file: string;
  readonly handle: unknown;
  readonly api: Api;
  readonly env: Pointer;
  /** OrtMemoryInfo of the host's memory */
  readonly memory: Pointer;
  /** OrtRunOptions of a run that gives its memory back at the end */
  readonly thrifty: Pointer;
}

let library: Library | undefined;

/** The shared library for this platform, in the folder of onnxruntime-node's addon. */
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

/** @throws RunError with the first line of the message if the status is an error */
export function check(api: Api, status: Pointer): void {
  if (!status) return;
  const message = api.GetErrorMessage(status) as unknown as string;
  api.ReleaseStatus(status);
  throw new RunError(`onnxruntime: ${message.split('\n')[0]}`);
}

/** Calls a function that returns a pointer through its last argument. */
export function made(api: Api, call: (out: [Pointer]) => Pointer): Pointer {
  const out: [Pointer] = [null];
  check(api, call(out));
  return out[0];
}

/** Calls a function on another thread. */
export function later(api: Api, fn: NativeFunction, ...args: unknown[]): Promise<void> {
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

/**
 * The library, loaded once per process and never unloaded.
 * @throws RunError if there is none for this platform, or it is too old
 */
export function loadLibrary(): Library {
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
  const thrifty = made(api, (out) => api.CreateRunOptions(out));
  // onnxruntime_run_options_config_keys.h
  check(api, api.AddRunConfigEntry(thrifty, 'memory.enable_memory_arena_shrinkage', 'cpu:0'));
  library = { file, handle, api, env, memory, thrifty };
  return library;
}

/** A host array, or a device address. */
export type Place = TypedArray | bigint;

/** An OrtValue on memory that it does not own. Release it before that memory. */
export function valueOn(lib: Library, memory: Pointer, place: Place, dtype: DType, shape: readonly number[]): bigint {
  const sizes = BigInt64Array.from(shape, (size) => BigInt(size));
  const bytes = shape.reduce((product, size) => product * size, STORAGE[dtype].bytes);
  const type = STORAGE[dtype].onnx;
  return made(lib.api, (out) =>
    lib.api.CreateTensorWithDataAsOrtValue(memory, place, bytes, sizes, sizes.length, type, out),
  ) as bigint;
}

/** Loads a model on another thread. @param append adds an execution provider to the session's options */
export async function nativeSession(
  { api, env }: Library,
  model: Uint8Array,
  threads: number,
  append: (options: Pointer) => void,
): Promise<Pointer> {
  const options = made(api, (out) => api.CreateSessionOptions(out));
  try {
    check(api, api.SetIntraOpNumThreads(options, threads));
    for (const [key, value] of Object.entries(SESSION_CONFIG))
      check(api, api.AddSessionConfigEntry(options, key, value));
    check(api, api.SetSessionGraphOptimizationLevel(options, ALL_OPTIMIZATIONS));
    append(options);
    const out: [Pointer] = [null];
    await later(api, api.CreateSessionFromArray, env, model, model.length, options, out);
    return out[0];
  } finally {
    api.ReleaseSessionOptions(options);
  }
}
