import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodePng } from '../../src/data/formats/png.js';
import type { Frame } from '../../src/data/formats/frame.js';

/** A screen of one colour with a bright rectangle, so that screens differ. */
export function screenOf(n: number, width = 36, height = 72): Frame {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    const lit = i % width === n % width || Math.floor(i / width) === (7 * n) % height;
    rgba.set(lit ? [255, 255, 255, 255] : [(40 * n) % 256, (90 + 13 * n) % 256, (n * n) % 256, 255], 4 * i);
  }
  return { width, height, rgba };
}

export async function writeScreen(file: string, n: number): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, await encodePng(screenOf(n)));
}

export interface SeeClickStep {
  readonly kind: string;
  /** [x, y], as in SeeClick's files */
  readonly touch?: readonly [number, number];
  readonly lift?: readonly [number, number];
  readonly text?: string;
  readonly boxes?: readonly number[];
}

/** An episode in SeeClick's layout: steps of `general/<id>_<step>`. */
export function seeclickEpisode(id: string, goal: string, steps: readonly SeeClickStep[]): Record<string, unknown>[] {
  return steps.map(({ kind, touch = [-1, -1], lift = touch, text = '', boxes = [] }, step) => ({
    ...{ ep_id: id, step, goal, img_filename: `general/${id}_${step}`, action_type_text: kind },
    ...{ annot_position: boxes, touch, lift, type_text: text },
  }));
}

/** The usual episode: a click, a text, a scroll, ENTER, done. */
export function usualSteps(n: number): SeeClickStep[] {
  const x = 0.1 + (n % 8) / 10;
  return [
    { kind: 'click', touch: [x, 0.75], boxes: [0.7, x - 0.05, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2] },
    { kind: 'type', text: `item ${n}` },
    { kind: 'press enter' },
    { kind: 'scroll down', touch: [0.5, 0.8], lift: [0.5, 0.3] },
    { kind: 'status task complete' },
  ];
}

/** Writes `aitw_data_<split>.json` with `episodes` usual episodes and their screenshots in `images`. @returns the file */
export async function writeSeeClick(
  folder: string,
  split: string,
  episodes: number,
  first = 0,
  images = 'images',
): Promise<string> {
  const ids = Array.from({ length: episodes }, (_, i) => first + i);
  const list = ids.map((n) => seeclickEpisode(`e${n}`, `find item ${n}`, usualSteps(n)));
  for (const [i, steps] of list.entries())
    for (const step of steps.keys())
      await writeScreen(join(folder, images, 'general', `e${ids[i]}_${step}.png`), 5 * ids[i] + step);
  const file = join(folder, `aitw_data_${split}.json`);
  writeFileSync(file, JSON.stringify({ general: list, webshopping: [] }));
  return file;
}

/** Writes `episodes.jsonl` in the plain layout and its screenshots. */
export async function writePlain(folder: string, episodes: number): Promise<void> {
  const lines: string[] = [];
  for (let n = 0; n < episodes; n++) {
    const screens = [`${n}/0.png`, `${n}/1.png`, `${n}/2.png`];
    for (const [i, screen] of screens.entries()) await writeScreen(join(folder, screen), 3 * n + i);
    const actions = [
      { type: 'tap', point: [0.5, 0.1 + (n % 8) / 10] },
      { type: 'type', text: `item ${n}` },
      { type: 'status_task_complete' },
    ];
    const steps = actions.map((action, i) => ({ image: screens[i], action }));
    lines.push(JSON.stringify({ episode: `p${n}`, goal: `find item ${n}`, steps }));
  }
  writeFileSync(join(folder, 'episodes.jsonl'), `${lines.join('\n')}\n`);
}
