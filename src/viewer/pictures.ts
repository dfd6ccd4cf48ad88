import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import PQueue from 'p-queue';
import { pngFault } from '../data/formats/png.js';
import { fileInside } from '../data/store/inside.js';
import { UserError } from '../errors.js';
import type { PictureCache } from './picture-cache.js';
import { QuestionWorker } from './question-worker.js';
import type { ThumbnailAnswer, ThumbnailRequest } from './thumbnail-worker.js';

/** Width of a thumbnail in pixels: that of a strip's screenshot on a display with two pixels per CSS pixel. */
export const THUMBNAIL_WIDTH = 320;

/** Most pixels of a picture that is decoded. */
const MOST_PIXELS = 64 << 20;
/** Most bytes of a file that is sent. */
const LARGEST_FILE = 32 << 20;

/** A picture for a page. */
export interface Picture {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/**
 * Screenshots in full size and as thumbnails. Thumbnails of wider screenshots are made once, in a thread of their own, and
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
   * @throws UserError if it is not stored, or not a picture
   */
  async stored(run: string, id: string, small: boolean): Promise<Picture> {
    if (!/^[0-9a-f]{32}$/.test(id))
      throw new UserError(`expected the id of a screenshot (32 hexadecimal digits), got ${JSON.stringify(id)}`);
    const picture = await this.read(join(run, 'images'), `${id.slice(0, 2)}/${id}.png`, `the screenshot ${id}`);
    const fault = pngFault(picture.bytes);
    if (fault !== undefined) throw new UserError(`the screenshot ${id}: ${fault}`);
    return small ? this.small(picture, id) : picture;
  }

  /** A screenshot that an imported data set refers to, in the user's folder of images. @throws UserError as `stored` */
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
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new UserError(`${what}: no such folder: ${folder}`);
      throw error;
    }
    const refused = new UserError(`${what}: ${file} is not a PNG, JPEG or WebP file of at most 32 MiB`);
    if ((await stat(file)).size > LARGEST_FILE) throw refused;
    const bytes = new Uint8Array(await readFile(file));
    const type = typeOf(bytes);
    if (!type) throw refused;
    return { bytes, type };
  }

  private async small(picture: Picture, id: string): Promise<Picture> {
    const size = pngSize(picture);
    if (!size || size.width <= THUMBNAIL_WIDTH) return picture;
    if (size.width * size.height > MOST_PIXELS)
      throw new UserError(`the picture has ${size.width} × ${size.height} pixels, too many for a thumbnail`);
    const key = `${id}-${THUMBNAIL_WIDTH}`;
    const kept = await this.cache.get(key);
    if (kept) return { bytes: new Uint8Array(kept), type: 'image/webp' };
    const answer = await this.queue.add(() => this.worker.ask({ png: picture.bytes, width: THUMBNAIL_WIDTH }));
    // a PNG that only browsers can decode is sent unchanged
    if ('error' in answer) return picture;
    await this.cache.put(key, answer.webp);
    return { bytes: new Uint8Array(answer.webp), type: 'image/webp' };
  }
}

/** The media type, by the first bytes; undefined for other formats. */
function typeOf(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(12, bytes.length)).toString('latin1');
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return start.startsWith('RIFF') && start.slice(8) === 'WEBP' ? 'image/webp' : undefined;
}

/** The size in a PNG's header; undefined for other formats. */
function pngSize({ bytes, type }: Picture): { width: number; height: number } | undefined {
  if (type !== 'image/png' || bytes.length < 24) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}
