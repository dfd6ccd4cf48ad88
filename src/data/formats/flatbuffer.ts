/**
 * Checks FlatBuffers (https://flatbuffers.dev/internals) before they are decoded: that every table, text and list lies in
 * the bytes, and that they are not more than the bytes could hold. Decoders believe the lengths that a buffer states, so
 * one flipped bit could cost gigabytes.
 */

/** What the fields of a table refer to, by their number; numbers and truth values are not listed. */
export interface TableShape {
  readonly [field: number]: FieldShape;
}

export type FieldShape =
  | { readonly table: () => TableShape }
  /** a list of tables */
  | { readonly tables: () => TableShape }
  /** a text, or a list of numbers or structs of so many bytes */
  | { readonly bytes: number }
  /** a table whose shape depends on the number in another field */
  | { readonly union: number; readonly of: (kind: number) => TableShape };

const DEEPEST = 64;

/** @throws Error if the bytes are not a buffer whose root is a table of this shape */
export function verifyFlatbuffer(bytes: Uint8Array, root: TableShape): void {
  const verifier = new Verifier(bytes);
  verifier.table(verifier.reference(0), root, 0);
}

class Verifier {
  private readonly view: DataView;
  /** each visited thing takes at least a byte, unless it is shared many times over */
  private left: number;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.left = bytes.length;
  }

  table(at: number, shape: TableShape, depth: number): void {
    this.spend(4);
    if (depth > DEEPEST) throw new Error(`tables are nested more than ${DEEPEST} deep`);
    const vtable = at - this.int(at);
    const size = this.short(vtable);
    this.need(vtable, size);
    for (const [number, kind] of Object.entries(shape) as [string, FieldShape][]) {
      const field = this.field(at, vtable, size, Number(number));
      if (field !== undefined) this.value(field, kind, (other) => this.tag(this.field(at, vtable, size, other)), depth);
    }
  }

  private value(field: number, kind: FieldShape, tag: (field: number) => number, depth: number): void {
    const to = this.reference(field);
    if ('table' in kind) this.table(to, kind.table(), depth + 1);
    else if ('union' in kind) this.table(to, kind.of(tag(kind.union)), depth + 1);
    else if ('bytes' in kind) this.list(to, kind.bytes);
    else {
      const length = this.list(to, 4);
      for (let i = 0; i < length; i++) this.table(this.reference(to + 4 + 4 * i), kind.tables(), depth + 1);
    }
  }

  /** The length of a list, all of whose elements are in the bytes. */
  private list(at: number, bytes: number): number {
    this.need(at, 4);
    const length = this.view.getUint32(at, true);
    this.need(at + 4, length * bytes);
    this.spend(length);
    return length;
  }

  /** The position of a table's field; undefined if it has the default value. */
  private field(at: number, vtable: number, size: number, number: number): number | undefined {
    const entry = 4 + 2 * number;
    const offset = entry + 2 <= size ? this.short(vtable + entry) : 0;
    return offset === 0 ? undefined : at + offset;
  }

  private tag(field: number | undefined): number {
    if (field === undefined) return 0;
    this.need(field, 1);
    return this.view.getUint8(field);
  }

  /** The position that the offset at a position refers to. */
  reference(at: number): number {
    this.need(at, 4);
    return at + this.view.getUint32(at, true);
  }

  private int(at: number): number {
    this.need(at, 4);
    return this.view.getInt32(at, true);
  }

  private short(at: number): number {
    this.need(at, 2);
    return this.view.getUint16(at, true);
  }

  private need(at: number, length: number): void {
    if (at < 0 || length < 0 || at + length > this.bytes.length)
      throw new Error(`${length} bytes at byte ${at} are outside of its ${this.bytes.length} bytes of metadata`);
  }

  private spend(bytes: number): void {
    this.left -= bytes;
    if (this.left < 0) throw new Error('its metadata lists more than its bytes can hold');
  }
}
