import { PickleCursor, Payload } from './pickle-cursor.js';

/**
 * A reader of Python pickles that executes nothing and streams. Opcodes: Lib/pickletools.py of CPython, those that the
 * binary protocols 2 to 5 write. We have our own because a released data set is one pickle of 20 GB, which pickleparser
 * (0.2.1) would need whole in one Buffer; it also reads negative LONG1 wrong and rounds integers above 2^53.
 */
export interface PickleWorld {
  /** What a global stands for. Throws for every global that is not allowed: it is never called or made otherwise. */
  global(module: string, name: string): unknown;
  /** What `callable(*args)` gives; `callable` is something that `global` gave. */
  reduce(callable: unknown, args: readonly unknown[]): unknown;
  /** `object.__setstate__(state)` */
  build(object: unknown, state: unknown): void;
  /** What a persistent id stands for. */
  persistent(id: unknown): unknown;
}

/** A Python tuple. Lists are plain arrays, dictionaries are Maps. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** Texts and byte strings up to this long become JavaScript values; longer ones stay in the file as a `Payload`. */
const INLINE = 4096;

const MARK = Symbol('mark');

/** Deeper than lists and dictionaries of one entry are ever nested in one another in these files. */
const LAG = 16;

/** Walks the pickle once without building anything: which memo entries are ever fetched. Only those need keeping. */
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

/** Bytes that follow an opcode; for counted ones, after reading the count. */
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
 * Reads a pickle whose value is a list and yields the list's items one by one as they are completed, so that only one of
 * them is in memory. A value that is not a list is yielded as it is, once.
 * @param fetched from `fetchedMemos`
 * @throws Error saying where and what where it is damaged or asks for something that is not allowed
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
  /** the list whose items are streamed: the first thing on the stack, if it is a list */
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
    if (this.stack.length !== 1) throw this.cursor.fault(`expected one value at the end, got ${this.stack.length}`);
    return this.stack[0];
  }

  /** Runs one opcode; false after STOP. */
  step(): boolean {
    const { cursor } = this;
    const opcode = cursor.u8();
    switch (opcode) {
      case 0x80: // PROTO
        if (cursor.u8() > 5) throw cursor.fault('a pickle protocol above 5');
        return true;
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

  /** The value that an opcode puts on the stack. */
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
        if (typeof module !== 'string' || typeof name !== 'string') throw cursor.fault('a global without a name');
        return this.world.global(module, name);
      }
      case 0x52: // REDUCE
      case 0x81: {
        const [callable, args] = this.popMany(2); // NEWOBJ
        if (!(args instanceof Tuple)) throw cursor.fault('arguments that are not a tuple');
        return this.world.reduce(callable, args.items);
      }
      case 0x51: // BINPERSID
        return this.world.persistent(this.pop());
      default:
        throw cursor.fault(`the opcode 0x${opcode.toString(16)}, which torch.save does not write`);
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
   * The root list's items pile up above its mark until APPENDS. What follows an item may still be its only child, which
   * APPEND or SETITEM moves into it, so an item counts as complete once `LAG` more values lie above it.
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
    if (!Array.isArray(list)) throw this.cursor.fault('items for something that is not a list');
    const into = this.streaming && list === this.root ? this.done : list;
    for (const item of items) if (item !== MARK) into.push(item);
  }

  private setItems(items: unknown[]): void {
    const target = this.peek();
    if (!(target instanceof Map) || items.length % 2 !== 0) throw this.cursor.fault('entries for something that is not a dict');
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  private pop(): unknown {
    const value = this.stack.pop();
    if (value === undefined || value === MARK) throw this.cursor.fault('a stack that is empty');
    return value;
  }

  private popMany(count: number): unknown[] {
    if (this.stack.length - count < (this.marks.at(-1) ?? -1) + 1) throw this.cursor.fault('a stack that is empty');
    return this.stack.splice(-count);
  }

  private popMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.cursor.fault('an end without its mark');
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
    if (!this.memo.has(index)) throw this.cursor.fault(`memo ${index} fetched before it was put`);
    return this.memo.get(index);
  }

  /** Two's complement, little-endian: a number where that is exact, else a bigint. */
  private long(length: number): number | bigint {
    if (length > 255) throw this.cursor.fault(`an integer of ${length} bytes`);
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
