import { Table } from '../data/tables.js';
import { TRANSITIONS, type Transition } from '../data/transitions.js';
import { counted } from '../counted.js';
import { UserError } from '../errors.js';
import type { RunInfo, Screen, State, Step, Trajectory, TrajectoryPage } from './api.js';
import { candidatesOf, CriticValues, SCORED, stepScores } from './critic-values.js';
import { stepLabel, StepLabels, type Dispute } from './labels.js';
import { policiesOf } from './policy-scores.js';
import { runningStage, runRecord } from './run-files.js';
import { RunIndex, screenOf, type Filter, type Place } from './run-index.js';

const STRIP = ['tid', 'step', 'action', 'image', 'imagePath', 'reward', 'mcReturn', 'nextImage'] as const;
const STATE = ['tid', 'step', 'action', 'image', 'imagePath', 'mcReturn', 'prompt'] as const;

/** The trajectories of one run: listed from the index, and read from the tables a few rows at a time. */
export class Trajectories {
  readonly index: RunIndex;
  readonly critic: CriticValues;
  private readonly labels: StepLabels;

  constructor(private readonly run: string) {
    this.index = new RunIndex(run);
    this.critic = new CriticValues(run);
    this.labels = new StepLabels(run);
  }

  /** Builds the indexes that every view needs. */
  async warm(): Promise<void> {
    await this.index.refresh();
    await this.critic.read([]);
  }

  /** The run as a whole. */
  async info(name: string): Promise<RunInfo> {
    await this.index.refresh();
    const { sets, problems } = this.index;
    const values = await this.critic.values.files();
    const labels = await this.labels.info();
    return {
      name,
      seed: runRecord(this.run).seed ?? null,
      running: runningStage(this.run),
      sets: sets.map(({ indexed: _, imported: __, pictures: ___, ...info }) => info),
      families: this.index.families(),
      policies: policiesOf(this.run),
      values: values.paths.length > 0,
      ...this.critic.settings(),
      labels: labels.info,
      problems: [...problems, ...values.problems, ...labels.problems],
    };
  }

  /** A page of the trajectories that pass the filter. `near`: the page that holds this one, if it passes. */
  async page(
    { labels, ...given }: Filter & { readonly labels?: Dispute },
    { offset: from, limit, near }: { offset: number; limit: number; near?: { set: string; id: string } },
  ): Promise<TrajectoryPage> {
    await this.index.refresh();
    const filter: Filter = labels === undefined ? given : { ...given, among: await this.labels.disputed(labels) };
    const { sets, problems } = this.index;
    const about = new Set(
      sets.filter(({ name }) => filter.in === undefined || filter.in === name).map(({ name }) => name),
    );
    const listed = problems.filter(({ where }) => about.has(where) || filter.in === undefined);
    const at = near && limit > 0 ? this.index.position(filter, near) : undefined;
    const offset = at === undefined ? from : at - (at % limit);
    return { ...this.index.list(filter, offset, limit), offset, problems: listed };
  }

  /** One trajectory, step by step. @throws UserError if it does not exist, or its file cannot be read */
  async one(set: string, id: string): Promise<Trajectory> {
    const place = await this.place(set, id);
    const rows = await read(place, STRIP);
    const { aggregate, threshold } = this.critic.settings();
    const { scored, problems } = await this.scores(set, rows);
    const rated = await this.labels.read(
      set,
      rows.map(({ tid }) => tid),
    );
    const strip = rows.map(({ tid, step, action, image, imagePath, reward, mcReturn }): Step => ({
      step,
      tid,
      action,
      screen: screenOf(place.set, image, imagePath),
      reward,
      mcReturn,
      scores: stepScores(scored.get(tid), aggregate, threshold),
      label: stepLabel(rated.rows.get(tid)),
    }));
    const asked = strip.some(({ scores }) => scores !== null);
    return {
      ...this.index.row(place),
      strip,
      part: asked ? this.part(id) : null,
      problems: [...problems, ...rated.problems],
    };
  }

  /** One state with all its candidates. @throws UserError as `one`, and if the trajectory has no such step */
  async state(set: string, id: string, step: number): Promise<State> {
    const place = await this.place(set, id);
    const rows = await read(place, STATE, step);
    if (rows.length === 0)
      throw new UserError(
        `${set}: trajectory ${id} has ${counted(place.shard.steps[place.at], 'step')}, so no step ${step + 1}`,
      );
    const [{ tid, action, image, imagePath, mcReturn, prompt }] = rows;
    const { aggregate, threshold } = this.critic.settings();
    const { scored, problems } = await this.scores(set, rows);
    const of = scored.get(tid) ?? { candidates: undefined, values: undefined };
    const { goal, success, steps } = this.index.row(place);
    const { v1 = null, v2 = null } = of.values ?? {};
    const { truth, problems: unread } =
      set === SCORED && of.candidates
        ? await this.critic.truth(tid, of.candidates.actions.length)
        : { truth: undefined, problems: [] };
    return {
      ...{ set, id, step, steps, tid, goal, prompt, mcReturn, success, v1, v2 },
      problems: [...problems, ...unread],
      trueV: truth?.v ?? null,
      screen: screenOf(place.set, image, imagePath),
      v: stepScores(of, aggregate, threshold)?.v ?? null,
      ...candidatesOf(of, action, aggregate, threshold, truth),
    };
  }

  /** The screenshot of a step that an imported data set refers to by a path. */
  async screen(set: string, id: string, step: number): Promise<Screen> {
    const place = await this.place(set, id);
    const [row] = await read(place, ['image', 'imagePath'], step);
    return row ? screenOf(place.set, row.image, row.imagePath) : { kind: 'none' };
  }

  private async place(set: string, id: string): Promise<Place> {
    await this.index.refresh();
    const place = this.index.find(set, id);
    if (!place) throw new UserError(`${set}: no trajectory ${id}, or its file cannot be read`);
    return place;
  }

  /** Candidates and values belong to the collected trajectories; equal tids of other sets are other states. */
  private async scores(set: string, rows: readonly { tid: number }[]): ReturnType<CriticValues['read']> {
    if (set !== SCORED) return { scored: new Map(), problems: [] };
    return this.critic.read(rows.map(({ tid }) => tid));
  }

  private part(id: string): Trajectory['part'] {
    const collected = this.index.sets.find(({ name }) => name === SCORED)?.indexed.flatMap(({ ids }) => ids) ?? [];
    const held = this.critic.heldOut(collected);
    return held ? (held.has(id) ? 'validation' : 'train') : null;
  }
}

/** The rows of a trajectory, or the row of one step, with some columns. */
async function read<K extends keyof Transition & string>(
  { shard, at }: Place,
  columns: readonly K[],
  step?: number,
): Promise<Pick<Transition, K>[]> {
  const first = shard.start[at];
  const count = shard.steps[at];
  if (step !== undefined && !(Number.isInteger(step) && step >= 0 && step < count)) return [];
  const table = await Table.open(shard.file, TRANSITIONS);
  try {
    const rowStart = first + (step ?? 0);
    return await table.read({ columns, rowStart, rowEnd: step === undefined ? first + count : rowStart + 1 });
  } finally {
    table.close();
  }
}
