import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatDecision, parseAction } from '../../src/agents/grammar.js';
import { kindOf } from '../../src/agents/offline.js';
import { ratedPicture, shortAction } from '../../src/agents/rated-action.js';
import { swipeDirection, type Action, type Point } from '../../src/data/action.js';
import { encodePng } from '../../src/data/formats/png.js';
import { ImageStore } from '../../src/data/images.js';
import { AtomicFile, writeAtomic } from '../../src/data/store/atomic.js';
import { linkOrCopy } from '../../src/data/store/inside.js';
import { readTable } from '../../src/data/tables.js';
import { TRANSITIONS, type Transition } from '../../src/data/transitions.js';
import { UserError } from '../../src/errors.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { readManifest } from '../../src/runner/outputs.js';
import type { Config } from '../../src/settings/settings.js';
import { FILES, readAnnotations, shardIds } from '../datasets.js';

/** The layouts that `critiq export` writes. */
export const EXPORTS = ['seeclick', 'vem'] as const;
export type ExportLayout = (typeof EXPORTS)[number];

export interface EpisodesExported {
  readonly folder: string;
  readonly episodes: number;
  readonly steps: number;
  /** episodes with an action that the layout does not have */
  readonly leftOut: number;
  readonly files: readonly string[];
}

/** A step of an episode to export. */
interface Step {
  readonly row: Transition;
  readonly action: Action;
  readonly boxes: readonly number[];
}

/** AitW's numbers of the action types. */
const TYPE_IDS: Readonly<Record<Action['type'], number>> = {
  TYPE: 3,
  DUAL_POINT: 4,
  PRESS_BACK: 5,
  PRESS_HOME: 6,
  PRESS_ENTER: 7,
  STATUS_TASK_COMPLETE: 10,
  STATUS_TASK_IMPOSSIBLE: 11,
};

/** The screenshot of a step below the folder of screenshots, without its ending. */
const imageName = ({ family, trajectory, step }: Transition): string =>
  `${part(family)}/${trajectory.replace(/[^\w.+-]+/g, '_')}_${step}`;
/** Screenshots with a red dot where the action touches. */
const DOTTED = 'aitw_images_dotted';
const part = (family: string): string => (family === '' ? 'general' : family.replace(/[^\w+-]+/g, '_'));

/** Points as SeeClick and VEM write them: [x, y]. */
const xy = ([y, x]: Point): [number, number] => [x, y];
const NOWHERE: [number, number] = [-1, -1];

/** The direction in which the content is shown, by that in which the finger moves. */
const SHOWN = { up: 'down', down: 'up', left: 'right', right: 'left' } as const;

/** The word of an action in SeeClick's files; a scroll has the direction in which the content is shown. */
function word(action: Action): string {
  if (action.type !== 'DUAL_POINT')
    return action.type === 'TYPE' ? 'type' : action.type.toLowerCase().replaceAll('_', ' ');
  if (kindOf(action) === 'tap') return 'click';
  return `scroll ${SHOWN[swipeDirection(action.touch, action.lift)]}`;
}

function points(action: Action): { touch: [number, number]; lift: [number, number] } {
  return action.type === 'DUAL_POINT'
    ? { touch: xy(action.touch), lift: xy(action.lift) }
    : { touch: NOWHERE, lift: NOWHERE };
}

const typed = (action: Action): string => (action.type === 'TYPE' ? action.text : '');

/** A step with SeeClick's keys. */
function seeclickStep({ row, action, boxes }: Step): Record<string, unknown> {
  return {
    ...{ ep_id: row.trajectory, step: row.step, goal: row.goal, img_filename: imageName(row) },
    ...{ action_type_id: TYPE_IDS[action.type], action_type_text: word(action), annot_position: boxes },
    ...points(action),
    type_text: typed(action),
  };
}

/** VEM's name of an action's type: scrolls have one of their own. */
function vemType(action: Action): string {
  const name = word(action);
  return name.startsWith('scroll') ? name.toUpperCase().replace(' ', '_') : action.type;
}

/** The short text that VEM's critic reads, with VEM's names of scrolls. */
function shortText(action: Action): string {
  return vemType(action) === action.type ? shortAction(action) : `"action_type": "${vemType(action)}"`;
}

/** The rows of an episode with the keys of VEM's data, those of the policy's among them. Histories end before the step. */
function vemRows(steps: readonly Step[], images: string): Record<string, unknown>[] {
  const lists = {
    action_list: steps.map(({ action }) => ({
      action_type: vemType(action),
      ...{ touch_point: points(action).touch, lift_point: points(action).lift, typed_text: typed(action) },
    })),
    action_type_list: steps.map(({ action }) => vemType(action)),
    image_list: steps.map(({ row }) => `${images}/${imageName(row)}.png`),
    add_point_image_list: steps.map(({ row }) => `${DOTTED}/${imageName(row)}.png`),
    action_desc_list: steps.map(({ action }, i) => `step ${i}: ${shortText(action)}`),
    action_desc_all_list: steps.map(({ action }) => formatDecision(action)),
  };
  return steps.map(({ row, action, boxes }, i) => ({
    ...{ ep_id: row.trajectory, step_id: i, task: row.goal },
    ...lists,
    ...{ position: boxes, action_type: vemType(action) },
    ...{ touch_point: points(action).touch, lift_point: points(action).lift, typed_text: typed(action) },
    policy_image: lists.image_list[i],
    policy_input: `Previous Action:\n${lists.action_desc_all_list.slice(0, i).join('\n')}\nGoal:\n${row.goal}`,
    policy_output: `Action Plan: [${steps
      .slice(i)
      .map(({ action: { type } }) => type)
      .join(', ')}] ; Action Decision: ${lists.action_desc_all_list[i]}`,
  }));
}

