import type { Frame } from '../data/formats/frame.js';
import { webm } from './webm.js';
import { animatedWebp, vp8Of, type FilmFrame } from './webp.js';
import type { FilmedEpisode } from './filmed.js';
import { FilmPicture } from './picture.js';
import { timeline, type Pace } from './timeline.js';

/** What films are like. */
export interface FilmOptions extends Pace {
  readonly format: 'webm' | 'webp';
  /** pixels of the screen's width at most */
  readonly width: number;
  /** of the pictures, 1 to 99 */
  readonly quality: number;
  readonly signal?: AbortSignal;
}

/**
 * Films an episode from its screenshots, with the actions drawn in.
 * @param screen the screenshot with a content id; asked for one at a time, each once in a row
 * @returns the bytes of the video file; with the same episode and options always the same
 */
export async function film(
  episode: FilmedEpisode,
  screen: (image: string) => Promise<Frame>,
  options: FilmOptions,
): Promise<Buffer> {
  const { format, width, quality, signal } = options;
  const images = [...episode.steps.map(({ image }) => image), episode.finalImage];
  const frames: FilmFrame[] = [];
  let picture: FilmPicture | undefined;
  let shown = '';
  for (const { step, progress, milliseconds } of timeline(episode, options)) {
    signal?.throwIfAborted();
    if (images[step] !== shown || !picture) {
      const frame = await screen(images[step]);
      picture ??= new FilmPicture(episode, frame, width);
      picture.show(frame);
      shown = images[step];
    }
    picture.draw(step, progress);
    frames.push({ vp8: vp8Of(await picture.canvas.encode('webp', quality)), milliseconds });
  }
  return format === 'webm' ? webm(frames, `${episode.episode}: ${episode.goal}`) : animatedWebp(frames);
}

/** The kind of a video that a device made, by its first bytes; undefined where it is none that browsers play. */
export function videoKind(bytes: Uint8Array): 'webm' | 'mp4' | undefined {
  if (bytes.length < 12) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, 12);
  if (view.readUInt32BE(0) === 0x1a45dfa3) return 'webm';
  return view.toString('latin1', 4, 8) === 'ftyp' ? 'mp4' : undefined;
}
