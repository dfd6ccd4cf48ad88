import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readPlan, type PlanRecord } from '../runner/outputs.js';
import type { Problem, Screen, SetInfo, TrajectoryRow } from './api.js';
import { Interned } from './interned.js';
import { dataSets } from '../data/store/data-sets.js';
import { problem, setVersion, wholeFiles } from './run-files.js';
import { indexShard, type ShardIndex } from './shard-index.js';

/** Names of files with transitions, from stages and imports. */
export const TRANSITION_FILES = /transitions[^/]*\.parquet$/;

/** A data set of trajectories with its index. */
export interface IndexedSet extends SetInfo {
  /** imported data has stored screenshots only if they were imported too */
  readonly imported: boolean;
  /** the folder of the run's stored screenshots */
  readonly pictures: string;
  readonly indexed: readonly ShardIndex[];
}

/** Which trajectories to list; undefined fields let all pass. */
export interface Filter {
  /** words in the goal, the task's id or the trajectory's id, in any order and case */
  readonly text?: string;
  /** name of a data set */
  readonly in?: string;
  readonly stage?: string;
  readonly policy?: string;
  readonly device?: string;
  readonly family?: string;
  readonly success?: boolean;
  /** trajectories of one data set by id */
  readonly among?: { readonly set: string; readonly ids: ReadonlySet<string> };
}

/** Where a trajectory is: its data set, its shard, and its index in the shard. */
export interface Place {
  readonly set: IndexedSet;
  readonly shard: ShardIndex;
  readonly at: number;
}

/**
 * The list of all trajectories of a run, in memory: numbers in typed arrays, repeated texts once. Later refreshes read only
 * new shards, so that a run in progress can be viewed.
 */
export class RunIndex {
  private readonly texts = new Interned();
  private readonly kept = new Map<string, ShardIndex>();
  private versions = '';
  private building: Promise<void> | undefined;
  private found: IndexedSet[] = [];
  private faults: Problem[] = [];

  constructor(readonly run: string) {}

  get sets(): readonly IndexedSet[] {
    return this.found;
  }

  get problems(): readonly Problem[] {
    return this.faults;
  }

  /** Reads new shards since the last call. */
  async refresh(): Promise<void> {
    this.building ??= this.build().finally(() => (this.building = undefined));
    await this.building;
  }

  private async build(): Promise<void> {
    const names = dataSets(this.run);
    const versions = names.map((name) => `${name} ${setVersion(join(this.run, name))}`).join('\n');
    if (versions === this.versions) return;
    const found: IndexedSet[] = [];
    const faults: Problem[] = [];
    const seen = new Set<string>();
    for (const name of names) {
      const set = await this.indexed(name, seen, faults);
      if (set) found.push(set);
    }
    for (const version of this.kept.keys()) if (!seen.has(version)) this.kept.delete(version);
    this.found = found.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    this.faults = faults;
    this.versions = versions;
  }

  private async indexed(name: string, seen: Set<string>, faults: Problem[]): Promise<IndexedSet | undefined> {
    const folder = join(this.run, name);
    let plan: PlanRecord | undefined;
    try {
      plan = readPlan(folder);
    } catch (error) {
      faults.push(problem(name, error));
    }
    const { files, problems } = await wholeFiles(this.run, name, TRANSITION_FILES);
    faults.push(...problems);
    const shards: ShardIndex[] = [];
    for (const { path, version } of files) {
      try {
        const shard = this.kept.get(version) ?? (await indexShard(path, this.texts));
        this.kept.set(version, shard);
        seen.add(version);
        shards.push(shard);
      } catch (error) {
        faults.push(problem(name, error));
      }
    }
    if (shards.length === 0 && problems.length === 0) return undefined;
    return {
      name,
      ...actorOf(name, plan),
      imported: plan?.stage === 'import',
      pictures: join(this.run, 'images'),
      trajectories: shards.reduce((sum, { count }) => sum + count, 0),
      successes: shards.reduce((sum, { reward }) => sum + reward.filter((value) => value > 0).length, 0),
      shards: shards.length,
      planned: plan && plan.shards.length > 0 ? plan.shards.length : null,
      indexed: shards,
    };
  }

  /** Families of tasks, sorted. */
  families(): string[] {
    const numbers = new Set(this.found.flatMap(({ indexed }) => indexed.flatMap(({ family }) => [...new Set(family)])));
    return [...numbers]
      .map((number) => this.texts.text(number))
      .filter((text) => text !== '')
      .sort();
  }

