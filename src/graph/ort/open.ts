import { RunError } from '../../errors.js';
import type { Runtime } from '../runtime.js';

/** Which runtime to open. */
export interface RuntimeOptions {
  /** `ffi`: ONNX Runtime's C API, in place; `node`: onnxruntime-node in a worker thread; `auto` (default): ffi if possible */
  readonly kind?: 'auto' | 'ffi' | 'node';
  /** number of threads an operation may use, at least 1; default 2 */
  readonly threads?: number;
  /** the CPU (default), an NVIDIA GPU, or `auto`: a GPU if one can be used */
  readonly provider?: 'cpu' | 'cuda' | 'auto';
  /** which GPU; default 0 */
  readonly deviceId?: number;
  /** whether the GPU may round the operands of matrix products to 10 bits of mantissa; default no */
  readonly tf32?: boolean;
}

/**
 * Opens a runtime. Kind `auto` falls back to `node`, on the CPU, if the library can't be loaded (another platform, a
 * missing file).
 * @throws RunError if the chosen kind or provider can't be opened
 */
export async function openRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const { kind = 'auto', threads = 2, provider = 'cpu' } = options;
  if (!Number.isInteger(threads) || threads < 1)
    throw new RunError(`openRuntime: expected at least 1 thread, got ${threads}`);
  if (kind === 'node' && provider === 'cuda')
    throw new RunError(
      'provider cuda: runtime kind node (onnxruntime-node) runs on the CPU only; use kind ffi, or set provider=cpu',
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
      const { openFfi } = await import('./ffi.js');
      return await openFfi(threads);
    } catch (error) {
      const { message } = error as Error;
      if (kind === 'ffi')
        throw error instanceof RunError ? error : new RunError(`onnxruntime: the library can't be loaded: ${message}`);
      process.emitWarning(`${message}; using onnxruntime-node, which is slower and needs more memory`);
    }
  }
  const { openNode } = await import('./node.js');
  return openNode(threads);
}

async function openCuda(threads: number, { deviceId = 0, tf32 = false }: RuntimeOptions): Promise<Runtime> {
  if (!Number.isInteger(deviceId) || deviceId < 0)
    throw new RunError(`openRuntime: expected a device number of at least 0, got ${deviceId}`);
  const [{ openFfi }, { cuda }] = await Promise.all([import('./ffi.js'), import('./device.js')]);
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
