import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { actionColumns } from '../../src/agents/action-columns.js';
import type { Frame } from '../../src/data/formats/frame.js';
import { ImageStore } from '../../src/data/images.js';
import { ImageVectors } from '../../src/data/image-vectors.js';
import { IMPORTED, importDigiq } from '../../src/data/released/digiq-import.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { readTable } from '../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS } from '../../src/data/transitions.js';
import { Comparison, readJsonAs } from './reference.js';

const numbers = z.array(z.number());
const Expected = z.object({
  steps: z
    .array(
      z.object({
        traj: z.int(),
        step: z.int(),
        image: numbers,
        next_image: numbers,
        mc_return_095: z.number(),
        screen: z.string(),
        next_screen: z.string(),
        actions: z.array(z.string()),
        counts: z.array(z.int()),
        reward: z.number(),
        done: z.boolean(),
      }),
    )
    .min(1),
});

/** Stands for a screenshot: a picture of one pixel whose colour is the number of its path among those asked for so far. */
class Numbered {
  readonly from = 'the pictures of this case';
  private readonly names: string[] = [];

  async read(path: string): Promise<Frame> {
    const name = basename(path);
    if (!this.names.includes(name)) this.names.push(name);
    const number = this.names.indexOf(name);
    return { width: 1, height: 1, rgba: new Uint8ClampedArray([number & 255, number >> 8, 0, 255]) };
  }

  nameOf({ rgba }: Frame): string {
    return this.names[rgba[0] + 256 * rgba[1]];
  }

  close(): void {
    // nothing to close
  }
}

/**
 * A file in the layout of Digi-Q's released data: imported, its stacked frames, returns, screens and candidates are those
 * of expected.json. A file as collected has no candidates.
 */
export async function releasedDataCase(folder: string, file: string): Promise<Comparison> {
  const comparison = new Comparison();
  const { steps } = readJsonAs(join(folder, 'expected.json'), Expected);
  const scratch = mkdtempSync(join(tmpdir(), 'critiq-golden-'));
  try {
    const pictures = new Numbered();
    const done = await importDigiq(join(folder, file), scratch, { parse: actionColumns, gamma: 0.95, pictures });
    const [vectors, , candidateSet, trajectories] = await Promise.all(
      IMPORTED.map((name) => openDataset(join(scratch, name), { verify: 'full' })),
    );
    const rows = (await Promise.all(trajectories.files().map((path) => readTable(path, TRANSITIONS)))).flat();
    const candidates = (await Promise.all(candidateSet.files().map((path) => readTable(path, CANDIDATES)))).flat();
    const images = ImageVectors.open(vectors.files());
    const pair = (...ids: string[]): Float32Array => {
      const both = new Float32Array(2 * images.dim);
      ids.forEach((id, i) => images.read(id, both, i * images.dim));
      return both;
    };
    const store = new ImageStore(join(scratch, 'images'));
    const screen = async (id: string) => pictures.nameOf(await store.get(id));
    comparison.equal(`steps of ${file}`, rows.length, steps.length);
    for (const [i, expected] of steps.entries()) {
      const row = rows[i];
      const at = `${file}, trajectory ${expected.traj}, step ${expected.step}`;
      comparison.equal(at, row.step, expected.step);
      comparison.close(`${at}: image`, pair(row.prevImage, row.image), expected.image);
      comparison.close(`${at}: next image`, pair(row.nextPrevImage, row.nextImage), expected.next_image);
      comparison.close(`${at}: return`, [row.mcReturn], [expected.mc_return_095], 1);
      comparison.equal(`${at}: screen`, await screen(row.image), expected.screen);
      comparison.equal(`${at}: next screen`, await screen(row.nextImage), expected.next_screen);
      comparison.equal(`${at}: reward`, [row.reward, row.done], [expected.reward, expected.done]);
      if (!done.candidates) comparison.equal(`${at}: action`, row.action, expected.actions[0]);
      else {
        comparison.equal(`${at}: actions`, candidates[i].actions, expected.actions);
        comparison.equal(`${at}: counts`, candidates[i].counts, expected.counts);
      }
    }
    images.close();
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return comparison;
}

/** Whether a folder has files in the layout of the released data. */
export function isReleased(folder: string): boolean {
  try {
    return Expected.safeParse(JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))).success;
  } catch {
    return false;
  }
}
