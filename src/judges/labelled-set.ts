import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileInside } from '../data/store/inside.js';
import { decodePicture } from '../data/formats/picture.js';
import { linesOf, readText, readWhole } from '../data/formats/text.js';
import type { Frame } from '../data/formats/frame.js';
import { UserError } from '../errors.js';
import { parseJson } from '../data/formats/json.js';

/** A screenshot, its task, and the correct verdict. */
export interface LabelledScreen {
  readonly id: string;
  readonly task: string;
  readonly label: 'success' | 'failure';
  frame(): Promise<Frame>;
  /** the screenshot before it */
  previousFrame?(): Promise<Frame>;
}

const LONGEST_SET = 64 << 20;
const LONGEST_IMAGE = 64 << 20;

/**
 * Reads a labelled set: a file with one JSON object a line, `{"image", "task", "label": "success"|"failure"}`, with the
 * optional fields `"previous"` (the screenshot before) and `"id"` (default: the image's name). Images are PNG, JPEG or WebP
 * files in the set's folder or below it; they are read on demand.
 * @throws UserError naming the wrong line
 */
export function readLabelledSet(file: string): LabelledScreen[] {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new UserError(`${file}: no such file; expected a labelled set (docs/judges.md)`);
  if (stat.size > LONGEST_SET) throw new UserError(`${file}: ${stat.size} bytes, expected at most ${LONGEST_SET}`);
  const folder = dirname(file);
  const seen = new Set<string>();
  const screens: LabelledScreen[] = [];
  for (const [i, line] of linesOf(readText(file)).entries()) {
    if (line.trim() === '') continue;
    const screen = parse(line, folder, `${file}, line ${i + 1}`);
    if (seen.has(screen.id)) {
      throw new UserError(
        `${file}, line ${i + 1}: duplicate id ${JSON.stringify(screen.id)}; give each line with this image its own "id"`,
      );
    }
    seen.add(screen.id);
    screens.push(screen);
  }
  if (screens.length === 0) throw new UserError(`${file}: empty; expected one JSON object a line (docs/judges.md)`);
  return screens;
}

function parse(line: string, folder: string, where: string): LabelledScreen {
  let value: Record<string, unknown>;
  try {
    value = parseJson(line) as typeof value;
  } catch (error) {
    throw new UserError(`${where}: ${(error as Error).message}`);
  }
  const { image, previous, task, label, id = image } = value ?? {};
  if (typeof task !== 'string' || task.trim() === '') throw new UserError(`${where}: "task": expected the task's text`);
  if (label !== 'success' && label !== 'failure')
    throw new UserError(`${where}: "label": expected "success" or "failure", got ${JSON.stringify(label)}`);
  const path = fileInside(folder, image, `${where}: "image"`);
  const before = previous === undefined ? undefined : fileInside(folder, previous, `${where}: "previous"`);
  if (typeof id !== 'string' || id === '') throw new UserError(`${where}: "id": expected a non-empty string`);
  return {
    id,
    task: task.trim(),
    label,
    frame: () => readScreen(path),
    ...(before === undefined ? {} : { previousFrame: () => readScreen(before) }),
  };
}

async function readScreen(path: string): Promise<Frame> {
  const { size } = statSync(path);
  if (size > LONGEST_IMAGE) throw new UserError(`${path}: ${size} bytes, expected at most ${LONGEST_IMAGE}`);
  try {
    return await decodePicture(readWhole(path, LONGEST_IMAGE));
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`);
  }
}
