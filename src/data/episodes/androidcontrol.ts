import { tap } from '../action.js';
import { decodeExample, type Example } from '../formats/tf-example.js';
import { decodePicture } from '../formats/picture.js';
import { tfRecords } from '../formats/tfrecord.js';
import { uiElements } from './accessibility.js';
import type { TfRecordSource } from './aitw.js';
import type { Source, SourceAction, SourceEpisode, SourceStep, Unreadable } from './episode.js';
import { DIRECTIONS, SCROLLS, toPoint, type PointForm } from './points.js';

/**
 * Episodes of AndroidControl: TFRecords (GZIP) with one `tf.train.Example` an episode: screenshots as PNG, accessibility trees,
 * actions as JSON in pixels, and an instruction for each step. There is one screenshot more than there are actions. All
 * episodes are demonstrations that reached their goal.
 */
export async function* androidControlEpisodes(files: readonly string[], options: TfRecordSource): Source {
  for (const file of files) {
    const records = tfRecords(file, { skipDamaged: options.damaged === 'skip', onBytes: options.onBytes });
    for await (const record of records) {
      const where = `${file}: record ${record.index} at byte ${record.offset}`;
      if ('damaged' in record) yield { where, unreadable: record.damaged };
      else yield episodeOf(record.bytes, where, options);
    }
  }
}

function episodeOf(bytes: Uint8Array, where: string, { splits }: TfRecordSource): SourceEpisode | Unreadable {
  try {
    const example = decodeExample(bytes);
    const id = example.has('episode_id') ? idOf(example) : '';
    if (id === '') return { where, unreadable: `expected episode_id, goal and screenshots, got ${example.names.join(', ')}` };
    const split = splits?.get(id);
    return {
      ...{ id, goal: example.text('goal'), family: '', success: true, where, ...(split ? { split } : {}) },
      ...stepsOf(example),
    };
  } catch (error) {
    return { where, unreadable: `no episode of AndroidControl: ${(error as Error).message}` };
  }
}

/** A number, or a text in some copies of the data. */
function idOf(example: Example): string {
  try {
    return String(example.number('episode_id'));
  } catch {
    // not a number: a text, or no id at all, which the next line says
    return example.text('episode_id');
  }
}

function stepsOf(example: Example): Pick<SourceEpisode, 'steps' | 'last'> {
  const screenshots = example.bytes('screenshots');
  const actions = example.texts('actions');
  const [widths, heights] = [example.numbers('screenshot_widths'), example.numbers('screenshot_heights')];
  const trees = example.bytes('accessibility_trees');
  const instructions = example.texts('step_instructions');
  if (screenshots.length !== actions.length + 1)
    throw new RangeError(`expected one screenshot more than actions, got ${screenshots.length} and ${actions.length}`);
  for (const [name, list] of Object.entries({ screenshot_widths: widths, screenshot_heights: heights }))
    if (list.length !== screenshots.length)
      throw new RangeError(`${name}: expected ${screenshots.length} numbers, got ${list.length}`);
  const picture = (i: number) => async () => decodePicture(screenshots[i]);
  const steps = actions.map((text, i): SourceStep => {
    const scale = { width: widths[i], height: heights[i] };
    const { boxes, types, texts } = trees[i] ? uiElements(trees[i], scale) : { boxes: [], types: [], texts: [] };
    return {
      does: actionOf(text, { order: 'xy', scale }),
      screen: String(i),
      picture: picture(i),
      ...{ boxes, boxTypes: types, boxTexts: texts, instruction: instructions[i] ?? '' },
    };
  });
  return { steps, last: { screen: String(actions.length), picture: picture(actions.length) } };
}

/** An action as AndroidControl writes it. Long presses, opening an app and waiting are outside of the grammar. */
function actionOf(said: string, form: PointForm): SourceAction {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(said) as Record<string, unknown>;
  } catch {
    return { outside: 'a text that is not JSON', said };
  }
  const kind = String(fields.action_type);
  switch (kind) {
    case 'click': {
      const at = toPoint([Number(fields.x), Number(fields.y)], form);
      return at ? { action: tap(at) } : { outside: 'click outside the screen', said };
    }
    case 'scroll': {
      const direction = DIRECTIONS.find((name) => name === fields.direction);
      if (!direction) return { outside: 'scroll without a direction', said };
      const [touch, lift] = SCROLLS.seeclick[direction];
      return { action: { type: 'DUAL_POINT', touch, lift } };
    }
    case 'input_text':
      return typeof fields.text === 'string' ? { action: { type: 'TYPE', text: fields.text } } : { outside: kind, said };
    case 'navigate_back':
      return { action: { type: 'PRESS_BACK' } };
    case 'navigate_home':
      return { action: { type: 'PRESS_HOME' } };
    default:
      return { outside: kind, said };
  }
}
