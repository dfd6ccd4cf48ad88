import { RunError } from '../errors.js';
import type { TypedArray } from './tensor.js';

/**
 * Where the values of an array are: in the array, or in a copy on a device that runs work in. Runs move them there, and
 * whoever wants them on the host says so (`writable`, `snapshot`), so that nothing is copied between two runs. One of
 * the two copies counts at any time; an array whose values are on a device is filled with NaN, so that code that held on
 * to it fails loudly instead of computing with old numbers.
 */

/** Memory of a device. Its calls return when they are done. Lengths are in float32. */
export interface DeviceMemory {
  /** for messages: `cuda:0` */
  readonly name: string;
  /** @throws RunError where there is no room */
  allocate(bytes: number): bigint;
  free(address: bigint): void;
  upload(from: Float32Array, address: bigint): void;
  download(address: bigint, into: Float32Array): void;
  /** into ← into + from */
  add(into: bigint, from: bigint, length: number): void;
  /** target ← (1 - tau) target + tau online, computed in float64 and rounded once, as on the host */
  blend(target: bigint, online: bigint, tau: number, length: number): void;
}

const FLOAT = 4;
/** every byte of an array whose values have left: NaN as float32 and float64, -1 as an integer */
const POISON = 0xff;
const POISONED = -1;

/** A buffer's copy on a device. The buffer is not kept alive. */
export class Residence {
  readonly address: bigint;
  private readonly home: WeakRef<ArrayBufferLike>;
  private owner: 'host' | 'device' = 'host';
  private readers = 0;
  private writers = 0;
  private state: 'open' | 'given up' | 'freed' = 'open';

  /** @param exposed whether code elsewhere may hold the array, and must notice that its values have left */
  constructor(
    readonly device: DeviceMemory,
    buffer: ArrayBufferLike,
    private readonly exposed: boolean,
  ) {
    this.home = new WeakRef(buffer);
    this.address = device.allocate(buffer.byteLength);
  }

  /** The array's buffer; undefined where nobody can reach it any more. */
  get buffer(): ArrayBufferLike | undefined {
    return this.home.deref();
  }

  get onDevice(): boolean {
    return this.owner === 'device';
  }

  /** A run that works with the copy begins: the values are moved there, unless they are there already. */
  enter(writes: boolean): void {
    if (this.state !== 'open') throw new RunError(`run: an array bound on ${this.device.name} was given up`);
    this.settle();
    if (writes) this.writers++;
    else this.readers++;
  }

  leave(writes: boolean): void {
    if (writes) this.writers--;
    else this.readers--;
    if (this.state === 'given up') this.giveUp();
  }

  /** Moves the values to the device. @param writes whether they will be changed there now, beside all runs */
  settle(writes = false): void {
    if (this.readers + this.writers > 0 && (writes || this.owner === 'host')) this.refuse('changing');
    if (this.owner === 'device') return;
    this.device.upload(new Float32Array(this.buffer!), this.address);
    this.owner = 'device';
    if (this.exposed) new Uint8Array(this.buffer!).fill(POISON);
  }

  /** Moves the values to the host. */
  takeHome(): void {
    if (this.owner === 'host') return;
    if (this.writers > 0) this.refuse('reading');
    if (this.exposed && !new Int32Array(this.buffer!).every((bits) => bits === POISONED))
      throw new RunError(
        `an array was written while its values were on ${this.device.name}; take \`data\` anew before writing to it`,
      );
    this.device.download(this.address, new Float32Array(this.buffer!));
    this.owner = 'host';
  }

  /** A copy of what the array would show; the values stay where they are. */
  copyOf<T extends TypedArray>(array: T): T {
    if (this.writers > 0) this.refuse('reading');
    const lead = array.byteOffset % FLOAT; // views of 16-bit numbers may start between two float32
    const copy = new Float32Array(Math.ceil((lead + array.byteLength) / FLOAT));
    this.device.download(this.address + BigInt(array.byteOffset - lead), copy);
    type View = new (buffer: ArrayBufferLike, offset: number, length: number) => T;
    return new (array.constructor as View)(copy.buffer, lead, array.length);
  }

  /** Frees the copy, once no run works with it. */
  giveUp(): void {
    if (this.state === 'freed') return;
    this.state = this.readers + this.writers > 0 ? 'given up' : 'freed';
    if (this.state === 'freed') this.device.free(this.address);
  }

  private refuse(what: string): never {
    throw new RunError(`a run on ${this.device.name} is using these values; await it before ${what} them`);
  }
}

