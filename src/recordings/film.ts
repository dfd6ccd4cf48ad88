import type { Frame } from '../data/formats/frame.js';
import { webm } from './webm.js';
import { animatedWebp, vp8Of, type FilmFrame } from './webp.js';
import type { FilmedEpisode } from './filmed.js';
import { FilmPicture } from './picture.js';
import { timeline, type Pace } from './timeline.js';

/** The form of a film. */
export interface FilmOptions extends Pace {
  readonly format: 'webm' | 'webp';
  /** largest width of the screen in pixels */
  readonly width: number;
  /** quality of the pictures, 1 to 99 */
  readonly quality: number;
  readonly signal?: AbortSignal;
}

/**
 * Makes a film of an episode from its screenshots, with the actions drawn in.
 * @param screen loads the screenshot with a content id; called for one at a time, once for equal screens in a row
 * @returns the bytes of the video file; always the same for the same episode and options
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

/** The format of a device's video, by its first bytes; undefined if browsers cannot play it. */
export function videoKind(bytes: Uint8Array): 'webm' | 'mp4' | undefined {
  if (bytes.length < 12) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, 12);
  if (view.readUInt32BE(0) === 0x1a45dfa3) return 'webm';
  return view.toString('latin1', 4, 8) === 'ftyp' ? 'mp4' : undefined;
}
