import { RunError } from '../errors.js';
import type { TypedArray } from './tensor.js';

/**
 * Keeps track of where the values of an array are: in the array itself, or in a copy on a device. Runs move the values to
 * the device; code that needs them on the host asks for them (`writable`, `snapshot`). So nothing is copied between two
 * runs. Only one of the two copies is valid at any time. An array whose values are on a device is filled with NaN, so that
 * code with an old reference to it fails loudly instead of computing with outdated numbers.
 */

/** Memory of a device. All calls are synchronous. Lengths are numbers of float32 values. */
export interface DeviceMemory {
  /** for messages, for example `cuda:0` */
  readonly name: string;
  /** @throws RunError if the device is out of memory */
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
/** fills an array whose values are on the device: NaN as float32 and float64, -1 as an integer */
const POISON = 0xff;
const POISONED = -1;

/** A buffer's copy on a device. It does not keep the buffer alive. */
export class Residence {
  readonly address: bigint;
  private readonly home: WeakRef<ArrayBufferLike>;
  private owner: 'host' | 'device' = 'host';
  private readers = 0;
  private writers = 0;
  private state: 'open' | 'given up' | 'freed' = 'open';

  /** @param exposed whether other code may hold the array and must notice that its values are on the device */
  constructor(
    readonly device: DeviceMemory,
    buffer: ArrayBufferLike,
    private readonly exposed: boolean,
  ) {
    this.home = new WeakRef(buffer);
    this.address = device.allocate(buffer.byteLength);
  }

  /** The array's buffer; undefined if it was garbage collected. */
  get buffer(): ArrayBufferLike | undefined {
    return this.home.deref();
  }

  get onDevice(): boolean {
    return this.owner === 'device';
  }

  /** Registers a run that uses the copy, and moves the values to the device if they are not there yet. */
  enter(writes: boolean): void {
    if (this.state !== 'open') throw new RunError(`run: an array bound on ${this.device.name} was already freed`);
    this.settle();
    if (writes) this.writers++;
    else this.readers++;
  }

  leave(writes: boolean): void {
    if (writes) this.writers--;
    else this.readers--;
    if (this.state === 'given up') this.giveUp();
  }

  /** Moves the values to the device. @param writes whether the caller will change them there, outside of any run */
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
        `an array was written while its values were on ${this.device.name}; read \`data\` again before writing to it`,
      );
    this.device.download(this.address, new Float32Array(this.buffer!));
    this.owner = 'host';
  }

  /** A copy of the array's values, which stay on the device. */
  copyOf<T extends TypedArray>(array: T): T {
    if (this.writers > 0) this.refuse('reading');
    const lead = array.byteOffset % FLOAT; // a view of 16-bit numbers may start in the middle of a float32
    const copy = new Float32Array(Math.ceil((lead + array.byteLength) / FLOAT));
    this.device.download(this.address + BigInt(array.byteOffset - lead), copy);
    type View = new (buffer: ArrayBufferLike, offset: number, length: number) => T;
    return new (array.constructor as View)(copy.buffer, lead, array.length);
  }

  /** Frees the copy, as soon as no run uses it. */
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
/** number of residences; if it is 0, as on the CPU, nothing needs to be looked up */
let count = 0;

/** Frees the device memory of arrays that were garbage collected. */
const abandoned = new FinalizationRegistry<Residence>(forget);

function forget(residence: Residence): void {
  if (!living.get(residence.device)?.delete(residence)) return;
  count--;
  residence.giveUp();
}

/**
 * Makes an array resident on a device: runs that bind it or a part of its buffer from now on use the device's copy.
 * @throws RunError for a buffer on another device, or one whose size is not a multiple of 4 bytes
 */
export function reside(device: DeviceMemory, { buffer }: TypedArray, exposed: boolean): void {
  const known = residences.get(buffer);
  if (known?.device === device) return;
  if (known) throw new RunError(`resident: the array is on ${known.device.name}; close that runtime first`);
  if (buffer.byteLength % FLOAT !== 0)
    throw new RunError(`resident: expected a buffer of a multiple of ${FLOAT} bytes, got ${buffer.byteLength}`);
  const residence = new Residence(device, buffer, exposed);
  residences.set(buffer, residence);
  living.set(device, (living.get(device) ?? new Set()).add(residence));
  abandoned.register(buffer, residence);
  count++;
}

/** The copy of an array's buffer on a device, if it has one. */
export function residenceOf({ buffer }: TypedArray, device: DeviceMemory): Residence | undefined {
  const residence = residences.get(buffer);
  return residence?.device === device ? residence : undefined;
}

/**
 * Returns the array with its values in it. It can be read and written until the next run on a device.
 * @throws RunError during a run that changes the values, or if the array was written while they were on the device
 */
export function writable<T extends TypedArray>(array: T): T {
  if (count > 0) residences.get(array.buffer)?.takeHome();
  return array;
}

/**
 * The array's current values, read-only: the array itself, or a copy if they are on a device.
 * @throws RunError during a run that changes them
 */
export function snapshot<T extends TypedArray>(array: T): T {
  const residence = count > 0 ? residences.get(array.buffer) : undefined;
  return residence?.onDevice ? residence.copyOf(array) : array;
}

/** Frees the device's copy of an array that is no longer needed. Values on the device are lost. */
export function discard({ buffer }: TypedArray): void {
  const residence = residences.get(buffer);
  residences.delete(buffer);
  if (residence) forget(residence);
}

/**
 * Moves all values to the host before a device is closed. No run may be in progress.
 * @throws RunError if an array was written while its values were on the device, after all others have been moved
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
 * The device on which both arrays have a copy, with their addresses, after moving the values there. Undefined if there is
 * no such device, or the values of both are on the host anyway.
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

/** into += from, computed where the values are. */
export function addInto(into: Float32Array, from: Float32Array): void {
  const place = together(into, from);
  if (place) return place.device.add(place.into, place.from, into.length);
  writable(into);
  const values = snapshot(from);
  for (let i = 0; i < into.length; i++) into[i] += values[i];
}

/** target ← (1 - tau) target + tau online, computed where the values are. */
export function blendInto(target: Float32Array, online: Float32Array, tau: number): void {
  const place = together(target, online);
  if (place) return place.device.blend(place.into, place.from, tau, target.length);
  writable(target);
  const from = snapshot(online);
  for (let i = 0; i < target.length; i++) target[i] = (1 - tau) * target[i] + tau * from[i];
}
