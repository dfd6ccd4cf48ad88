import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ANNOTATIONS, IMPORTED_EPISODES, type Annotation, type ImportedEpisode } from '../annotations.js';
import type { Action } from '../action.js';
import type { Frame } from '../formats/frame.js';
import { ImageStore } from '../images.js';
import { fingerprint, openDataset, type Dataset, type Shard } from '../store/manifest.js';
import { writeTable } from '../tables.js';
import { TRANSITIONS, toTransitions, type ActionColumns, type Transition } from '../transitions.js';
import { UserError } from '../../errors.js';
import type { Source, SourceEpisode, SplitName } from './episode.js';

/** The data sets that an import writes: episodes to learn from, episodes held out, and the list of all. */
export const EPISODE_SETS = ['trajectories', 'heldout', 'imported'] as const;

/** What the import needs of the grammar of actions, which is in a higher layer. */
export interface Wording {
  /** the text of an action */
  readonly format: (action: Action) => string;
  /** parses an action text */
  readonly parse: (text: string) => ActionColumns;
  /** the policy's prompt. @param previous text of the action before */
  readonly prompt: (goal: string, previous: string) => string;
}

export interface EpisodeImportOptions extends Wording {
  /** names the layout, for the fingerprint and messages */
  readonly layout: string;
  /** whatever else decides the result: files by content, settings of the layout */
  readonly inputs: unknown;
  readonly gamma: number;
  /** fractions of the episodes that are held out where the files do not say, by the hash of their ids */
  readonly validation: number;
  readonly test: number;
  /** approximate number of steps per shard, which has whole episodes */
  readonly shardSize: number;
  /** called after each episode */
  readonly onEpisode?: (episodes: number, steps: number) => void;
}

/** Counts of an import. */
export interface EpisodesImported {
  readonly episodes: number;
  readonly steps: number;
  /** episodes by split */
  readonly splits: Readonly<Record<SplitName, number>>;
  readonly successes: number;
  /** actions outside of the grammar, by kind */
  readonly outside: Readonly<Record<string, number>>;
  /** episodes that were left out: how many, and the first ones with the reason */
  readonly leftOut: number;
  readonly leftOutNames: readonly string[];
  readonly boxes: number;
  readonly screens: number;
  readonly shards: number;
}

/** transitions of episode e are numbered from e × 1000, as in collected data */
const STEPS = 1000;
/** Names that are listed at the end. */
const LISTED = 20;

interface Facts {
  readonly episodes: number;
  readonly steps: number;
  readonly splits: Readonly<Record<SplitName, number>>;
  readonly successes: number;
  readonly outside: Readonly<Record<string, number>>;
  readonly leftOut: readonly string[];
  readonly boxes: number;
  readonly screens: number;
}

/**
 * The part of the data that an episode belongs to where its file does not say: by the hash of its id, so that the same
 * episode is in the same part in every import.
 */
export function splitById(id: string, { validation, test }: { readonly validation: number; readonly test: number }): SplitName {
  const at = createHash('sha256').update(`split ${id}`).digest().readUInt32BE(0) / 2 ** 32;
  if (at < test) return 'test';
  return at < test + validation ? 'val' : 'train';
}

/**
 * Writes the episodes of a source as critiq's data sets in `folder`: `trajectories` (the training part), `heldout` (validation
 * and test) and `imported` (a row an episode, also of those left out), with the screenshots in `images`. One episode is in
 * memory at a time. Shards are committed one by one; when run again with the same input, those that are there are skipped
 * without reading a picture.
 * @throws UserError if no episode can be used
 */
export async function importEpisodes(source: Source, folder: string, options: EpisodeImportOptions): Promise<EpisodesImported> {
  return new EpisodeImport(folder, options).run(source);
}

class EpisodeImport {
  private readonly sets = new Map<string, Dataset>();
  private readonly store: ImageStore;
  private readonly settings: string;
  private readonly inputs: string;
  private readonly ids = new Set<string>();
  private readonly facts: Facts[] = [];
  /** entries of the source so far */
  private seen = 0;
  private shard = 0;
  private open = new OpenShard();

  constructor(
    private readonly folder: string,
    private readonly options: EpisodeImportOptions,
  ) {
    const { layout, inputs, gamma, validation, test, shardSize } = options;
    // rules: rises when the same files and settings give other rows
    this.settings = fingerprint({ layout, gamma, validation, test, shardSize, rules: 1 });
    this.inputs = fingerprint(inputs);
    this.store = new ImageStore(join(folder, 'images'));
  }

  async run(source: Source): Promise<EpisodesImported> {
    const stage = `import ${this.options.layout}`;
    for (const name of EPISODE_SETS) this.sets.set(name, await openDataset(join(this.folder, name), { stage }));
    for await (const entry of source) {
      if ('unreadable' in entry) this.open.leaveOut({ id: '', family: '', steps: 0, where: entry.where }, entry.unreadable);
      else await this.add(entry);
      this.seen++;
      this.options.onEpisode?.(this.total('episodes'), this.total('steps'));
      if (this.open.size >= this.options.shardSize) await this.commit();
    }
    if (this.open.size > 0) await this.commit();
    const { splits } = this.summary();
    if (splits.train + splits.val + splits.test === 0) {
      const [first] = this.facts.flatMap(({ leftOut }) => leftOut);
      throw new UserError(`nothing to import: ${first === undefined ? 'the files have no episodes' : first}`);
    }
    await this.removeStale();
    return this.summary();
  }