const residences = new WeakMap<ArrayBufferLike, Residence>();
const living = new Map<DeviceMemory, Set<Residence>>();
/** how many there are: where none is, as on CPU, nothing else is looked up */
let count = 0;

/** Gives up the memory of arrays that nobody can reach any more. */
const abandoned = new FinalizationRegistry<Residence>(forget);

function forget(residence: Residence): void {
  if (!living.get(residence.device)?.delete(residence)) return;
  count--;
  residence.giveUp();
}

/**
 * Makes an array resident on a device: runs that bind it from now on, or a part of its buffer, work on the device's copy.
 * @throws RunError for a buffer that lives on another device, or is no whole number of float32
 */
export function reside(device: DeviceMemory, { buffer }: TypedArray, exposed: boolean): void {
  const known = residences.get(buffer);
  if (known?.device === device) return;
  if (known) throw new RunError(`resident: the array lives on ${known.device.name}; close that runtime first`);
  if (buffer.byteLength % FLOAT !== 0)
    throw new RunError(`resident: expected a buffer of a multiple of ${FLOAT} bytes, got ${buffer.byteLength}`);
  const residence = new Residence(device, buffer, exposed);
  residences.set(buffer, residence);
  living.set(device, (living.get(device) ?? new Set()).add(residence));
  abandoned.register(buffer, residence);
  count++;
}

/** The copy that an array's buffer has on a device. */
export function residenceOf({ buffer }: TypedArray, device: DeviceMemory): Residence | undefined {
  const residence = residences.get(buffer);
  return residence?.device === device ? residence : undefined;
}

/**
 * The array, with its values in it, to be read and written until the next run on a device takes them.
 * @throws RunError during a run that changes the values, or where the array was written while they were away
 */
export function writable<T extends TypedArray>(array: T): T {
  if (count > 0) residences.get(array.buffer)?.takeHome();
  return array;
}

/**
 * The array's values now, to be read: the array itself, or a copy where they are on a device.
 * @throws RunError during a run that changes them
 */
export function snapshot<T extends TypedArray>(array: T): T {
  const residence = count > 0 ? residences.get(array.buffer) : undefined;
  return residence?.onDevice ? residence.copyOf(array) : array;
}

/** Gives up the copy of an array that nobody will use again; its values are lost if they were there. */
export function discard({ buffer }: TypedArray): void {
  const residence = residences.get(buffer);
  residences.delete(buffer);
  if (residence) forget(residence);
}

/**
 * Takes everything home from a device that is about to be closed. No run may be under way.
 * @throws RunError where an array was written while its values were away, after all others are home
 */
export function evacuate(device: DeviceMemory): void {
  const failures: unknown[] = [];
  for (const residence of [...(living.get(device) ?? [])]) {
    const { buffer } = residence;
    try {
      if (buffer) residence.takeHome();
    } catch (error) {
      failures.push(error);
    }
    if (buffer) residences.delete(buffer);
    forget(residence);
  }
  living.delete(device);
  if (failures.length > 0) throw failures[0];
}

/**
 * The device that both arrays have a copy on, with the values there and their addresses; undefined where there is none,
 * or the values of both are on the host anyway.
 */
function together(
  changed: Float32Array,
  other: Float32Array,
): { device: DeviceMemory; into: bigint; from: bigint } | undefined {
  if (count === 0) return undefined;
  const [first, second] = [residences.get(changed.buffer), residences.get(other.buffer)];
  if (!first || first.device !== second?.device || !(first.onDevice || second.onDevice)) return undefined;
  first.settle(true);
  second.settle();
  return {
    device: first.device,
    into: first.address + BigInt(changed.byteOffset),
    from: second.address + BigInt(other.byteOffset),
  };
}

/** into += from, where the values are. */
export function addInto(into: Float32Array, from: Float32Array): void {
  const place = together(into, from);
  if (place) return place.device.add(place.into, place.from, into.length);
  writable(into);
  const values = snapshot(from);
  for (let i = 0; i < into.length; i++) into[i] += values[i];
}

/** target ← (1 - tau) target + tau online, where the values are. */
export function blendInto(target: Float32Array, online: Float32Array, tau: number): void {
  const place = together(target, online);
  if (place) return place.device.blend(place.into, place.from, tau, target.length);
  writable(target);
  const from = snapshot(online);
  for (let i = 0; i < target.length; i++) target[i] = (1 - tau) * target[i] + tau * from[i];
}
