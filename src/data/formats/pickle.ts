import { PickleCursor, Payload } from './pickle-cursor.js';

/**
 * A streaming reader of Python pickles that executes nothing. It supports the opcodes (Lib/pickletools.py of CPython) of
 * the binary protocols 2 to 5. critiq has its own reader because a released data set is one pickle of 20 GB, and
 * pickleparser (0.2.1) needs it in one Buffer, misreads negative LONG1 and rounds integers above 2^53.
 */
export interface PickleWorld {
  /** The value of a global. @throws Error for every global that is not allowed; there is no other way to get one */
  global(module: string, name: string): unknown;
  /** The value of `callable(*args)`, where `callable` comes from `global`. */
  reduce(callable: unknown, args: readonly unknown[]): unknown;
  /** `object.__setstate__(state)` */
  build(object: unknown, state: unknown): void;
  /** The value of a persistent id. */
  persistent(id: unknown): unknown;
}

/** A Python tuple. Lists are arrays, dictionaries are Maps. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** Texts and byte strings of at most this many bytes become JavaScript values; longer ones stay in the file as `Payload`. */
const INLINE = 4096;

const MARK = Symbol('mark');

/** More than the depth to which lists and dictionaries with a single entry are nested in these files; see `release`. */
const LAG = 16;

/** The memo entries that a pickle fetches, found in one pass that builds nothing. Only these need to be kept. */
export function fetchedMemos(cursor: PickleCursor): Set<number> {
  const fetched = new Set<number>();
  for (;;) {
    const opcode = cursor.u8();
    switch (opcode) {
      case 0x2e: // STOP
        return fetched;
      case 0x68: // BINGET
        fetched.add(cursor.u8());
        break;
      case 0x6a: // LONG_BINGET
        fetched.add(cursor.u32());
        break;
      case 0x63: // GLOBAL
        cursor.line();
        cursor.line();
        break;
      default:
        cursor.skip(argumentLength(opcode, cursor));
    }
  }
}

/** Length of an opcode's argument in bytes. For arguments with a count, this reads the count first. */
function argumentLength(opcode: number, cursor: PickleCursor): number {
  switch (opcode) {
    case 0x80: // PROTO
    case 0x4b: // BININT1
    case 0x71: // BINPUT
      return 1;
    case 0x4d: // BININT2
      return 2;
    case 0x4a: // BININT
    case 0x72: // LONG_BINPUT
      return 4;
    case 0x47: // BINFLOAT
    case 0x95: // FRAME
      return 8;
    case 0x8a: // LONG1
    case 0x55: // SHORT_BINSTRING
    case 0x43: // SHORT_BINBYTES
    case 0x8c: // SHORT_BINUNICODE
      return cursor.u8();
    case 0x58: // BINUNICODE
    case 0x42: // BINBYTES
    case 0x54: // BINSTRING
    case 0x8b: // LONG4
      return cursor.u32();
    case 0x8d: // BINUNICODE8
    case 0x8e: // BINBYTES8
    case 0x96: // BYTEARRAY8
      return cursor.u64();
    default:
      return 0;
  }
}

/**
 * Reads a pickle whose value is a list and yields the items as they are completed, so that only one is in memory. A value
 * that is not a list is yielded as a single item.
 * @param fetched from `fetchedMemos`
 * @throws Error with the position and the reason if the pickle is damaged or uses something that is not allowed
 */
export function* pickleItems(cursor: PickleCursor, world: PickleWorld, fetched: ReadonlySet<number>): Generator<unknown> {
  const machine = new Unpickler(cursor, world, fetched);
  while (machine.step()) yield* machine.completed();
  yield* machine.completed();
  const value = machine.value();
  if (value !== machine.root) yield value;
}

/** Reads a whole pickle. See `pickleItems`. */
export function readPickle(cursor: PickleCursor, world: PickleWorld, fetched: ReadonlySet<number>): unknown {
  const machine = new Unpickler(cursor, world, fetched, false);
  while (machine.step());
  return machine.value();
}

