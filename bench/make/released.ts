/**
 * Generates a file in the layout of Digi-Q's released data (docs/data.md), of any size, as torch.save writes it: a list of
 * trajectories in a zip, its numpy arrays inside a pickle of protocol 2.
 *
 *   node dist/bench/make/released.js FILE [gigabytes=2] [candidates=64] [rep=4096] [image=1408] [steps=10] [seed=0]
 *
 * The numbers are noise, with a little of the trajectory's outcome in the representations. One step is in memory at a time.
 */
import { crc32 } from '@node-rs/crc32';
import { existsSync } from 'node:fs';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { RELEASED, type ReplaySize } from './replay.js';

/** Sizes of the file. */
export interface ReleasedSize extends ReplaySize {
  /** most steps of a trajectory; they have between half of it and all */
  steps: number;
}

export const RELEASED_FILE: ReleasedSize = { ...RELEASED, gigabytes: 2, steps: 10 };

/** Writes the file, unless it exists. `gigabytes` (1e9 bytes) is what the representations take in float32. Returns its size in bytes. */
export async function makeReleased(file: string, size: ReleasedSize): Promise<number> {
  if (!existsSync(file)) {
    const out = new ZipOfOne(await open(`${file}.part`, 'w'));
    try {
      await out.begin('archive/data.pkl');
      await writeTrajectories(out, size);
      await out.end([
        ['archive/byteorder', 'little'],
        ['archive/version', '3\n'],
      ]);
    } finally {
      await out.handle.close();
    }
    await rename(`${file}.part`, file);
  }
  const handle = await open(file);
  const { size: bytes } = await handle.stat();
  await handle.close();
  return bytes;
}

async function writeTrajectories(out: ZipOfOne, size: ReleasedSize): Promise<void> {
  const { gigabytes, candidates, rep, seed } = size;
  const wanted = Math.ceil((gigabytes * 1e9) / (4 * candidates * rep));
  const pool = noise(seed, 1 << 20);
  await out.write('\x80\x02](');
  for (let made = 0, trajectory = 0; made < wanted; trajectory++) {
    const random = new Random(seed, 'released', trajectory);
    const count = Math.ceil(size.steps / 2) + random.int(Math.floor(size.steps / 2) + 1);
    await writeTrajectory(out, size, trajectory, count, pool, random);
    made += count;
  }
  await out.write('e.');
}

async function writeTrajectory(
  out: ZipOfOne,
  { candidates, rep, image }: ReleasedSize,
  trajectory: number,
  count: number,
  pool: Float32Array,
  random: Random,
): Promise<void> {
  const outcome = random.chance(0.4) ? 1 : 0;
  const task = `Go to shop${trajectory % 97}.com, search for item ${trajectory % 211}`;
  const screens = Array.from({ length: count + 1 }, () => slice(pool, random, image));
  await out.write(']', '(');
  let previous = '';
  for (let step = 0; step < count; step++) {
    const last = step === count - 1;
    const actions = actionsOf(candidates, task, random);
    const reps = new Float32Array(candidates * rep);
    for (let i = 0; i < candidates; i++) reps.set(slice(pool, random, rep), i * rep);
    for (let i = 0; i < candidates; i++) for (let k = 0; k < 16; k++) reps[i * rep + k] += outcome;
    const prompt = (before: string) => `Previous Actions: ${before} Goal: ${task}</s>`;
    const after = actions[0].slice(actions[0].indexOf('"action_type"'));
    await out.write(
      '}',
      '(',
      ...field('observation', text(prompt(previous))),
      ...field('next_observation', text(prompt(after))),
      ...field('task', text(task)),
      ...field('image_features', array(screens[step], [image])),
      ...field('next_image_features', array(screens[step + 1], [image])),
      ...field('image_path', text(`<path_to_images>/${trajectory}_${step}.png`)),
      ...field('next_image_path', text(`<path_to_images>/${trajectory}_${step + 1}.png`)),
      ...field('action', text(actions[0])),
      ...field('action_list', text(actions.slice(1).join('<split>'))),
      ...field('q_rep_out', array(reps.subarray(0, rep), [rep])),
      ...field('q_rep_out_list', array(reps.subarray(rep), [candidates - 1, rep])),
      ...field('reward', integer(last ? outcome : 0)),
      ...field('done', [last ? '\x88' : '\x89']),
      ...field('trajectory_reward', integer(outcome)),
      ...field('traj_id', integer(trajectory)),
      ...field('step_id', integer(step)),
      'u',
    );
    previous = after;
  }
  await out.write('e');
}

