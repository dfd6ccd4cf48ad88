import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { RunError } from '../../errors.js';
import { toOnnx } from '../onnx.js';
import { add, mul } from '../ops/elementwise.js';
import { cast } from '../ops/broadcast.js';
import {
  ARENA_ALLOCATOR,
  Library,
  MEMORY_DEFAULT,
  Place,
  Pointer,
  check,
  made,
  nativeSession,
  valueOn,
} from './library.js';
import type { DeviceMemory } from '../residence.js';
import { DType, Tensor, input } from '../tensor.js';

/** An execution provider whose values stay on a device. */
export interface Provider {
  /** identifies the device, also in messages; for example `cuda:0` */
  readonly name: string;
  /** Adds the provider to the options of a session. */
  append(lib: Library, options: Pointer): void;
  /** An OrtMemoryInfo of its memory, which the caller must release. */
  memory(lib: Library): Pointer;
}

/** The provider's libraries, in the folder of ONNX Runtime's own. Other platforms have none. */
const CUDA_LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  'linux x64': ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'],
};

/**
 * NVIDIA GPUs through CUDA (onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html).
 * @param tf32 matrix products in TF32, with 10 bits of mantissa: faster, but the results differ from other devices
 * @throws RunError if its libraries are not installed
 */
export function cuda(
  lib: Library,
  { deviceId = 0, tf32 = false }: { deviceId?: number; tf32?: boolean } = {},
): Provider {
  const [platform, folder] = [`${process.platform} ${process.arch}`, dirname(lib.file)];
  const files = CUDA_LIBRARIES[platform];
  if (!files)
    throw new RunError(`provider cuda: onnxruntime-node has no CUDA libraries for ${platform}; set provider=cpu`);
  const missing = files.find((file) => !existsSync(join(folder, file)));
  if (missing) {
    const script = resolve(folder, '../../../../script/install.js');
    throw new RunError(
      `provider cuda: no ${missing} in ${folder}; download it with ONNXRUNTIME_NODE_INSTALL=cuda12 node ${script} (docs/gpu.md), or set provider=cpu`,
    );
  }
  const settings: Readonly<Record<string, string>> = {
    device_id: String(deviceId),
    // Training allocates a few large pieces; the default strategy, doubling, would nearly double the memory.
    arena_extend_strategy: 'kSameAsRequested',
    cudnn_conv_algo_search: 'HEURISTIC',
    use_tf32: tf32 ? '1' : '0',
  };
  return {
    name: `cuda:${deviceId}`,
    append: ({ api }, options) => {
      const own = made(api, (out) => api.CreateCUDAProviderOptions(out));
      try {
        const [keys, values] = [Object.keys(settings), Object.values(settings)];
        check(api, api.UpdateCUDAProviderOptions(own, keys, values, keys.length));
        check(api, api.AppendCuda(options, own));
      } finally {
        api.ReleaseCUDAProviderOptions(own);
      }
    },
    memory: ({ api }) =>
      made(api, (out) => api.CreateMemoryInfo('Cuda', ARENA_ALLOCATOR, deviceId, MEMORY_DEFAULT, out)),
  };
}

/**
 * The CPU with separate memory, as if it were a device: values are copied there and back as with a GPU. For tests of
 * residence on machines without a GPU.
 */
export const SECOND_HOST: Provider = {
  name: 'second host',
  append: () => undefined,
  memory: ({ api }) => made(api, (out) => api.CreateCpuMemoryInfo(ARENA_ALLOCATOR, MEMORY_DEFAULT, out)),
};

/** Floats per call of a kernel (64 MiB), which bounds its temporary memory. */
const CHUNK = 2 ** 24;

/** A graph input: a vector of any length. */
const vector = (name: string): Tensor => ({
  op: 'input',
  inputs: [],
  attrs: {},
  shape: [Infinity],
  dtype: 'float32',
  name,
});
const wide = (name: string) => cast(vector(name), 'float64');
const number = (name: string) => input(name, [], 'float64');

/**
 * Graphs of the operations on device memory. ONNX Runtime moves the inputs and outputs of a run to where they are needed,
 * so the identity copies between host and device with any version and provider.
 */
const KERNELS: Readonly<Record<'copy' | 'add' | 'blend', () => Tensor>> = {
  copy: () => vector('from'),
  add: () => add(vector('into'), vector('from')),
  blend: () => cast(add(mul(wide('into'), number('keep')), mul(wide('from'), number('tau'))), 'float32'),
};

interface Kernel {
  readonly native: Pointer;
  readonly inputs: readonly { readonly name: string; readonly dtype: DType }[];
}

