import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Entry, ZipFile } from 'yauzl';
import { openZip } from '../formats/zip.js';
import { UserError } from '../../errors.js';
import type { Frame } from '../formats/frame.js';
import { decodePicture } from '../formats/picture.js';
import { fileInside } from '../store/inside.js';

/** Most bytes of a picture's file. */
const LARGEST = 64 << 20;

/** Most parts of a path that count. */
const DEEPEST = 32;

/** The screenshots that an imported file names: a folder or a zip, as they were downloaded. */
export interface Pictures {
  /** where they are, for messages */
  readonly from: string;
  /** The picture of a path in the file; undefined if it is not there. @throws UserError if it cannot be read */
  read(path: string): Promise<Frame | undefined>;
  close(): void;
}

/**
 * Opens the screenshots of an imported file.
 * @param path a folder, or a zip
 * @throws UserError if there is no such folder or zip
 */
export async function openPictures(path: string): Promise<Pictures> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new UserError(`--images ${path}: no such folder or zip`);
  if (stat.isDirectory()) return new PictureFolder(path);
  try {
    return await PictureZip.open(path);
  } catch (error) {
    throw new UserError(`--images ${path}: expected a folder or a zip of screenshots: ${(error as Error).message}`);
  }
}

/**
 * The names below a folder that a path in the file may mean, the most exact first. Released files have a placeholder for
 * the folder (`<path_to_images>/3_0.png`), collected ones the absolute path on the machine that collected.
 */
export function namesOf(path: string): string[] {
  const parts = path.split(/[/\\]+/).filter((part) => part !== '' && part !== '.' && !/^<[^<>]*>$|^[A-Za-z]:$/.test(part));
  if (parts.includes('..') || parts.some((part) => part.includes('\0'))) return [];
  // no deeper path is looked for: a long one would have thousands of ends
  const near = parts.slice(-DEEPEST);
  return near.map((_, i) => near.slice(i).join('/'));
}

async function decoded(bytes: Uint8Array, where: string): Promise<Frame> {
  try {
    return await decodePicture(bytes);
  } catch (error) {
    throw new UserError(`${where}: ${(error as Error).message}; expected a PNG, JPEG or WebP`);
  }
}

function small(bytes: number, where: string): void {
  if (bytes > LARGEST) throw new UserError(`${where}: expected a picture of at most 64 MiB, got ${bytes} bytes`);
}

/** A name without the end that says a picture's format. */
const stemOf = (name: string) => name.replace(/\.(png|jpe?g|webp)$/i, '.*');

/**
 * What is found under a name: each by its whole path and by every end of it that begins with a whole part. A name that two
 * share means neither. Pictures that were converted have another ending than the file says: they are found where no
 * picture has the exact name.
 */
class Index<T> {
  private readonly found = new Map<string, T | null>();
  private readonly stems = new Map<string, T | null>();

  add(path: string, what: T): void {
    namesOf(path).forEach((name, i) => {
      this.found.set(name, i === 0 || !this.found.has(name) ? what : null);
      const stem = stemOf(name);
      this.stems.set(stem, this.stems.has(stem) ? null : what);
    });
  }

  of(path: string): T | undefined {
    const names = namesOf(path);
    const exact = names.find((name) => this.found.has(name));
    if (exact !== undefined) return this.found.get(exact) ?? undefined;
    const stem = names.map(stemOf).find((name) => this.stems.has(name));
    return stem === undefined ? undefined : (this.stems.get(stem) ?? undefined);
  }
}

class PictureFolder implements Pictures {
  private index?: Promise<Index<string>>;

  constructor(readonly from: string) {}

  async read(path: string): Promise<Frame | undefined> {
    const name = namesOf(path).find((one) => existsSync(join(this.from, one))) ?? (await this.below()).of(path);
    if (name === undefined) return undefined;
    const file = fileInside(this.from, name, `--images ${this.from}`);
    small(statSync(file).size, file);
    return decoded(await readFile(file), file);
  }

  close(): void {
    // holds nothing open
  }

  /** All files below the folder, listed at the first picture that is not where its path says. */
  private below(): Promise<Index<string>> {
    this.index ??= readdir(this.from, { recursive: true, withFileTypes: true }).then((entries) => {
      const index = new Index<string>();
      for (const entry of entries) {
        const path = relative(this.from, join(entry.parentPath, entry.name));
        if (entry.isFile()) index.add(path, path);
      }
      return index;
    });
    return this.index;
  }
}

class PictureZip implements Pictures {
  private constructor(
    readonly from: string,
    private readonly zip: ZipFile,
    private readonly entries: Index<Entry>,
  ) {}

  static async open(path: string): Promise<PictureZip> {
    const zip = await openZip(path);
    try {
      const entries = new Index<Entry>();
      for await (const entry of zip.eachEntry()) if (!entry.fileName.endsWith('/')) entries.add(entry.fileName, entry);
      return new PictureZip(path, zip, entries);
    } catch (error) {
      zip.close();
      throw error;
    }
  }

  async read(path: string): Promise<Frame | undefined> {
    const entry = this.entries.of(path);
    if (!entry) return undefined;
    const where = `${this.from}: ${entry.fileName}`;
    small(entry.uncompressedSize, where);
    let bytes: Buffer;
    try {
      const stream = await this.zip.openReadStreamPromise(entry);
      const pieces: Buffer[] = [];
      // yauzl stops a stream that is longer than the entry says
      for await (const piece of stream) pieces.push(piece as Buffer);
      bytes = Buffer.concat(pieces);
    } catch (error) {
      throw new UserError(`${where}: ${(error as Error).message}`);
    }
    return decoded(bytes, where);
  }

  close(): void {
    this.zip.close();
  }
}