/** The action taken and further samples; a third of the samples repeat an earlier one, one in twenty is invalid. */
function actionsOf(count: number, task: string, random: Random): string[] {
  const actions = [actionText(task, random)];
  while (actions.length < count) {
    const roll = random.int(100);
    if (roll < 35) actions.push(actions[random.int(actions.length)]);
    else if (roll < 40) actions.push('Action Plan: [DUAL_POINT]; Action Decision: "action_type": "DUAL');
    else actions.push(actionText(task, random));
  }
  return actions;
}

const BUTTONS = ['PRESS_HOME', 'PRESS_BACK', 'PRESS_ENTER', 'STATUS_TASK_COMPLETE'];

function actionText(task: string, random: Random): string {
  const roll = random.int(100);
  const type = roll < 70 ? 'DUAL_POINT' : roll < 85 ? 'TYPE' : BUTTONS[random.int(BUTTONS.length)];
  const place = () => (random.int(10_000) / 10_000).toFixed(4);
  const point = type === 'DUAL_POINT' ? `[${place()}, ${place()}]` : '[-1.0, -1.0]';
  const words = task.split(' ');
  const typed = type === 'TYPE' ? words.slice(random.int(words.length)).join(' ') : '';
  return (
    `Action Plan: [${type}]; Action Decision: "action_type": "${type}", "touch_point": "${point}", ` +
    `"lift_point": "${point}", "typed_text": "${typed}"`
  );
}

function noise(seed: number, length: number): Float32Array {
  const random = new Random(seed, 'released', 'noise');
  return Float32Array.from({ length }, () => random.normal());
}

function slice(pool: Float32Array, random: Random, length: number): Float32Array {
  const start = random.int(pool.length - length);
  return pool.slice(start, start + length);
}

type Piece = Buffer | string;

const field = (name: string, value: readonly Piece[]): Piece[] => [...text(name), ...value];

/** BINUNICODE (Lib/pickletools.py of CPython). */
function text(value: string): Piece[] {
  return unicode(Buffer.from(value, 'utf8'));
}

function unicode(utf8: Buffer): Piece[] {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(utf8.length);
  return ['X', length, utf8];
}

function integer(value: number): Piece[] {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return ['J', bytes];
}

/** A numpy array of float32 as protocol 2 writes it: its bytes as a text of latin1 characters. */
function array(values: Float32Array, shape: readonly number[]): Piece[] {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return [
    'cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85c_codecs\nencode\n',
    ...text('b'),
    ...text('latin1'),
    '\x86RtR(K\x01(',
    ...shape.flatMap(integer),
    'tcnumpy\ndtype\n',
    ...text('f4'),
    '\x89\x88\x87R(K\x03',
    ...text('<'),
    'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89c_codecs\nencode\n',
    ...unicode(Buffer.from(bytes.toString('latin1'), 'utf8')),
    ...text('latin1'),
    '\x86Rtb',
  ];
}

/** A zip of one large entry and some small ones, stored, with the 64-bit fields of zip (PKWARE APPNOTE 4.5.3). */
class ZipOfOne {
  private position = 0;
  private crc = 0;
  private name = '';
  private pending: Buffer[] = [];
  private waiting = 0;
  private readonly directory: Buffer[] = [];

  constructor(readonly handle: FileHandle) {}

  /** Begins the large entry. Its checksum and sizes are filled in at the end. */
  async begin(name: string): Promise<void> {
    this.name = name;
    await this.append(localHeader(name, 0, 0));
  }