class Unpickler {
  /** the list whose items are streamed: the first value on the stack, if it is a list */
  root: unknown;
  private readonly stack: unknown[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, unknown>();
  private memoized = 0;
  private done: unknown[] = [];

  constructor(
    private readonly cursor: PickleCursor,
    private readonly world: PickleWorld,
    private readonly fetched: ReadonlySet<number>,
    private readonly streaming = true,
  ) {}

  /** Items of the root list that have been completed since the last call. */
  completed(): unknown[] {
    const done = this.done;
    if (done.length > 0) this.done = [];
    return done;
  }

  value(): unknown {
    if (this.stack.length !== 1) throw this.cursor.fault(`expected one value on the stack, got ${this.stack.length}`);
    return this.stack[0];
  }

  /** Runs one opcode; false after STOP. */
  step(): boolean {
    const { cursor } = this;
    const opcode = cursor.u8();
    switch (opcode) {
      case 0x80: {
        const protocol = cursor.u8(); // PROTO
        if (protocol > 5) throw cursor.fault(`expected a pickle protocol of at most 5, got ${protocol}`);
        return true;
      }
      case 0x95: // FRAME
        cursor.u64();
        return true;
      case 0x2e: // STOP
        return false;
      case 0x28: // MARK
        this.marks.push(this.stack.length);
        this.stack.push(MARK);
        return true;
      case 0x30: // POP
        this.pop();
        return true;
      case 0x31: // POP_MARK
        this.popMark();
        return true;
      case 0x71: // BINPUT
        return this.keep(cursor.u8());
      case 0x72: // LONG_BINPUT
        return this.keep(cursor.u32());
      case 0x94: // MEMOIZE
        return this.keep(this.memoized);
      case 0x61: // APPEND
        this.extend(this.peekBelow(1), [this.pop()]);
        return true;
      case 0x65: // APPENDS
        this.appends();
        return true;
      case 0x73: // SETITEM
        this.setItems(this.popMany(2));
        return true;
      case 0x75: // SETITEMS
        this.setItems(this.popMark());
        return true;
      case 0x62: {
        const state = this.pop(); // BUILD
        this.world.build(this.peek(), state);
        return true;
      }
      default:
        this.push(this.made(opcode));
        return true;
    }
  }

  /** The value that an opcode pushes on the stack. */
  private made(opcode: number): unknown {
    const { cursor } = this;
    switch (opcode) {
      case 0x4e: // NONE
        return null;
      case 0x88: // NEWTRUE
        return true;
      case 0x89: // NEWFALSE
        return false;
      case 0x4b: // BININT1
        return cursor.u8();
      case 0x4d: // BININT2
        return cursor.u16();
      case 0x4a: // BININT
        return cursor.i32();
      case 0x47: // BINFLOAT
        return cursor.f64();
      case 0x8a: // LONG1
        return this.long(cursor.u8());
      case 0x8b: // LONG4
        return this.long(cursor.u32());
      case 0x8c: // SHORT_BINUNICODE
      case 0x58: // BINUNICODE
      case 0x8d: // BINUNICODE8
        return this.text(argumentLength(opcode, cursor));
      case 0x55: // SHORT_BINSTRING
      case 0x54: // BINSTRING
      case 0x43: // SHORT_BINBYTES
      case 0x42: // BINBYTES
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.bytes(argumentLength(opcode, cursor));
      case 0x5d: // EMPTY_LIST
        return this.rootOr([]);
      case 0x7d: // EMPTY_DICT
        return new Map();
      case 0x29: // EMPTY_TUPLE
        return new Tuple([]);
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return new Tuple(this.popMany(opcode - 0x84));
      case 0x74: // TUPLE
        return new Tuple(this.popMark());
      case 0x68: // BINGET
        return this.fetch(cursor.u8());
      case 0x6a: // LONG_BINGET
        return this.fetch(cursor.u32());
      case 0x63: // GLOBAL
        return this.world.global(cursor.line(), cursor.line());
      case 0x93: {
        const [module, name] = this.popMany(2); // STACK_GLOBAL
        if (typeof module !== 'string' || typeof name !== 'string') throw cursor.fault('expected texts as name of a global');
        return this.world.global(module, name);
      }
      case 0x52: // REDUCE
      case 0x81: {
        const [callable, args] = this.popMany(2); // NEWOBJ
        if (!(args instanceof Tuple)) throw cursor.fault('expected a tuple of arguments');
        return this.world.reduce(callable, args.items);
      }
      case 0x51: // BINPERSID
        return this.world.persistent(this.pop());
      default:
        throw cursor.fault(`unexpected opcode 0x${opcode.toString(16)}, which torch.save does not write`);
    }
  }

  private rootOr(list: unknown[]): unknown[] {
    if (this.stack.length === 0) this.root = list;
    return list;
  }

  private push(value: unknown): void {
    if (this.streaming && this.root !== undefined && this.marks.length === 1 && this.marks[0] === 1) this.release();
    this.stack.push(value);
  }

  /**
   * The items of the root list collect above its mark until APPENDS. The values above an item may be its only child, which
   * APPEND or SETITEM will move into it. So an item counts as complete when there are `LAG` more values above it.
   */
  private release(): void {
    const at = this.stack.length - LAG;
    const item = this.stack[at];
    if (at > 1 && this.stack[0] === this.root && (Array.isArray(item) || item instanceof Map)) {
      this.done.push(item);
      this.stack[at] = MARK;
    }
  }

  private appends(): void {
    const items = this.popMark();
    this.extend(this.peek(), items);
  }

  private extend(list: unknown, items: unknown[]): void {
    if (!Array.isArray(list)) throw this.cursor.fault('expected a list to append to');
    const into = this.streaming && list === this.root ? this.done : list;
    for (const item of items) if (item !== MARK) into.push(item);
  }

  private setItems(items: unknown[]): void {
    const target = this.peek();
    if (!(target instanceof Map) || items.length % 2 !== 0) throw this.cursor.fault('expected a dict and pairs of entries');
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  private pop(): unknown {
    const value = this.stack.pop();
    if (value === undefined || value === MARK) throw this.cursor.fault('expected a value on the stack, got none');
    return value;
  }

  private popMany(count: number): unknown[] {
    if (this.stack.length - count < (this.marks.at(-1) ?? -1) + 1) {
      throw this.cursor.fault(`expected ${count} values on the stack, got fewer`);
    }
    return this.stack.splice(-count);
  }

  private popMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.cursor.fault('expected a MARK on the stack, got none');
    const items = this.stack.splice(mark + 1);
    this.stack.pop();
    return items;
  }

  private peek(): unknown {
    return this.peekBelow(0);
  }

  private peekBelow(depth: number): unknown {
    return this.stack[this.stack.length - 1 - depth];
  }

  private keep(index: number): true {
    this.memoized++;
    if (this.fetched.has(index)) this.memo.set(index, this.peek());
    return true;
  }

  private fetch(index: number): unknown {
    if (!this.memo.has(index)) throw this.cursor.fault(`memo ${index} is used before it is set`);
    return this.memo.get(index);
  }

  /** A little-endian integer in two's complement, as a number if that is exact, else as a bigint. */
  private long(length: number): number | bigint {
    if (length > 255) throw this.cursor.fault(`expected an integer of at most 255 bytes, got ${length}`);
    if (length === 0) return 0;
    const hex = Buffer.from(this.cursor.fixed(length)).reverse().toString('hex');
    const value = BigInt.asIntN(8 * length, BigInt(`0x${hex}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  private text(length: number): string | Payload {
    if (length > INLINE) return new Payload(this.cursor.skip(length), length, 'text');
    return this.cursor.fixed(length).toString('utf8');
  }

  private bytes(length: number): Uint8Array | Payload {
    if (length > INLINE) return new Payload(this.cursor.skip(length), length, 'bytes');
    return Uint8Array.from(this.cursor.fixed(length));
  }
}