/** Parts of the run: the training episodes, and those that are held out by their split. */
const SETS = ['trajectories', 'heldout'] as const;

/**
 * `critiq export seeclick | vem FOLDER`: the run's episodes in these layouts, with screenshots in `FOLDER/aitw_images`. SeeClick:
 * `aitw_data_<split>.json`; VEM: `<part>_<split>.jsonl`, a row a step. An episode with an invalid action is left out, since the layouts
 * have no word for it.
 * @throws UserError if the folder exists, or the run has no trajectories
 */
export async function exportEpisodes(
  layout: ExportLayout,
  out: string,
  config: Config,
  { display, signal }: { readonly display: Display; readonly signal: AbortSignal },
): Promise<EpisodesExported> {
  if (existsSync(out)) throw new UserError(`${out}: already exists; choose a new folder`);
  const sets = SETS.filter((name) => readManifest(datasetFolder(config, name)).size > 0);
  if (sets.length === 0)
    throw new UserError(
      `${datasetFolder(config, 'trajectories')}: no episodes; run \`critiq collect\` or import some first`,
    );
  const images = new ImageStore(join(runFolder(config), 'images'));
  const writer = new Files(out);
  let [episodes, steps, leftOut] = [0, 0, 0];
  try {
    for (const name of sets) {
      const folder = datasetFolder(config, name);
      for (const shard of await shardIds(folder, 'collect')) {
        for (const { split, list } of await episodesOf(folder, shard)) {
          if (signal.aborted) throw new Interrupted('export: stopped');
          if (!list) {
            leftOut++;
            continue;
          }
          for (const { row } of list) {
            const to = join(out, 'aitw_images', `${imageName(row)}.png`);
            mkdirSync(dirname(to), { recursive: true });
            linkOrCopy(images.path(row.image), to);
            if (layout !== 'vem') continue;
            const dotted = ratedPicture(await images.get(row.image), row.action);
            await writeAtomic(join(out, DOTTED, `${imageName(row)}.png`), await encodePng(dotted));
          }
          const family = part(list[0].row.family);
          if (layout === 'seeclick')
            await writer.listed(`aitw_data_${split}.json`, family, JSON.stringify(list.map(seeclickStep)));
          else
            for (const row of vemRows(list, 'aitw_images'))
              await writer.line(`${family}_${split}.jsonl`, JSON.stringify(row));
          episodes++;
          steps += list.length;
          display.count(`export: ${episodes} episodes`);
        }
      }
    }
    return { folder: out, episodes, steps, leftOut, files: await writer.close() };
  } finally {
    await writer.abort();
  }
}

/** The episodes of a shard; without a list where an action is invalid. */
async function episodesOf(folder: string, shard: string): Promise<{ split: string; list: Step[] | undefined }[]> {
  const rows = await readTable(join(folder, FILES.transitions(shard)), TRANSITIONS);
  const annotations = new Map((await readAnnotations(folder, shard))?.map((row) => [row.tid, row]));
  const found = new Map<string, { split: string; list: Step[] | undefined }>();
  for (const row of rows) {
    const about = annotations.get(row.tid);
    const episode = found.get(row.trajectory) ?? { split: about?.split ?? 'train', list: [] };
    const parsed = parseAction(row.action);
    if ('invalid' in parsed) episode.list = undefined;
    else episode.list?.push({ row, action: parsed.action, boxes: about?.boxes ?? [] });
    found.set(row.trajectory, episode);
  }
  return [...found.values()];
}

/** The files that are being written, one row or episode at a time. They appear when they are complete. */
class Files {
  private readonly open = new Map<string, { out: AtomicFile; parts: Map<string, string[]> }>();

  constructor(private readonly folder: string) {}

  async line(file: string, text: string): Promise<void> {
    await (await this.of(file)).out.write(Buffer.from(`${text}\n`));
  }

  /** An item of a part's list; the parts come one after the other, so their items are kept until the end. */
  async listed(file: string, key: string, text: string): Promise<void> {
    const { parts } = await this.of(file);
    const items = parts.get(key) ?? [];
    items.push(text);
    parts.set(key, items);
  }

  async close(): Promise<string[]> {
    for (const { out, parts } of this.open.values()) {
      const lists = [...parts].map(([key, items]) => `${JSON.stringify(key)}: [\n${items.join(',\n')}\n]`);
      if (lists.length > 0) await out.write(Buffer.from(`{${lists.join(',\n')}}\n`));
      await out.commit();
    }
    return [...this.open.keys()].sort();
  }

  /** Removes what is unfinished. */
  async abort(): Promise<void> {
    for (const { out } of this.open.values()) await out.abort();
  }

  private async of(file: string) {
    let found = this.open.get(file);
    if (!found) {
      found = { out: await AtomicFile.open(join(this.folder, file)), parts: new Map() };
      this.open.set(file, found);
    }
    return found;
  }
}

/** An export as lines for people. */
export function describeExported({ folder, episodes, steps, leftOut, files }: EpisodesExported): string[] {
  return [
    `export: done (${folder}: ${episodes} episodes, ${steps} steps; ${files.join(', ')})`,
    ...(leftOut > 0 ? [`${leftOut} episodes with an invalid action left out`] : []),
  ];
}
