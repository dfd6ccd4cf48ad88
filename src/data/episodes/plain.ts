import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../errors.js';
import { ACTION_TYPES, tap, type Action, type Point } from '../action.js';
import { jsonItems } from '../formats/json-items.js';
import type { Pictures } from '../released/pictures.js';
import { SPLITS, type Source, type SourceAction, type SourceEpisode, type SourceStep, type SplitName, type Unreadable } from './episode.js';
import { DIRECTIONS, FRACTIONS, SCROLLS, THOUSANDTHS, toBoxes, toPoint, type PointForm } from './points.js';
import { keysOf } from './seeclick.js';

/** Parses an action in critiq's own text; the grammar is in a higher layer. */
export type ParseAction = (text: string) => Action | { readonly invalid: string };

export interface PlainOptions {
  readonly pictures: Pictures;
  readonly parse: ParseAction;
  readonly onBytes?: (bytes: number) => void;
}

type Fields = Readonly<Record<string, unknown>>;

/** Most steps of one episode. */
export const MAX_STEPS = 1000;

/** The `.jsonl` files of a folder in the plain layout, in the order of their names. @throws UserError if there are none */
export function plainFiles(path: string): string[] {
  if (!existsSync(path)) throw new UserError(`${path}: no such folder; expected a folder with .jsonl files and pictures`);
  if (!statSync(path).isDirectory()) return [path];
  const files = readdirSync(path).filter((name) => name.endsWith('.jsonl')).sort();
  if (files.length === 0) throw new UserError(`${path}: has no .jsonl file; see docs/importing.md for the layout`);
  return files.map((name) => join(path, name));
}

/**
 * critiq's plain layout (docs/importing.md): JSON lines, each an episode with its `steps`, or a single step; the steps of an
 * episode are then neighbours. Points are [y, x] in fractions unless `order` or `units` say otherwise.
 */
export async function* plainEpisodes(files: readonly string[], options: PlainOptions): Source {
  for (const file of files) {
    let open: { head: Fields; steps: Fields[]; where: string } | undefined;
    const close = (): SourceEpisode | Unreadable | undefined => {
      const done = open && episodeOf(open.head, open.steps, open.where, options);
      open = undefined;
      return done;
    };
    for await (const { value, index, offset } of jsonItems(file, { depth: 0, onBytes: options.onBytes })) {
      const where = `${file}: entry ${index} at byte ${offset}`;
      const line = value as Fields;
      if (Array.isArray(line.steps)) {
        const before = close();
        if (before) yield before;
        yield episodeOf(line, line.steps as Fields[], where, options);
      } else if (open && open.head.episode === line.episode) {
        // one more than is allowed, so that the episode is left out as a whole
        if (open.steps.length <= MAX_STEPS) open.steps.push(line);
      } else {
        const before = close();
        if (before) yield before;
        open = { head: line, steps: [line], where };
      }
    }
    const before = close();
    if (before) yield before;
  }
}

function episodeOf(head: Fields, steps: readonly Fields[], where: string, options: PlainOptions): SourceEpisode | Unreadable {
  const { episode: id, goal, split, family = '', success, final_image: last } = head;
  const wrong = (unreadable: string): Unreadable => ({ where, unreadable });
  if (!['string', 'number'].includes(typeof id)) return wrong(`expected episode, goal and steps, got ${keysOf(head)}`);
  if (typeof goal !== 'string' || goal === '') return wrong(`episode ${String(id)}: expected a goal`);
  if (split !== undefined && !SPLITS.includes(split as SplitName))
    return wrong(`episode ${String(id)}: split: expected ${SPLITS.join(', ')}, got ${JSON.stringify(split)}`);
  if (success !== undefined && typeof success !== 'boolean')
    return wrong(`episode ${String(id)}: success: expected true or false, got ${JSON.stringify(success)}`);
  const read = (path: string) => () => options.pictures.read(path);
  const made: SourceStep[] = [];
  for (const [i, step] of steps.entries()) {
    const named = `episode ${String(id)}, step ${i}`;
    if (typeof step.step === 'number' && step.step !== i) return wrong(`${named}: is numbered ${step.step}`);
    if (typeof step.image !== 'string') return wrong(`${named}: expected image and action, got ${keysOf(step)}`);
    const form = formOf(head === steps[0] ? step : { ...head, ...step });
    if (typeof form === 'string') return wrong(`${named}: ${form}`);
    try {
      made.push({
        does: actionOf(step.action, form, options.parse),
        screen: step.image,
        picture: read(step.image),
        boxes: toBoxes(step.boxes, form),
        boxTypes: texts(step.box_types),
        boxTexts: texts(step.box_texts),
        ...(typeof step.instruction === 'string' ? { instruction: step.instruction } : {}),
      });
    } catch (error) {
      return wrong(`${named}: boxes: ${(error as Error).message}`);
    }
  }
  return {
    ...{ id: String(id), goal, where, steps: made },
    family: typeof family === 'string' ? family : '',
    ...(split === undefined ? {} : { split: split as SplitName }),
    ...(success === undefined ? {} : { success }),
    ...(typeof last === 'string' ? { last: { screen: last, picture: read(last) } } : {}),
  };
}

/** How the points of a step are written, or what is wrong with what it says. */
function formOf({ order = 'yx', units = 'fractions', width, height }: Fields): PointForm | string {
  if (order !== 'yx' && order !== 'xy') return `order: expected yx or xy, got ${JSON.stringify(order)}`;
  if (units === 'fractions') return { order, scale: FRACTIONS };
  if (units === 'thousandths') return { order, scale: THOUSANDTHS };
  if (units !== 'pixels') return `units: expected fractions, thousandths or pixels, got ${JSON.stringify(units)}`;
  if (!(Number(width) > 0 && Number(height) > 0)) return 'units=pixels needs the width and height of the screen';
  return { order, scale: { width: Number(width), height: Number(height) } };
}

function actionOf(action: unknown, form: PointForm, parse: ParseAction): SourceAction {
  if (typeof action === 'string') {
    const parsed = parse(action);
    return 'invalid' in parsed ? { outside: 'a text that is no action', said: action } : { action: parsed };
  }
  const fields = (typeof action === 'object' && action !== null ? action : {}) as Fields;
  const kind = typeof fields.type === 'string' ? fields.type.toUpperCase() : '';
  const outside = (why: string): SourceAction => ({ outside: why, said: JSON.stringify(action) ?? '' });
  const point = (value: unknown): Point | undefined => toPoint(value, form);
  if (kind === 'TAP' || kind === 'CLICK') {
    const at = point(fields.point);
    return at ? { action: tap(at) } : outside(`${kind} without a point on the screen`);
  }
  if (kind === 'DUAL_POINT' || kind === 'SWIPE') {
    const [touch, lift] = [point(fields.touch), point(fields.lift)];
    return touch && lift ? { action: { type: 'DUAL_POINT', touch, lift } } : outside(`${kind} without two points on the screen`);
  }
  if (kind === 'SCROLL') {
    const direction = DIRECTIONS.find((name) => name === fields.direction);
    if (!direction) return outside('SCROLL without a direction');
    const [touch, lift] = SCROLLS.seeclick[direction];
    return { action: { type: 'DUAL_POINT', touch, lift } };
  }
  if (kind === 'TYPE') {
    return typeof fields.text === 'string' ? { action: { type: kind, text: fields.text } } : outside('TYPE without a text');
  }
  const type = ACTION_TYPES.find((one) => one === kind);
  return type ? { action: { type } as Action } : outside(kind === '' ? 'no type of action' : kind);
}

function texts(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined;
}
