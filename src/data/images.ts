import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { Frame } from './formats/frame.js';
import { UserError } from '../errors.js';
import { syncFolder, writeFailure } from './store/atomic.js';
import { decodePng, encodePng } from './formats/png.js';

/** The content id of a picture: the first 32 hex digits of SHA-256 over its size and its RGBA bytes. */
export function imageId({ width, height, rgba }: Frame): string {
  return createHash('sha256').update(`${width}x${height}:`).update(rgba).digest('hex').slice(0, 32);
}

/** Whether a file is what a killed process was writing: a run folder has one process at a time (store/lock.ts). */
function isLeftOver(name: string): boolean {
  const writer = /\.png\.(\d+)-\d+\.tmp$/.exec(name);
  return writer !== null && Number(writer[1]) !== process.pid;
}

/** Pictures made durable at the same time: they share the journal's commits, which takes a third of the time of one by one. */
const SYNCING = 8;

/**
 * Screenshots by content: `<folder>/ab/abcdef….png`, so that a screen seen a hundred times is stored once. Pictures are
 * whole or absent also after kill -9; to survive a power cut, `sync` before committing what names them.
 */
export class ImageStore {
  /** ids of the pictures that are stored for certain */
  private readonly known = new Set<string>();
  private readonly writing = new Map<string, Promise<string>>();
  /** ids of pictures put before: a device gives the same frame again while nothing has changed */
  private readonly ids = new WeakMap<Frame, string>();
  /** files that were in each sub-folder before this store wrote to it; some may be empty */
  private readonly found = new Map<string, Promise<ReadonlySet<string>>>();
  private unsynced: string[] = [];

  constructor(readonly folder: string) {}

  /** The path of a picture. Throws a UserError for what is not a content id, such as a path. */
  path(id: string): string {
    if (!/^[0-9a-f]{32}$/.test(id)) {
      throw new UserError(`${this.folder}: ${JSON.stringify(id)} is not the id of an image: expected 32 hex digits`);
    }
    return join(this.folder, id.slice(0, 2), `${id}.png`);
  }

  /**
   * Stores a picture unless it is there already, and gives its id. The pixels of a frame must not change once it was put:
   * they are read later, and the frame's id is remembered.
   */
  put(frame: Frame): Promise<string> {
    let id = this.ids.get(frame);
    if (id === undefined) {
      id = imageId(frame);
      this.ids.set(frame, id);
    }
    if (this.known.has(id)) return Promise.resolve(id);
    // many devices may show the same screen at the same time
    let writing = this.writing.get(id);
    if (!writing) {
      writing = this.write(id, frame).finally(() => this.writing.delete(id!));
      this.writing.set(id, writing);
    }
    return writing;
  }

  private async write(id: string, frame: Frame): Promise<string> {
    const file = this.path(id);
    const unfinished = `${file}.${process.pid}-${threadId}.tmp`;
    try {
      // a file that another process has put there since is replaced by its like
      if ((await this.filesBeside(file)).has(basename(file)) && (await this.has(id))) return id;
      await writeFile(unfinished, await encodePng(frame));
      await rename(unfinished, file);
    } catch (error) {
      throw writeFailure(file, error);
    }
    this.known.add(id);
    this.unsynced.push(file);
    return id;
  }

  /** The files in a picture's sub-folder when it was first asked for; makes the folder. One listing spares many `stat`s. */
  private filesBeside(file: string): Promise<ReadonlySet<string>> {
    const folder = dirname(file);
    let files = this.found.get(folder);
    if (!files) {
      files = mkdir(folder, { recursive: true }).then(async () => {
        const names = await readdir(folder);
        await Promise.all(names.filter(isLeftOver).map((name) => rm(join(folder, name), { force: true })));
        return new Set(names);
      });
      this.found.set(folder, files);
      files.catch(() => this.found.delete(folder)); // reported by whoever awaits it; the next one tries again
    }
    return files;
  }

  /** Whether the picture is stored. */
  async has(id: string): Promise<boolean> {
    if (this.known.has(id)) return true;
    const found = await stat(this.path(id)).catch(() => undefined);
    if (found === undefined || found.size === 0) return false;
    this.known.add(id);
    return true;
  }

  /**
   * The pixels of a picture, checked against its id.
   * @throws UserError where it is missing, truncated, damaged or another picture
   */
  async get(id: string): Promise<Frame> {
    const file = this.path(id);
    const whatToDo = 'run `critiq collect` again after deleting the episodes that show it';
    let frame: Frame;
    try {
      frame = decodePng(await readFile(file));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new UserError(`${file}: ${code === 'ENOENT' ? 'the image is missing' : message}; ${whatToDo}`);
    }
    const got = imageId(frame);
    if (got !== id) throw new UserError(`${file}: expected the image ${id}, got ${got}; ${whatToDo}`);
    return frame;
  }

  /** Makes every picture put since the last call survive a power cut. */
  async sync(): Promise<void> {
    const files = this.unsynced;
    this.unsynced = [];
    const queue = files[Symbol.iterator]();
    const syncNext = async (): Promise<void> => {
      for (const file of queue) {
        const handle = await open(file, 'r');
        try {
          await handle.sync();
        } finally {
          await handle.close();
        }
      }
    };
    await Promise.all(Array.from({ length: SYNCING }, syncNext));
    for (const folder of new Set(files.map((file) => dirname(file)))) await syncFolder(folder);
  }
}