  /** Appends to the large entry. Texts have a byte a character. */
  async write(...pieces: readonly Piece[]): Promise<void> {
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
      this.crc = crc32(bytes, this.crc);
      this.pending.push(bytes);
      this.waiting += bytes.length;
    }
    if (this.waiting > 1 << 23) await this.flush();
  }

  async end(others: readonly (readonly [name: string, content: string])[]): Promise<void> {
    await this.flush();
    const size = this.position - localHeader(this.name, 0, 0).length;
    await this.handle.write(localHeader(this.name, this.crc, size), 0, undefined, 0);
    this.directory.push(centralHeader(this.name, this.crc, size, 0));
    for (const [name, content] of others) {
      const bytes = Buffer.from(content);
      this.directory.push(centralHeader(name, crc32(bytes), bytes.length, this.position));
      await this.append(Buffer.concat([localHeader(name, crc32(bytes), bytes.length), bytes]));
    }
    const directory = Buffer.concat(this.directory);
    const end64 = Buffer.alloc(56);
    end64.write('PK\x06\x06', 'latin1');
    end64.writeBigUInt64LE(44n, 4);
    end64.writeUInt16LE(45, 12);
    end64.writeUInt16LE(45, 14);
    end64.writeBigUInt64LE(BigInt(this.directory.length), 24);
    end64.writeBigUInt64LE(BigInt(this.directory.length), 32);
    end64.writeBigUInt64LE(BigInt(directory.length), 40);
    end64.writeBigUInt64LE(BigInt(this.position), 48);
    const locator = Buffer.alloc(20);
    locator.write('PK\x06\x07', 'latin1');
    locator.writeBigUInt64LE(BigInt(this.position + directory.length), 8);
    locator.writeUInt32LE(1, 16);
    const end = Buffer.alloc(22, 0xff);
    end.write('PK\x05\x06\0\0\0\0', 'latin1');
    end.writeUInt16LE(0, 20);
    await this.append(Buffer.concat([directory, end64, locator, end]));
  }

  private async flush(): Promise<void> {
    await this.append(Buffer.concat(this.pending));
    this.pending = [];
    this.waiting = 0;
  }

  private async append(bytes: Buffer): Promise<void> {
    await this.handle.write(bytes, 0, bytes.length, this.position);
    this.position += bytes.length;
  }
}

function localHeader(name: string, crc: number, size: number): Buffer {
  const header = Buffer.alloc(30);
  header.write('PK\x03\x04', 'latin1');
  header.writeUInt16LE(45, 4);
  header.writeUInt32LE(crc >>> 0, 14);
  header.fill(0xff, 18, 26);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(20, 28);
  return Buffer.concat([header, Buffer.from(name), extra([size, size])]);
}

function centralHeader(name: string, crc: number, size: number, offset: number): Buffer {
  const header = Buffer.alloc(46);
  header.write('PK\x01\x02', 'latin1');
  header.writeUInt16LE(45, 4);
  header.writeUInt16LE(45, 6);
  header.writeUInt32LE(crc >>> 0, 16);
  header.fill(0xff, 20, 28);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(28, 30);
  header.writeUInt32LE(0xffffffff, 42);
  return Buffer.concat([header, Buffer.from(name), extra([size, size, offset])]);
}

/** The extra field with the 64-bit numbers. */
function extra(numbers: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  numbers.forEach((number, i) => field.writeBigUInt64LE(BigInt(number), 4 + 8 * i));
  return field;
}

function sizes(args: readonly string[]): ReleasedSize {
  const size = { ...RELEASED_FILE };
  for (const arg of args) {
    const [key, value] = arg.split('=');
    if (!Object.hasOwn(size, key) || !(Number(value) >= 0)) {
      throw new UserError(`make-released: expected one of ${Object.keys(size).join(', ')} as key=number, got ${arg}`);
    }
    size[key as keyof ReleasedSize] = Number(value);
  }
  return size;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [file, ...rest] = process.argv.slice(2);
  try {
    if (!file) throw new UserError('make-released: expected a file to write to');
    console.log(`${file}: ${await makeReleased(file, sizes(rest))} bytes`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
