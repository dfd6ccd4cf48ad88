import { readSafetensors, toFloat32, writeSafetensors } from '../data/formats/safetensors.js';
import { RunError } from '../errors.js';
import { Random } from '../random.js';
import { blendInto, snapshot, writable } from './residence.js';
import { Tensor, allocate, fail, input, sameShape, shapeText, sizeOf } from './tensor.js';

/** Initial values: constant, normal with the given standard deviation, or uniform in [-bound, bound). */
export type Initializer = 'zeros' | 'ones' | { readonly normal: number } | { readonly uniform: number };

export interface ParameterSpec {
  readonly shape: readonly number[];
  readonly init: Initializer;
}

/**
 * A parameter. `data` holds its values in row-major order; writing to it changes the parameter. Read `data` again after a
 * run on a device: this moves the values to the host.
 */
export interface Parameter {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A parameter with its place in an arena. */
class Entry implements Parameter {
  constructor(
    readonly shape: readonly number[],
    /** the array; its values may be on a device */
    readonly array: Float32Array,
    readonly place: Place,
  ) {}

  get data(): Float32Array {
    return writable(this.array);
  }
}

/** Where a parameter is stored: in `arena`, from float `start` to `end`, which includes the padding behind it. */
export interface Place {
  readonly arena: Float32Array;
  readonly start: number;
  readonly end: number;
}

/** Parameters are aligned to 16 floats: 64 bytes, a cache line. */
const ALIGN = 16;
/** Floats per arena (1 GiB), unless a single parameter is larger. V8 limits the size of a buffer. */
const ARENA = 2 ** 28;

/**
 * Named float32 arrays, packed into a few large buffers of shared memory ("arenas"), so that an optimizer can update many
 * parameters at once and threads can share them. Names are sorted: the order decides how sums over all parameters are
 * rounded, so it must be the same for initialized, cloned and loaded parameters.
 */
export class Parameters {
  private constructor(
    private readonly entries: ReadonlyMap<string, Entry>,
    readonly arenas: readonly Float32Array[],
  ) {}

  /** Zeroed parameters of the given shapes. */
  static zeros(shapes: Readonly<Record<string, readonly number[]>>): Parameters {
    const padded = (shape: readonly number[]) => Math.ceil(sizeOf(shape) / ALIGN) * ALIGN;
    const groups: [string, readonly number[]][][] = [];
    let room = 0;
    for (const name of Object.keys(shapes).sort()) {
      const shape = shapes[name];
      if (padded(shape) > room) {
        groups.push([]);
        room = ARENA;
      }
      groups.at(-1)!.push([name, shape]);
      room -= padded(shape);
    }
    const entries = new Map<string, Entry>();
    const arenas = groups.map((group) => {
      const total = group.reduce((sum, [, shape]) => sum + padded(shape), 0);
      const arena = allocate('float32', [total]) as Float32Array;
      let start = 0;
      for (const [name, shape] of group) {
        const end = start + padded(shape);
        const data = arena.subarray(start, start + sizeOf(shape));
        entries.set(name, new Entry([...shape], data, { arena, start, end }));
        start = end;
      }
      return arena;
    });
    return new Parameters(entries, arenas);
  }

  /** New parameters. Each has its own random stream, so adding one does not change the others. */
  static init(specs: Readonly<Record<string, ParameterSpec>>, seed: number): Parameters {
    const params = Parameters.zeros(shapesOf(specs));
    for (const [name, { init }] of Object.entries(specs)) {
      const { data } = params.get(name);
      if (init === 'zeros') continue;
      if (init === 'ones') data.fill(1);
      else fill(data, init, new Random(seed, 'parameter', name));
    }
    return params;
  }

  /** Parameters with copies of the given values. */
  static from(values: Readonly<Record<string, { shape: readonly number[]; data: ArrayLike<number> }>>): Parameters {
    const params = Parameters.zeros(shapesOf(values));
    for (const [name, { shape, data }] of Object.entries(values)) {
      if (data.length !== sizeOf(shape))
        fail(`parameter ${name}`, `expected ${sizeOf(shape)} values for ${shapeText(shape)}, got ${data.length}`);
      params.get(name).data.set(data);
    }
    return params;
  }