/** A device's memory, accessed through the allocator and the kernels of sessions with its provider. */
export class OrtDevice implements DeviceMemory {
  readonly name: string;
  private closed = false;

  private constructor(
    private readonly lib: Library,
    provider: Provider,
    private readonly kernels: Readonly<Record<keyof typeof KERNELS, Kernel>>,
    private readonly allocator: Pointer,
    /** OrtMemoryInfo of the device's memory; the allocator owns it, so it must not be released */
    readonly memory: Pointer,
  ) {
    this.name = provider.name;
  }

  /** @throws RunError if the provider finds no device or lacks a library */
  static async open(lib: Library, provider: Provider, threads: number): Promise<OrtDevice> {
    const { api } = lib;
    const kernels: Record<string, Kernel> = {};
    let info: Pointer;
    try {
      for (const [name, build] of Object.entries(KERNELS)) {
        const { bytes, inputs } = toOnnx({ result: build() });
        const native = await nativeSession(lib, bytes, threads, (options) => provider.append(lib, options));
        kernels[name] = { native, inputs };
      }
      info = provider.memory(lib);
      const allocator = made(api, (out) => api.CreateAllocator(kernels.copy.native, info, out));
      const memory = made(api, (out) => api.AllocatorGetInfo(allocator, out));
      return new OrtDevice(lib, provider, kernels as OrtDevice['kernels'], allocator, memory);
    } catch (error) {
      for (const { native } of Object.values(kernels)) api.ReleaseSession(native);
      throw error;
    } finally {
      if (info) api.ReleaseMemoryInfo(info);
    }
  }

  allocate(bytes: number): bigint {
    this.check();
    const { api } = this.lib;
    try {
      return made(api, (out) => api.AllocatorAlloc(this.allocator, bytes, out)) as bigint;
    } catch (error) {
      const { message } = error as Error;
      throw new RunError(`${this.name}: can't allocate ${(bytes / 2 ** 20).toFixed(1)} MiB: ${message}`);
    }
  }

  free(address: bigint): void {
    if (!this.closed) check(this.lib.api, this.lib.api.AllocatorFree(this.allocator, address));
  }

  upload(from: Float32Array, address: bigint): void {
    this.apply('copy', { from, result: address }, from.length);
  }

  download(address: bigint, into: Float32Array): void {
    this.apply('copy', { from: address, result: into }, into.length);
  }

  add(into: bigint, from: bigint, length: number): void {
    this.apply('add', { into, from, result: into }, length);
  }

  blend(target: bigint, online: bigint, tau: number, length: number): void {
    const [keep, share] = [Float64Array.of(1 - tau), Float64Array.of(tau)];
    this.apply('blend', { into: target, from: online, keep, tau: share, result: target }, length);
  }

  /** Runs a kernel on vectors of `length` floats, in chunks. Operands in float64 are scalars. */
  private apply(name: keyof typeof KERNELS, operands: Readonly<Record<string, Place>>, length: number): void {
    this.check();
    const { api } = this.lib;
    const { native, inputs } = this.kernels[name];
    const names = inputs.map((spec) => spec.name);
    for (let start = 0; start < length; start += CHUNK) {
      const values: bigint[] = [];
      const value = (operand: Place, dtype: DType) => {
        const made = this.part(operand, dtype, start, Math.min(CHUNK, length - start));
        values.push(made);
        return made;
      };
      try {
        const feeds = BigUint64Array.from(inputs.map((spec) => value(operands[spec.name], spec.dtype)));
        const results = BigUint64Array.of(value(operands.result, 'float32'));
        check(api, api.Run(native, null, names, feeds, names.length, ['result'], 1, results));
      } finally {
        for (const made of values) api.ReleaseValue(made);
      }
    }
  }

  private part(operand: Place, dtype: DType, start: number, count: number): bigint {
    if (typeof operand === 'bigint')
      return valueOn(this.lib, this.memory, operand + 4n * BigInt(start), dtype, [count]);
    if (dtype === 'float64') return valueOn(this.lib, this.lib.memory, operand, dtype, []);
    return valueOn(this.lib, this.lib.memory, operand.subarray(start, start + count), dtype, [count]);
  }

  private check(): void {
    if (this.closed) throw new RunError(`${this.name}: the runtime is closed`);
  }

  /** Frees the allocator and the kernels. All allocations must have been freed before. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.lib.api.ReleaseAllocator(this.allocator);
    for (const { native } of Object.values(this.kernels)) this.lib.api.ReleaseSession(native);
  }
}
