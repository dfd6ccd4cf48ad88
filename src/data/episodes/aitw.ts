import type { Action } from '../action.js';
import { decodeExample, type Example } from '../formats/tf-example.js';
import type { Frame } from '../formats/frame.js';
import { decodePicture, pictureType } from '../formats/picture.js';
import { tfRecords } from '../formats/tfrecord.js';
import type { Source, SourceAction, SourceEpisode, SourceStep, SplitName, Unreadable } from './episode.js';
import { FRACTIONS, toBoxes, toPoint } from './points.js';

/** Android in the Wild's points are [y, x], in fractions. */
const POINTS = { order: 'yx', scale: FRACTIONS } as const;

/** Numbers of the action types (android_in_the_wild/action_type.py). */
const TYPES: Readonly<Record<number, Action['type']>> = {
  3: 'TYPE',
  4: 'DUAL_POINT',
  5: 'PRESS_BACK',
  6: 'PRESS_HOME',
  7: 'PRESS_ENTER',
  10: 'STATUS_TASK_COMPLETE',
  11: 'STATUS_TASK_IMPOSSIBLE',
};

/** Most bytes of the screenshots of one episode, which are in memory together. */
const MAX_EPISODE = 2 ** 30;
const MAX_STEPS = 1000;

export interface TfRecordSource {
  /** the split of an episode, by a file of splits */
  readonly splits?: ReadonlyMap<string, SplitName>;
  readonly damaged: 'stop' | 'skip';
  readonly onBytes?: (bytes: number) => void;
}

interface OpenEpisode {
  readonly id: string;
  readonly goal: string;
  readonly length: number;
  readonly where: string;
  readonly steps: SourceStep[];
  bytes: number;
  /** why it cannot be used */
  bad?: string;
}

/**
 * Episodes of Android in the Wild's own files: TFRecords (GZIP) with one `tf.train.Example` a step, the screenshot inside as raw
 * RGB bytes. The steps of an episode follow each other; the part is the name of the folder (`general`, `web_shopping`).
 */
export async function* aitwEpisodes(files: readonly string[], options: TfRecordSource): Source {
  for (const file of files) {
    const family = file.split(/[/\\]/).at(-2) ?? '';
    let open: OpenEpisode | undefined;
    const close = (): SourceEpisode | Unreadable | undefined => {
      const done = open;
      open = undefined;
      if (!done) return undefined;
      const { id, goal, where, steps, length } = done;
      const bad =
        done.bad ??
        (steps.length === length ? undefined : `has ${steps.length} of ${length} steps in this file, next to each other`);
      if (bad !== undefined) return { where: `${where} (episode ${id})`, unreadable: bad };
      const split = options.splits?.get(id);
      return { id, goal, family, where, steps, ...(split ? { split } : {}) };
    };
    const records = tfRecords(file, { skipDamaged: options.damaged === 'skip', onBytes: options.onBytes });
    for await (const record of records) {
      const where = `${file}: record ${record.index} at byte ${record.offset}`;
      if ('damaged' in record) {
        // which episode it belongs to is not known: the one before it then lacks a step
        yield { where, unreadable: record.damaged };
        continue;
      }
      let example: Example;
      try {
        example = decodeExample(record.bytes);
        const [id, step] = [example.text('episode_id'), example.number('step_id')];
        if (open?.id !== id) {
          const before = close();
          if (before) yield before;
          open = {
            ...{ id, goal: example.text('goal_info'), length: example.number('episode_length'), where },
            ...{ steps: [], bytes: 0 },
          };
        }
        if (open.bad !== undefined) continue;
        const made = stepOf(example, `${id}/${step}`);
        open.bytes += record.bytes.length;
        if (step !== open.steps.length) open.bad = `${where}: expected step ${open.steps.length}, got step ${step}`;
        else if (step >= MAX_STEPS) open.bad = `has more than ${MAX_STEPS} steps`;
        else if (open.bytes > MAX_EPISODE) open.bad = `has more than ${MAX_EPISODE} bytes of screenshots`;
        else open.steps.push(made);
        if (open.bad !== undefined) open.steps.length = 0;
      } catch (error) {
        const unreadable = (error as Error).message;
        if (open && open.bad === undefined) {
          open.bad = `${where}: ${unreadable}`;
          open.steps.length = 0;
        } else yield { where, unreadable: `no step of Android in the Wild: ${unreadable}` };
      }
    }
    const last = close();
    if (last) yield last;
  }
}

function stepOf(example: Example, screen: string): SourceStep {
  const boxes = toBoxes(example.numbers('image/ui_annotations_positions'), POINTS);
  return {
    does: actionOf(example),
    screen,
    picture: () => rawPicture(example),
    boxes,
    boxTypes: example.texts('image/ui_annotations_ui_types'),
    boxTexts: example.texts('image/ui_annotations_text'),
  };
}

function actionOf(example: Example): SourceAction {
  const number = example.number('results/action_type');
  const type = TYPES[number];
  const [touch, lift] = [[...example.numbers('results/yx_touch')], [...example.numbers('results/yx_lift')]];
  const said = JSON.stringify({ action_type: number, yx_touch: touch, yx_lift: lift });
  if (type === undefined) return { outside: `action type ${number}`, said };
  if (type === 'TYPE') return { action: { type, text: example.texts('results/type_action')[0] ?? '' } };
  if (type !== 'DUAL_POINT') return { action: { type } };
  const [from, to] = [toPoint(touch, POINTS), toPoint(lift, POINTS)];
  return from && to ? { action: { type, touch: from, lift: to } } : { outside: 'a touch outside the screen', said };
}

/** The screenshot: raw bytes [height, width, channels], or a picture file. */
async function rawPicture(example: Example): Promise<Frame | undefined> {
  const [bytes] = example.bytes('image/encoded');
  if (bytes === undefined) return undefined;
  if (pictureType(bytes)) return decodePicture(bytes);
  const [height, width] = [example.number('image/height'), example.number('image/width')];
  const channels = example.number('image/channels');
  if (channels !== 3 && channels !== 4) throw new RangeError(`image/channels: expected 3 or 4, got ${channels}`);
  if (!(height > 0 && width > 0 && height * width * channels === bytes.length))
    throw new RangeError(`image/encoded: expected ${height} × ${width} × ${channels} bytes, got ${bytes.length}`);
  const rgba = new Uint8ClampedArray(4 * height * width).fill(255);
  for (let from = 0, to = 0; from < bytes.length; from += channels, to += 4) {
    rgba[to] = bytes[from];
    rgba[to + 1] = bytes[from + 1];
    rgba[to + 2] = bytes[from + 2];
  }
  return { width, height, rgba };
}
