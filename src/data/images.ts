import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { Frame } from '../devices/device.js';
import { UserError } from '../errors.js';
import { syncFolder, writeFailure } from './atomic.js';
import { decodePng, encodePng } from './png.js';

/** The content id of a picture: the first 32 hex digits of SHA-256 over its size and its RGBA bytes. */
export function imageId({ width, height, rgba }: Frame): string {
  return createHash('sha256').update(`${width}x${height}:`).update(rgba).digest('hex').slice(0, 32);
}

/**
 * Screenshots by content: `<folder>/ab/abcdef….png`, so that a screen seen a hundred times is stored once. Pictures are
 * whole or absent also after kill -9; to survive a power cut, `sync` before committing what names them.
 */
export class ImageStore {
  private readonly known = new Set<string>();
  private readonly writing = new Map<string, Promise<string>>();
  private unsynced: string[] = [];

  constructor(readonly folder: string) {}

  /** The path of a picture. Throws a UserError for what is not a content id, such as a path. */
  path(id: string): string {
    if (!/^[0-9a-f]{32}$/.test(id)) {
      throw new UserError(`${this.folder}: ${JSON.stringify(id)} is not the id of an image: expected 32 hex digits`);
    }
    return join(this.folder, id.slice(0, 2), `${id}.png`);
  }

  /** Stores a picture unless it is there already, and gives its id. */
  put(frame: Frame): Promise<string> {
    const id = imageId(frame);
    // many devices may show the same screen at the same time
    let writing = this.writing.get(id);
    if (!writing) {
      writing = this.write(id, frame).finally(() => this.writing.delete(id));
      this.writing.set(id, writing);
    }
    return writing;
  }

  private async write(id: string, frame: Frame): Promise<string> {
    if (await this.has(id)) return id;
    const file = this.path(id);
    const unfinished = `${file}.${process.pid}-${threadId}.tmp`;
    try {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(unfinished, await encodePng(frame));
      await rename(unfinished, file);
    } catch (error) {
      throw writeFailure(file, error);
    }
    this.known.add(id);
    this.unsynced.push(file);
    return id;
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
    for (const file of files) {
      const handle = await open(file, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    for (const folder of new Set(files.map((file) => dirname(file)))) await syncFolder(folder);
  }
}
