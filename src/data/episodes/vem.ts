import { jsonItems } from '../formats/json-items.js';
import type { Pictures } from '../released/pictures.js';
import type { Source, SourceEpisode, SourceStep, Unreadable } from './episode.js';
import { toBoxes } from './points.js';
import { keysOf, splitOfName, wordedAction, type ScrollRule } from './seeclick.js';

/** VEM's names of actions in SeeClick's words. */
const WORDS: Readonly<Record<string, string>> = {
  DUAL_POINT: 'click',
  TYPE: 'type',
  PRESS_BACK: 'press back',
  PRESS_HOME: 'press home',
  PRESS_ENTER: 'press enter',
  STATUS_TASK_COMPLETE: 'status task complete',
  STATUS_TASK_IMPOSSIBLE: 'status task impossible',
  SCROLL_UP: 'scroll up',
  SCROLL_DOWN: 'scroll down',
  SCROLL_LEFT: 'scroll left',
  SCROLL_RIGHT: 'scroll right',
};

type Fields = Readonly<Record<string, unknown>>;

/** The rows of an episode: its lists from the first row, the boxes from each. */
interface Gathered {
  readonly where: string;
  readonly goal: unknown;
  readonly actions: readonly Fields[];
  readonly images: readonly unknown[];
  readonly boxes: Map<number, unknown>;
  /** the highest step that a row is about */
  last: number;
}

/**
 * VEM's own rows (`general_train.jsonl`, `..._critic.jsonl`, `..._policy.jsonl`): a row a step, each with the lists of the whole
 * episode. Rows come in any order, since VEM's labelling writes them as answers arrive, and some may be missing. The episode is
 * built from its lists; a list that a missing screenshot has made shorter than the episode cannot be trusted, since VEM's code
 * shifts it, so such an episode is left out.
 */
export async function* vemEpisodes(
  files: readonly string[],
  { pictures, scrolls, onBytes }: { pictures: Pictures; scrolls: ScrollRule; onBytes?: (bytes: number) => void },
): Source {
  for (const file of files) {
    const split = splitOfName(file);
    const episodes = new Map<string, Gathered>();
    for await (const { value, index, offset } of jsonItems(file, { depth: 0, onBytes })) {
      const row = value as Fields;
      const where = `${file}: row ${index} at byte ${offset}`;
      const { ep_id: id, step_id: step, action_list: actions, image_list: images } = row;
      if (!['string', 'number'].includes(typeof id) || !Number.isInteger(step) || !Array.isArray(actions) || !Array.isArray(images)) {
        yield { where, unreadable: `expected ep_id, step_id, action_list and image_list, got ${keysOf(row)}` };
        continue;
      }
      let episode = episodes.get(String(id));
      if (!episode) {
        episode = { where, goal: row.task, actions: actions as Fields[], images, boxes: new Map(), last: 0 };
        episodes.set(String(id), episode);
      }
      episode.boxes.set(step as number, row.position);
      episode.last = Math.max(episode.last, step as number);
    }
    const family = file.split(/[/\\]/).at(-1)!.split(/[_.]/)[0];
    for (const [id, gathered] of episodes) yield episodeOf(id, gathered, { family, ...(split ? { split } : {}) }, { pictures, scrolls });
  }
}

function episodeOf(
  id: string,
  { where, goal, actions, images, boxes, last }: Gathered,
  of: Pick<SourceEpisode, 'family' | 'split'>,
  { pictures, scrolls }: { pictures: Pictures; scrolls: ScrollRule },
): SourceEpisode | Unreadable {
  const wrong = (what: string): Unreadable => ({ where: `${where} (episode ${id})`, unreadable: what });
  if (typeof goal !== 'string') return wrong('expected a task');
  if (actions.length !== images.length || last >= images.length)
    return wrong(
      `its lists have ${images.length} screenshots and ${actions.length} actions, but there is a row of step ${last}: a screenshot is missing, and the lists are shifted against the steps`,
    );
  const steps: SourceStep[] = [];
  for (const [i, action] of actions.entries()) {
    const { action_type: type, touch_point: touch, lift_point: lift, typed_text: text } = action ?? {};
    const image = images[i];
    if (typeof image !== 'string') return wrong(`image_list[${i}]: expected a path`);
    const kind = WORDS[String(type)] ?? String(type);
    try {
      steps.push({
        does: wordedAction({ kind, touch, lift, text }, scrolls),
        screen: image,
        picture: () => pictures.read(image),
        boxes: toBoxes(boxes.get(i)),
      });
    } catch (error) {
      return wrong(`position of step ${i}: ${(error as Error).message}`);
    }
  }
  return { ...of, id, goal, where, steps };
}