  private total(what: 'episodes' | 'steps'): number {
    return this.facts.reduce((sum, facts) => sum + facts[what], 0) + this.open[what];
  }

  /** Whether the shard that is being filled is there already. */
  private get done(): boolean {
    return this.sets.get('imported')!.has(this.shardId, this.line);
  }

  private get shardId(): string {
    return String(this.shard).padStart(5, '0');
  }

  private get line(): { inputs: string; settings: string } {
    return { inputs: this.inputs, settings: this.settings };
  }

  private async add(episode: SourceEpisode): Promise<void> {
    const { goal, family, steps, where, last } = episode;
    const id = this.ids.has(episode.id) ? `${episode.id}#${this.seen}` : episode.id;
    this.ids.add(id);
    const about = { id, family, steps: steps.length, where };
    const bad = steps.length === 0 ? 'it has no steps' : steps.length >= STEPS ? `it has ${steps.length} steps; expected fewer than ${STEPS}` : undefined;
    if (bad !== undefined) return this.open.leaveOut(about, bad);
    if (this.done) return this.open.skip(steps.length);
    const images: string[] = [];
    for (const { screen, picture } of [...steps, ...(last ? [last] : [])]) {
      const stored = await this.picture(picture);
      if ('missing' in stored) return this.open.leaveOut(about, `${screen}: ${stored.missing}`);
      images.push(stored.id);
    }
    const split = episode.split ?? splitById(episode.id, this.options);
    const texts = steps.map(({ does }) => ('action' in does ? this.options.format(does.action) : does.said));
    const end = steps.at(-1)!.does;
    const success = episode.success ?? ('action' in end && end.action.type === 'STATUS_TASK_COMPLETE');
    const reward = success ? 1 : 0;
    const prompts = [...steps, undefined].map((_, i) => this.options.prompt(goal, i === 0 ? '' : texts[i - 1]));
    const rows = toTransitions(
      {
        ...{ episode: id, task: goal, family, goal, seed: 0, reward, truncated: false },
        steps: steps.map((_, i) => ({ image: images[i], prompt: prompts[i], action: texts[i], applied: 'unknown' })),
        finalImage: images.at(-1)!,
        finalPrompt: prompts.at(-1)!,
      },
      { firstTid: this.seen * STEPS, gamma: this.options.gamma, policy: null, temperature: null, parse: this.options.parse },
    ).map((row, i) => ({ ...row, imagePath: steps[i].screen }));
    const annotations = steps.map(
      ({ boxes, boxTypes = [], boxTexts = [], instruction = '' }, i): Annotation => ({
        ...{ tid: rows[i].tid, trajectory: id, step: i, split, instruction },
        boxes: boxes.flat(),
        ...{ boxTypes: [...boxTypes], boxTexts: [...boxTexts] },
      }),
    );
    const outside = steps.flatMap(({ does }) => ('outside' in does ? [does.outside] : []));
    this.open.take({ ...about, split, reward, rows, annotations, outside, screens: new Set(images) });
  }

  private async picture(read: () => Promise<Frame | undefined>): Promise<{ id: string } | { missing: string }> {
    let frame: Frame | undefined;
    try {
      frame = await read();
    } catch (error) {
      // one damaged picture among thousands leaves out its episode alone
      if (error instanceof UserError || error instanceof RangeError) return { missing: error.message };
      throw error;
    }
    return frame ? { id: await this.store.put(frame) } : { missing: 'the screenshot is not there' };
  }

  /** Commits the shard to all data sets, the list of episodes last. A shard that is there is skipped. */
  private async commit(): Promise<void> {
    const { open, shardId: shard, line } = this;
    const list = this.sets.get('imported')!;
    const known = list.get(shard);
    if (known && this.done) this.facts.push(known.facts as unknown as Facts);
    else {
      await this.store.sync();
      const { facts } = open;
      await this.write('trajectories', shard, open, (split) => split === 'train');
      await this.write('heldout', shard, open, (split) => split !== 'train');
      const file = `episodes-${shard}.parquet`;
      const written = await writeTable(list.path(file), IMPORTED_EPISODES, open.episodesOf);
      await list.commit({ shard, files: [{ file, ...written }], ...line, facts: facts as unknown as Shard['facts'] });
      this.facts.push(facts);
    }
    this.shard++;
    this.open = new OpenShard();
  }

