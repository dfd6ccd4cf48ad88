import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import PQueue from 'p-queue';
import { fileInside } from '../data/store/inside.js';
import { UserError } from '../errors.js';
import type { PictureCache } from './picture-cache.js';
import { QuestionWorker } from './question-worker.js';
import type { ThumbnailAnswer, ThumbnailRequest } from './thumbnail-worker.js';

/** Pixels that a thumbnail is wide: a strip's pictures on a screen of two pixels a CSS pixel. */
export const THUMBNAIL_WIDTH = 320;

/** Pictures with more pixels are not decoded. */
const MOST_PIXELS = 64 << 20;
/** Bytes of a file that is sent. */
const LARGEST_FILE = 32 << 20;

/** A picture for a page. */
export interface Picture {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/**
 * Screenshots as they are, and small ones: of those that are wider than a thumbnail, made once in a thread of its own and
 * kept in the cache.
 */
export class Pictures {
  private readonly worker = new QuestionWorker<ThumbnailRequest, ThumbnailAnswer>(
    new URL('./thumbnail-worker.js', import.meta.url),
  );
  private readonly queue = new PQueue({ concurrency: 1 });

  constructor(private readonly cache: PictureCache) {}

  /**
   * A screenshot of a run by its content id.
   * @throws UserError where it is not stored, or is no picture
   */
  async stored(run: string, id: string, small: boolean): Promise<Picture> {
    if (!/^[0-9a-f]{32}$/.test(id)) throw new UserError(`${JSON.stringify(id)} is not the id of a screenshot`);
    const picture = await this.read(join(run, 'images'), `${id.slice(0, 2)}/${id}.png`, `the screenshot ${id}`);
    return small ? this.small(picture, id) : picture;
  }

  /** A screenshot that an imported data set names, in a folder that the user named. @throws UserError as `stored` */
  async named(folder: string, name: string, small: boolean): Promise<Picture> {
    const picture = await this.read(folder, name, 'the imported screenshot');
    return small ? this.small(picture, createHash('sha256').update(picture.bytes).digest('hex').slice(0, 32)) : picture;
  }

  close(): Promise<void> {
    return this.worker.close();
  }

  private async read(folder: string, name: string, what: string): Promise<Picture> {
    let file: string;
    try {
      file = fileInside(folder, name, what);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        throw new UserError(`${what}: there is no folder ${folder}`);
      throw error;
    }
    const bytes = new Uint8Array(await readFile(file));
    const type = typeOf(bytes);
    if (!type || bytes.length > LARGEST_FILE)
      throw new UserError(`${what}: ${file} is no PNG, JPEG or WebP of at most 32 MiB`);
    return { bytes, type };
  }

  private async small(picture: Picture, id: string): Promise<Picture> {
    const size = pngSize(picture);
    if (!size || size.width <= THUMBNAIL_WIDTH) return picture;
    if (size.width * size.height > MOST_PIXELS)
      throw new UserError(`a picture of ${size.width} × ${size.height} pixels is too large`);
    const key = `${id}-${THUMBNAIL_WIDTH}`;
    const kept = await this.cache.get(key);
    if (kept) return { bytes: new Uint8Array(kept), type: 'image/webp' };
    const answer = await this.queue.add(() => this.worker.ask({ png: picture.bytes, width: THUMBNAIL_WIDTH }));
    // a PNG that only browsers read is sent as it is
    if ('error' in answer) return picture;
    await this.cache.put(key, answer.webp);
    return { bytes: new Uint8Array(answer.webp), type: 'image/webp' };
  }
}

/** By the first bytes. */
function typeOf(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(12, bytes.length)).toString('latin1');
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return start.startsWith('RIFF') && start.slice(8) === 'WEBP' ? 'image/webp' : undefined;
}

/** The size that a PNG's header states; undefined for other formats. */
function pngSize({ bytes, type }: Picture): { width: number; height: number } | undefined {
  if (type !== 'image/png' || bytes.length < 24) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}
