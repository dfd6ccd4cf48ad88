import { ImageVectorWriter } from '../../src/data/image-vectors.js';
import type { ImageStore } from '../../src/data/images.js';
import type { Transition } from '../../src/data/transitions.js';
import type { VisionTower } from '../../src/models/vision.js';

interface Screens {
  readonly tower: VisionTower;
  readonly images: ImageStore;
  /** vectors that need not be computed */
  readonly known?: (id: string) => Float32Array | undefined;
  /** called after each batch; may throw to stop */
  readonly onScreens?: (count: number) => void;
}

/** Screens whose vectors are computed together. */
const BATCH = 64;

/** Writes the vectors of all screens of some episodes, each once, in order of first appearance. @returns rows, size and CRC */
export async function writeScreenVectors(
  file: string,
  rows: readonly Pick<Transition, 'image' | 'done' | 'nextImage'>[],
  { tower, images, known = () => undefined, onScreens }: Screens,
) {
  const ids = new Set(rows.flatMap(({ image, done, nextImage }) => (done ? [image, nextImage] : [image])));
  const missing = [...ids].filter((id) => known(id) === undefined);
  const made = new Map<string, Float32Array>();
  for (let start = 0; start < missing.length; start += BATCH) {
    const batch = missing.slice(start, start + BATCH);
    const pixels = [];
    for (const id of batch) pixels.push(tower.prepare(await images.get(id)));
    (await tower.vectors(pixels)).forEach((vector, i) => made.set(batch[i], vector));
    onScreens?.(batch.length);
  }
  const writer = await ImageVectorWriter.open(file, tower.dim);
  try {
    for (const id of ids) await writer.append(id, (made.get(id) ?? known(id))!);
    return await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