  private async write(name: 'trajectories' | 'heldout', shard: string, open: OpenShard, wanted: (split: string) => boolean): Promise<void> {
    const set = this.sets.get(name)!;
    const annotations = open.annotations.filter(({ split }) => wanted(split));
    if (annotations.length === 0) {
      await set.remove(shard);
      return;
    }
    if (set.has(shard, this.line)) return;
    const tids = new Set(annotations.map(({ tid }) => tid));
    const rows = open.rows.filter(({ tid }) => tids.has(tid));
    const [transitions, boxes] = [`transitions-${shard}.parquet`, `_annotations/annotations-${shard}.parquet`];
    const written = await writeTable(set.path(boxes), ANNOTATIONS, annotations);
    const files = [
      {
        file: transitions,
        ...(await writeTable(set.path(transitions), TRANSITIONS, rows, { mcReturn: `discount ${this.options.gamma}` })),
      },
      // the rows of a data set are its transitions
      { file: boxes, bytes: written.bytes, crc32: written.crc32 },
    ];
    const ends = rows.filter(({ done }) => done);
    const successes = ends.filter(({ trajectoryReward }) => trajectoryReward > 0).length;
    await set.commit({ shard, files, ...this.line, facts: { episodes: ends.length, successes } });
  }

  /** Removes shards of an earlier, longer import into the same folder. */
  private async removeStale(): Promise<void> {
    for (const set of this.sets.values()) {
      for (const { shard } of set.shards) if (Number(shard) >= this.shard || !/^\d+$/.test(shard)) await set.remove(shard);
    }
  }

  private summary(): EpisodesImported {
    const { facts } = this;
    const sum = (of: (one: Facts) => number): number => facts.reduce((total, one) => total + of(one), 0);
    const outside: Record<string, number> = {};
    for (const one of facts) for (const [kind, count] of Object.entries(one.outside)) outside[kind] = (outside[kind] ?? 0) + count;
    const leftOut = facts.flatMap((one) => one.leftOut);
    return {
      episodes: sum(({ episodes }) => episodes),
      steps: sum(({ steps }) => steps),
      splits: { train: sum(({ splits }) => splits.train), val: sum(({ splits }) => splits.val), test: sum(({ splits }) => splits.test) },
      successes: sum(({ successes }) => successes),
      outside: Object.fromEntries(Object.entries(outside).sort(([a], [b]) => (a < b ? -1 : 1))),
      ...{ leftOut: leftOut.length, leftOutNames: leftOut.slice(0, LISTED) },
      boxes: sum(({ boxes }) => boxes),
      screens: sum(({ screens }) => screens),
      shards: this.shard,
    };
  }
}

type About = Pick<SourceEpisode, 'id' | 'family' | 'where'> & { readonly steps: number };

/** What is read of the shard that is being filled. */
class OpenShard {
  readonly rows: Transition[] = [];
  readonly annotations: Annotation[] = [];
  readonly episodesOf: ImportedEpisode[] = [];
  private readonly kinds: string[] = [];
  private readonly screens = new Set<string>();
  private skipped = 0;

  /** steps, with one for an entry without any: this is what decides when the shard is full */
  size = 0;

  get episodes(): number {
    return this.episodesOf.filter(({ leftOut }) => leftOut === '').length;
  }

  get steps(): number {
    return this.rows.length + this.skipped;
  }

  /** Of a shard that is there. */
  skip(steps: number): void {
    this.size += Math.max(1, steps);
    this.skipped += steps;
  }

  leaveOut({ id, family, steps, where }: About, leftOut: string): void {
    this.size += Math.max(1, steps);
    this.episodesOf.push({ trajectory: id, split: '', family, steps, outside: 0, reward: 0, leftOut, where });
  }

  take(
    episode: About & {
      readonly split: SplitName;
      readonly reward: number;
      readonly rows: readonly Transition[];
      readonly annotations: readonly Annotation[];
      readonly outside: readonly string[];
      readonly screens: ReadonlySet<string>;
    },
  ): void {
    const { id, family, steps, where, split, reward, outside } = episode;
    this.size += Math.max(1, steps);
    this.rows.push(...episode.rows);
    this.annotations.push(...episode.annotations);
    this.kinds.push(...outside);
    for (const screen of episode.screens) this.screens.add(screen);
    this.episodesOf.push({ trajectory: id, split, family, steps, outside: outside.length, reward, leftOut: '', where });
  }

  get facts(): Facts {
    const taken = this.episodesOf.filter(({ leftOut }) => leftOut === '');
    const count = (split: SplitName): number => taken.filter((one) => one.split === split).length;
    const outside: Record<string, number> = {};
    for (const kind of this.kinds) outside[kind] = (outside[kind] ?? 0) + 1;
    return {
      episodes: taken.length,
      steps: this.rows.length,
      splits: { train: count('train'), val: count('val'), test: count('test') },
      successes: taken.filter(({ reward }) => reward > 0).length,
      outside,
      leftOut: this.episodesOf.flatMap(({ trajectory, leftOut, where }) =>
        leftOut === '' ? [] : [`${where}${trajectory === '' ? '' : ` (${trajectory})`}: ${leftOut}`],
      ),
      boxes: this.annotations.reduce((sum, { boxes }) => sum + boxes.length / 4, 0),
      screens: this.screens.size,
    };
  }
}