  /**
   * Reads all tensors of a safetensors file, of an index of shards, or of a folder with either. Half precision becomes
   * float32.
   * @throws UserError with the file's name if it can't be read or is not a safetensors file
   */
  static load(file: string): Parameters {
    const { tensors } = readSafetensors(file);
    const params = Parameters.zeros(Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape])));
    for (const [name, tensor] of tensors) {
      params.get(name).data.set(toFloat32(tensor));
      tensors.delete(name);
    }
    return params;
  }

  /** Writes a safetensors file of float32 atomically. */
  async save(file: string, metadata?: Readonly<Record<string, string>>): Promise<void> {
    const tensors = new Map(
      [...this.entries].map(([name, { shape, array }]) => [
        name,
        { dtype: 'F32' as const, shape, data: snapshot(array) },
      ]),
    );
    return writeSafetensors(file, tensors, metadata);
  }

  /** A copy of the parameters that `keep` selects. */
  select(keep: (name: string) => boolean): Parameters {
    const kept = [...this.entries].filter(([name]) => keep(name));
    return Parameters.from(
      Object.fromEntries(kept.map(([name, { shape, array }]) => [name, { shape, data: snapshot(array) }])),
    );
  }

  /** A copy of the parameters whose names begin with `prefix`, under the rest of their names. */
  below(prefix: string): Parameters {
    const own = [...this.entries].filter(([name]) => name.startsWith(prefix));
    return Parameters.from(
      Object.fromEntries(
        own.map(([name, { shape, array }]) => [name.slice(prefix.length), { shape, data: snapshot(array) }]),
      ),
    );
  }

  clone(): Parameters {
    const copy = Parameters.zeros(shapesOf(Object.fromEntries(this.entries)));
    copy.copyFrom(this);
    return copy;
  }

  /** Copies the values of another set of parameters with the same names and shapes. */
  copyFrom(other: Parameters): void {
    for (const [name, own] of pairs('copyFrom', this, other)) own.data.set(snapshot(other.entry(name).array));
  }

  /** @throws RunError if there is no parameter of this name */
  get(name: string): Parameter {
    return this.entry(name);
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  /** The arrays by name, for binding only: the values may be on a device. Use `get` to read them. */
  arrays(): Record<string, Float32Array> {
    return Object.fromEntries([...this.entries].map(([name, { array }]) => [name, array]));
  }

  place(name: string): Place {
    return this.entry(name).place;
  }

  private entry(name: string): Entry {
    const entry = this.entries.get(name);
    if (!entry) throw new RunError(`parameter ${name}: not found among ${this.entries.size} parameters`);
    return entry;
  }

  /** Graph inputs with the parameters' names and shapes. */
  inputs(): Record<string, Tensor> {
    return Object.fromEntries([...this.entries].map(([name, { shape }]) => [name, input(name, shape)]));
  }

  /** total number of values */
  get count(): number {
    let count = 0;
    for (const { array } of this.entries.values()) count += array.length;
    return count;
  }
}

function shapesOf(
  values: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(values).map(([name, { shape }]) => [name, shape]));
}

function fill(data: Float32Array, init: { normal: number } | { uniform: number }, random: Random): void {
  if ('normal' in init) for (let i = 0; i < data.length; i++) data[i] = init.normal * random.normal();
  else for (let i = 0; i < data.length; i++) data[i] = init.uniform * (2 * random.next() - 1);
}

/** The parameters of `a`, after checking that `b` has the same names and shapes. */
function pairs(op: string, a: Parameters, b: Parameters): [string, Parameter][] {
  const names = a.names();
  if (names.length !== b.names().length)
    fail(op, `expected ${names.length} parameters of the same names, got ${b.names().length}`);
  return names.map((name) => {
    const [own, other] = [a.get(name), b.get(name)];
    if (!sameShape(own.shape, other.shape))
      fail(op, `${name}: shapes ${shapeText(own.shape)} and ${shapeText(other.shape)} differ`);
    return [name, own];
  });
}

/** Polyak averaging in place: target ← (1 - tau) target + tau online (arXiv 1509.02971, algorithm 1). */
export function polyak(target: Parameters, online: Parameters, tau: number): void {
  pairs('polyak', target, online);
  // The same names and shapes have the same places in the arenas, and the padding is 0 in both.
  target.arenas.forEach((arena, i) => blendInto(arena, online.arenas[i], tau));
}
