import { isTap, type Action, type Point } from '../action.js';
import { jsonItems } from '../formats/json-items.js';
import type { Pictures } from '../released/pictures.js';
import type { Source, SourceAction, SourceEpisode, SourceStep, SplitName, Unreadable } from './episode.js';
import { DIRECTIONS, FRACTIONS, SCROLLS, toBoxes, toPoint } from './points.js';

/** Where the finger goes in a scroll: as the file's points say, or by the direction's name alone. */
export type ScrollRule = 'recorded' | 'seeclick' | 'vem';

/** SeeClick's points are [x, y], in fractions. */
const POINTS = { order: 'xy', scale: FRACTIONS } as const;

const PLAIN: Readonly<Record<string, Exclude<Action['type'], 'DUAL_POINT' | 'TYPE'>>> = {
  'press back': 'PRESS_BACK',
  'press home': 'PRESS_HOME',
  'press enter': 'PRESS_ENTER',
  'status task complete': 'STATUS_TASK_COMPLETE',
  'status task impossible': 'STATUS_TASK_IMPOSSIBLE',
};

/** The words of an AitW action as SeeClick and VEM write them. */
export interface WordedAction {
  /** `click`, `type`, `press back`, `scroll up`, ... */
  readonly kind: string;
  readonly touch: unknown;
  readonly lift: unknown;
  readonly text: unknown;
}

/** The action of a step in SeeClick's words: `touch` and `lift` are [x, y]. */
export function wordedAction({ kind, touch, lift, text }: WordedAction, scrolls: ScrollRule): SourceAction {
  const outside = (why: string): SourceAction => ({ outside: why, said: JSON.stringify({ kind, touch, lift, text }) });
  if (kind === 'type') return typeof text === 'string' ? { action: { type: 'TYPE', text } } : outside('type without text');
  if (Object.hasOwn(PLAIN, kind)) return { action: { type: PLAIN[kind] } };
  const [from, to] = [toPoint(touch, POINTS), toPoint(lift, POINTS)];
  if (kind === 'click') {
    if (!from) return outside('click outside the screen');
    // the word says that it is a tap, whatever the finger did
    return { action: { type: 'DUAL_POINT', touch: from, lift: to && near(from, to) ? to : from } };
  }
  const direction = DIRECTIONS.find((name) => kind === `scroll ${name}`);
  if (!direction) return outside(kind === '' ? 'no kind of action' : kind);
  if (scrolls === 'recorded' && from && to && !near(from, to)) return { action: { type: 'DUAL_POINT', touch: from, lift: to } };
  const [start, end] = SCROLLS[scrolls === 'vem' ? 'vem' : 'seeclick'][direction];
  return { action: { type: 'DUAL_POINT', touch: start, lift: end } };
}

function near(touch: Point, lift: Point): boolean {
  return isTap({ type: 'DUAL_POINT', touch, lift });
}

/** The split that a file's name states: `aitw_data_train.json`, `general_val.jsonl`. */
export function splitOfName(file: string): SplitName | undefined {
  const word = /(?:^|[^a-z])(train|val|validation|test)(?:[^a-z]|$)/i.exec(file.split(/[/\\]/).at(-1)!)?.[1]?.toLowerCase();
  return word === 'validation' ? 'val' : (word as SplitName | undefined);
}

export interface SeeClickOptions {
  /** where the screenshots are */
  readonly pictures: Pictures;
  readonly scrolls: ScrollRule;
  /** parts to read, for example `general`; all if undefined */
  readonly parts?: ReadonlySet<string>;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * SeeClick's AitW annotations, which VEM uses too: `{part: [episode: [step]]}`. A file of one part alone, `[episode: [step]]`, has
 * no parts. A picture is sought by the step's own name, so a missing one shifts nothing.
 */
export async function* seeclickEpisodes(files: readonly string[], options: SeeClickOptions): Source {
  for (const file of files) {
    const split = splitOfName(file);
    const depth = (await firstByte(file)) === '[' ? 1 : 2;
    for await (const { value, key, index, offset } of jsonItems(file, { depth, onBytes: options.onBytes })) {
      const family = depth === 1 ? '' : key;
      if (options.parts && !options.parts.has(family)) continue;
      yield episodeOf(value, { family, split, where: `${file}: ${family === '' ? '' : `${family}, `}episode ${index} at byte ${offset}` }, options);
    }
  }
}

async function firstByte(file: string): Promise<string> {
  const { open } = await import('node:fs/promises');
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
    return buffer.toString('latin1', 0, bytesRead).replace(/^\xef\xbb\xbf/, '').trimStart().slice(0, 1);
  } finally {
    await handle.close();
  }
}

function episodeOf(
  value: unknown,
  of: Pick<SourceEpisode, 'family' | 'split' | 'where'>,
  { pictures, scrolls }: SeeClickOptions,
): SourceEpisode | Unreadable {
  const { where } = of;
  if (!Array.isArray(value) || value.length === 0) return { where, unreadable: 'expected a list of steps' };
  const steps: SourceStep[] = [];
  for (const [i, one] of (value as Record<string, unknown>[]).entries()) {
    const { img_filename: name, annot_position: boxes, action_type_text: kind, touch, lift, type_text: text } = one ?? {};
    if (typeof name !== 'string' || typeof kind !== 'string')
      return { where, unreadable: `step ${i}: expected img_filename and action_type_text, got ${keysOf(one)}` };
    if (one.goal !== value[0].goal || one.ep_id !== value[0].ep_id)
      return { where, unreadable: `step ${i}: has another goal or ep_id than step 0` };
    const screen = /\.(png|jpe?g|webp)$/i.test(name) ? name : `${name}.png`;
    try {
      steps.push({
        does: wordedAction({ kind, touch, lift, text }, scrolls),
        screen,
        picture: () => pictures.read(screen),
        boxes: toBoxes(boxes),
      });
    } catch (error) {
      return { where, unreadable: `step ${i}: annot_position: ${(error as Error).message}` };
    }
  }
  const { ep_id: id, goal } = (value as Record<string, unknown>[])[0];
  if (!['string', 'number'].includes(typeof id) || typeof goal !== 'string')
    return { where, unreadable: `expected ep_id and goal, got ${keysOf(value[0])}` };
  return { ...of, id: String(id), goal, steps };
}

export function keysOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? Object.keys(value).slice(0, 12).join(', ') || 'nothing' : typeof value;
}
