import { join } from 'node:path';
import type { z } from 'zod';
import { readSafetensors, toFloat32, type StoredTensor } from '../../src/data/formats/safetensors.js';
import { UserError } from '../../src/errors.js';
import { readJsonFile } from '../../src/data/formats/json.js';
import { input, sizeOf, toOnnx, type Runtime, type Tensor, type TypedArray } from '../../src/graph/index.js';

/** Compares results with their reference and keeps the largest error. */
export class Comparison {
  error = 0;
  where = 'nothing compared';

  /**
   * Compares tensors. The relative error is max |a - b| / max |b| over the tensor, so elements much smaller than the
   * largest one may have its rounding errors. `floor` is a lower bound of the denominator.
   */
  close(name: string, got: ArrayLike<number>, expected: ArrayLike<number>, floor = 1e-30): void {
    let difference = got.length === expected.length ? 0 : Infinity;
    let scale = floor;
    for (let i = 0; i < expected.length; i++) {
      // This form of the condition is also true for NaN, which then counts as an infinite error.
      if (!(Math.abs(got[i] - expected[i]) <= difference)) difference = Math.abs(got[i] - expected[i]);
      scale = Math.max(scale, Math.abs(expected[i]));
    }
    this.note(name, Number.isNaN(difference) ? Infinity : difference / scale);
  }

  /** Compares values that must be equal. */
  equal(name: string, got: unknown, expected: unknown): void {
    this.note(name, JSON.stringify(got) === JSON.stringify(expected) ? 0 : Infinity);
  }

  private note(name: string, error: number): void {
    if (error < this.error || (error === 0 && this.where !== 'nothing compared')) return;
    this.error = error;
    this.where = name;
  }
}

/** The tensors of a case's safetensors file. */
export class ReferenceFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;

  constructor(folder: string, name: string) {
    this.path = join(folder, name);
    this.tensors = readSafetensors(this.path).tensors;
  }

  get names(): string[] {
    return [...this.tensors.keys()];
  }

  get shapes(): Map<string, readonly number[]> {
    return new Map([...this.tensors].map(([name, { shape }]) => [name, shape]));
  }

  get(name: string): StoredTensor {
    const tensor = this.tensors.get(name);
    if (!tensor)
      throw new UserError(`${this.path}: expected a tensor ${name}, got ${this.names.slice(0, 6).join(', ')}, ...`);
    return tensor;
  }

  floats(name: string): Float32Array {
    return toFloat32(this.get(name));
  }

  integers(name: string): BigInt64Array {
    const { dtype, data } = this.get(name);
    if (dtype !== 'I64') throw new UserError(`${this.path}: ${name}: expected I64, got ${dtype}`);
    return new BigInt64Array(data.buffer, data.byteOffset, data.byteLength / 8);
  }
}

/** A graph under test, with the values of its inputs. */
export class Evaluation {
  private readonly feeds: Record<string, TypedArray> = {};

  /** A graph input whose value is the tensor of this name. int64 becomes float32 with `float`. */
  of(file: ReferenceFile, name: string, { float = false } = {}): Tensor {
    const { dtype, shape } = file.get(name);
    return dtype === 'I64' && !float
      ? this.input(name, file.integers(name), shape, 'int64')
      : this.input(name, file.floats(name), shape);
  }

  input(name: string, value: TypedArray, shape: readonly number[], dtype: 'float32' | 'int64' = 'float32'): Tensor {
    if (sizeOf(shape) !== value.length)
      throw new UserError(`${name}: expected ${sizeOf(shape)} numbers, got ${value.length}`);
    this.feeds[name] = value;
    return input(name, shape, dtype);
  }

  /** All tensors of a file as graph inputs. */
  weights(file: ReferenceFile): Record<string, Tensor> {
    return Object.fromEntries(file.names.map((name) => [name, this.of(file, name)]));
  }

  /** Runs the graph once. */
  async run(runtime: Runtime, outputs: Record<string, Tensor>): Promise<Record<string, Float32Array>> {
    const session = await runtime.session(toOnnx(outputs));
    try {
      const feeds = Object.fromEntries(session.inputs.map(({ name }) => [name, this.feeds[name]]));
      return (await session.run(feeds)) as Record<string, Float32Array>;
    } finally {
      session.close();
    }
  }
}

/** Parses a JSON file with a schema. @throws UserError that names the file and the field */
export function readJsonAs<T>(file: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(readJsonFile(file, 'make the numbers again'));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(`${file}: ${issue.path.join('.')}: ${issue.message}`);
}
