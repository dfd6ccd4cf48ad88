import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { Frame } from './formats/frame.js';
import { machineFailure, UserError } from '../errors.js';
import { syncFolder, writeFailure } from './store/atomic.js';
import { decodePng, encodePng } from './formats/png.js';
import { pngText, withPngText } from './formats/png-text.js';

/** The content id of an image: the first 32 hex digits of the SHA-256 of its size and RGBA bytes. */
export function imageId({ width, height, rgba }: Frame): string {
  return createHash('sha256').update(`${width}x${height}:`).update(rgba).digest('hex').slice(0, 32);
}

/** Keyword of the text in a picture that is stored under another id: `<that id> <content id>`. */
const NAMED = 'critiq-image';

/** Whether a file is a temporary one of a killed process. Only one process at a time uses a run folder (store/lock.ts). */
function isLeftOver(name: string): boolean {
  const writer = /\.png\.(\d+)-\d+\.tmp$/.exec(name);
  return writer !== null && Number(writer[1]) !== process.pid;
}

/** Images synced at the same time: they share commits of the file system's journal, which takes a third of the time. */
const SYNCING = 8;

/**
 * Screenshots by content id: `<folder>/ab/abcdef….png`, so a screen that occurs a hundred times is stored once. After
 * kill -9 an image is either complete or missing. To survive a power cut, call `sync` before committing data that refers to
 * images.
 */
export class ImageStore {
  /** ids of images that are known to be stored */
  private readonly known = new Set<string>();
  private readonly writing = new Map<string, Promise<string>>();
  /** ids of frames that were put before: a device returns the same frame while nothing changes */
  private readonly ids = new WeakMap<Frame, string>();
  /** for each subfolder, the files in it before this store wrote to it; some may be empty */
  private readonly found = new Map<string, Promise<ReadonlySet<string>>>();
  private unsynced: string[] = [];

  constructor(readonly folder: string) {}

  /** The path of an image. @throws UserError if it is not a content id, for example a path */
  path(id: string): string {
    if (!/^[0-9a-f]{32}$/.test(id)) {
      throw new UserError(`${this.folder}: expected the id of an image (32 hex digits), got ${JSON.stringify(id)}`);
    }
    return join(this.folder, id.slice(0, 2), `${id}.png`);
  }

  /**
   * Stores an image unless it is already stored, and returns its id. The pixels of the frame must not change afterwards:
   * they are read later, and the frame's id is cached.
   */
  put(frame: Frame): Promise<string> {
    let id = this.ids.get(frame);
    if (id === undefined) {
      id = imageId(frame);
      this.ids.set(frame, id);
    }
    if (this.known.has(id)) return Promise.resolve(id);
    // several devices may show the same screen at the same time
    let writing = this.writing.get(id);
    if (!writing) {
      writing = this.write(id, frame).finally(() => this.writing.delete(id!));
      this.writing.set(id, writing);
    }
    return writing;
  }

  /**
   * Stores an image under another id than its content's: imported screenshots have the ids of their vectors. The file says
   * both ids, so that `get` can check it.
   */
  async putAs(id: string, frame: Frame): Promise<void> {
    await this.write(id, frame, `${id} ${imageId(frame)}`);
  }

  private async write(id: string, frame: Frame, name?: string): Promise<string> {
    const file = this.path(id);
    const unfinished = `${file}.${process.pid}-${threadId}.tmp`;
    try {
      // If another process has written the file meanwhile, it is replaced by an equal one.
      if ((await this.filesBeside(file)).has(basename(file)) && (await this.has(id))) return id;
      const png = await encodePng(frame);
      await writeFile(unfinished, name === undefined ? png : withPngText(png, NAMED, name), { flag: 'wx' });
      await rename(unfinished, file);
    } catch (error) {
      throw writeFailure(file, error);
    }
    this.known.add(id);
    this.unsynced.push(file);
    return id;
  }

  /** The files in an image's subfolder at the first call, which creates the folder. One listing saves many `stat` calls. */
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
      files.catch(() => this.found.delete(folder)); // the caller gets the error; the next call tries again
    }
    return files;
  }

  /** Whether the image is stored. */
  async has(id: string): Promise<boolean> {
    if (this.known.has(id)) return true;
    const found = await stat(this.path(id)).catch(() => undefined);
    if (found === undefined || found.size === 0) return false;
    this.known.add(id);
    return true;
  }

  /**
   * The pixels of an image, checked against its id.
   * @throws UserError if it is missing, truncated, damaged or another image
   */
  async get(id: string): Promise<Frame> {
    const file = this.path(id);
    const whatToDo = 'run `critiq collect` again after deleting the episodes that show it';
    let frame: Frame;
    let name: string | undefined;
    try {
      const bytes = await readFile(file);
      frame = decodePng(bytes);
      name = pngText(bytes, NAMED);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const ofMachine = machineFailure(file, error as NodeJS.ErrnoException);
      if (ofMachine) throw ofMachine;
      throw new UserError(`${file}: ${code === 'ENOENT' ? 'the image is missing' : message}; ${whatToDo}`);
    }
    const got = imageId(frame);
    if (got !== id && name !== `${id} ${got}`)
      throw new UserError(`${file}: expected the image ${id}, got ${got}; ${whatToDo}`);
    return frame;
  }

  /** Syncs all images since the last call to disk, so that they survive a power cut. */
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