  /** How many trajectories pass, and those of one page, in the order of sets and shards. */
  list(filter: Filter, offset: number, limit: number): { total: number; rows: TrajectoryRow[] } {
    const rows: TrajectoryRow[] = [];
    let total = 0;
    for (const place of this.places(filter)) {
      if (total >= offset && rows.length < limit) rows.push(this.row(place));
      total++;
    }
    return { total, rows };
  }

  /** How many trajectories come before one in the list; undefined if it does not pass. */
  position(filter: Filter, { set, id }: { readonly set: string; readonly id: string }): number | undefined {
    let before = 0;
    for (const place of this.places(filter)) {
      if (place.set.name === set && place.shard.ids[place.at] === id) return before;
      before++;
    }
    return undefined;
  }

  /** The trajectories that pass. */
  *places({ text = '', in: only, stage, policy, device, family, success, among }: Filter): Generator<Place> {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const lower = words.length > 0 ? this.texts.texts.map((one) => one.toLowerCase()) : [];
    for (const set of this.found) {
      if (only !== undefined && set.name !== only) continue;
      if (among !== undefined && set.name !== among.set) continue;
      if (stage !== undefined && set.stage !== stage) continue;
      if (policy !== undefined && set.policy !== policy) continue;
      if (device !== undefined && set.device !== device) continue;
      for (const shard of set.indexed) {
        for (let at = 0; at < shard.count; at++) {
          if (among !== undefined && !among.ids.has(shard.ids[at])) continue;
          if (success !== undefined && shard.reward[at] > 0 !== success) continue;
          if (family !== undefined && this.texts.text(shard.family[at]) !== family) continue;
          const texts = [lower[shard.goal[at]], lower[shard.task[at]], shard.ids[at].toLowerCase()];
          if (words.every((word) => texts.some((one) => one.includes(word)))) yield { set, shard, at };
        }
      }
    }
  }

  /** A trajectory by data set and id. */
  find(set: string, id: string): Place | undefined {
    const found = this.found.find(({ name }) => name === set);
    for (const shard of found?.indexed ?? []) {
      const at = shard.ids.indexOf(id);
      if (at >= 0) return { set: found!, shard, at };
    }
    return undefined;
  }

  row({ set, shard, at }: Place): TrajectoryRow {
    return {
      set: set.name,
      id: shard.ids[at],
      stage: set.stage,
      policy: set.policy,
      device: set.device,
      task: this.texts.text(shard.task[at]),
      goal: this.texts.text(shard.goal[at]),
      family: this.texts.text(shard.family[at]),
      steps: shard.steps[at],
      success: shard.reward[at] > 0,
      truncated: shard.truncated[at] === 1,
      reward: shard.reward[at],
      last: screenOf(set, shard.last[at], shard.lastPath[at]),
    };
  }
}

/** Where a screenshot is: stored under its id, or for imported data without stored ones at the path that it refers to. */
export function screenOf(
  { imported, pictures }: Pick<IndexedSet, 'imported' | 'pictures'>,
  image: string,
  path = '',
): Screen {
  if (!imported && path === '') return { kind: 'stored', id: image };
  if (/^[0-9a-f]{32}$/.test(image)) {
    if (existsSync(join(pictures, image.slice(0, 2), `${image}.png`))) return { kind: 'stored', id: image };
    return path === '' ? { kind: 'none' } : { kind: 'file', path };
  }
  const file = path || image;
  return file === '' ? { kind: 'none' } : { kind: 'file', path: file };
}

/** Who acted and on which device, by the settings that the data set was made with. */
function actorOf(name: string, plan: PlanRecord | undefined): { stage: string; policy: string; device: string } {
  const settings = (plan?.settings ?? {}) as Record<string, Record<string, unknown> | undefined>;
  const stage = plan?.stage ?? (name.startsWith('eval/') ? 'eval' : name === 'trajectories' ? 'collect' : name);
  const own = settings[stage]?.policy;
  const ranked = Number(settings.eval?.best_of_q ?? 0) > 0 ? '+bestofq' : '';
  const evaluated = /^(.+)-(test|train)(-first96|-distinct)?(-greedy)?$/.exec(basename(name))?.[1];
  const policy =
    stage === 'online'
      ? basename(name)
      : stage === 'demos'
        ? 'demonstrator'
        : typeof own === 'string'
          ? own + ranked
          : stage === 'eval'
            ? evaluated
            : '';
  // stages without this setting run on the phone
  const device = settings.device?.backend ?? (plan && plan.stage !== 'import' ? 'phone' : '');
  return { stage, policy: policy ?? '', device: String(device) };
}

/** Collected trajectories first, then online runs, evaluations and the rest. */
function rank({ name }: SetInfo): number {
  if (name === 'trajectories') return 0;
  return name.startsWith('online') ? 1 : name.startsWith('eval/') ? 2 : 3;
}
