import { mkdirSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Most bytes to keep. */
const MOST = 256 << 20;

/** Thumbnails of all runs in a folder of the user's, by the content of the original. The oldest are removed first. */
export class PictureCache {
  private readonly folder: string;
  private written = 0;
  private trimming: Promise<void> | undefined;

  /** @param folder default: `critiq/thumbnails` in the user's cache folder, or in the folder for temporary files */
  constructor(
    folder = standard(),
    private readonly most = MOST,
  ) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** @param key letters, digits and hyphens */
  async get(key: string): Promise<Buffer | undefined> {
    return readFile(this.file(key)).catch(() => undefined);
  }

  /** Keeps a picture. One that cannot be written is not kept, which is no error. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    const file = this.file(key);
    try {
      await writeFile(`${file}.${process.pid}.tmp`, bytes);
      await rename(`${file}.${process.pid}.tmp`, file);
    } catch {
      // without a cache, the thumbnail is made again
      return;
    }
    this.written += bytes.length;
    if (this.written > this.most / 8) {
      this.written = 0;
      this.trimming ??= this.trim().finally(() => (this.trimming = undefined));
      await this.trimming;
    }
  }

  /** Removes the oldest files until the rest fits. */
  async trim(): Promise<void> {
    const files: { file: string; size: number; time: number }[] = [];
    for (const name of await readdir(this.folder)) {
      const file = join(this.folder, name);
      const found = await stat(file).catch(() => undefined);
      if (found) files.push({ file, size: found.size, time: found.mtimeMs });
    }
    files.sort((a, b) => b.time - a.time);
    let kept = 0;
    for (const { file, size } of files) {
      kept += size;
      if (kept > this.most) await rm(file, { force: true });
    }
  }

  private file(key: string): string {
    return join(this.folder, `${key}.webp`);
  }
}

function standard(): string {
  for (const folder of [process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), tmpdir()]) {
    try {
      const below = join(folder, 'critiq', 'thumbnails');
      mkdirSync(below, { recursive: true });
      return below;
    } catch {
      // not writable: try the next one
    }
  }
  return join(tmpdir(), 'critiq-thumbnails');
}
