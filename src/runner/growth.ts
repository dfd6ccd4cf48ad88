import { existsSync } from 'node:fs';
import { metricsFile, readMetrics, type MetricsLine } from '../data/metrics.js';
import type { Shard as Line } from '../data/store/manifest.js';
import type { Log } from './display.js';
import type { Instance } from './instance.js';
import type { Metrics } from './metrics.js';
import { contentFingerprint } from './outputs.js';
import { Parts } from './parts.js';
import { covers, Spare, type Version, versionOf } from './spare.js';
import type { Prior, Shard } from './stage.js';
import { currentOf, sameRows, type Work } from './survey.js';

/**
 * Extends and cuts the shards of an instance. A shard that gets another extent is first kept aside (spare.ts), then built
 * from there, and committed in its place; a version that the new one holds is then removed. So a kill at any moment leaves
 * every row in the data set or aside.
 */
export class Growth {
  private readonly spare: Spare;
  private readonly works: ReadonlyMap<string, Work>;
  private readonly metrics: readonly MetricsLine[];

  constructor(
    private readonly instance: Instance,
    works: readonly Work[],
  ) {
    this.spare = new Spare(instance.folder, instance.name);
    this.works = new Map(works.map((work) => [work.shard.id, work]));
    this.metrics = readMetrics(metricsFile(instance.folder, instance.name));
  }

  /** Keeps aside what the plan does not need, and the versions of shards that get another extent. */
  async park(surplus: readonly Version[]): Promise<void> {
    const changing = [...this.works.values()].flatMap(({ current, how, replaces }) =>
      current && !replaces && how !== 'done' ? [current] : [],
    );
    for (const version of [...surplus, ...changing])
      await this.spare.park(
        version,
        this.instance.outputs,
        this.metrics.filter(({ shard }) => shard === version.shard),
      );
  }

  /** Removes what a kill left in the data sets of versions that are kept aside. */
  settle(): void {
    this.spare.settle(this.instance.outputs);
  }

  /** Puts versions that are exactly right back into the data sets. */
  async takeBack(works: readonly Work[], metrics: Metrics, order: readonly string[]): Promise<void> {
    for (const { version } of works) {
      if (!version) continue;
      await this.spare.takeBack(version, this.instance.outputs, order);
      metrics.adopt(version.shard, version.metrics);
    }
  }

  /** The versions that a shard can be built from. A damaged one is left out, with a warning. */
  async priors({ id }: Shard, log: Log): Promise<Prior[]> {
    const priors: Prior[] = [];
    const kept = this.spare.list();
    for (const base of this.works.get(id)!.bases) {
      const version = kept.find((one) => one.id === base.id);
      const prior = version && (await this.spare.prior(version, this.instance.outputs));
      if (prior?.state !== undefined && !(await Spare.stateIsIntact(prior.state))) {
        log.warn(`${prior.state}: damaged; shard ${id} is built from the start`);
      } else if (prior) priors.push(prior);
      else log.warn(`${this.spare.folder(base.id, 0)}: damaged; shard ${id} is built without it`);
    }
    return priors;
  }

  /** The metrics of the version that a shard goes on from. */
  metricsOf({ id }: Shard): readonly MetricsLine[] {
    const [base] = this.works.get(id)!.bases;
    return this.spare.list().find((version) => version.id === base.id)?.metrics ?? [];
  }

  /**
   * Records that the new content of a shard and the one that it was built from are parts of one another, and keeps what the
   * stage left to go on.
   */
  async beforeCommit({ id, extent }: Shard, lines: readonly Line[], kept: string): Promise<void> {
    const { stage, folder, outputs } = this.instance;
    if (extent === undefined) return;
    if (existsSync(kept)) await this.spare.keepState(versionOf(lines).id, kept);
    if (stage.growth === 'training') return;
    for (const base of this.works.get(id)!.bases)
      for (const [set, line] of lines.entries()) {
        const of = (one: Line): string => contentFingerprint(new Map([[id, one]]));
        await Parts.add(folder, { dataset: outputs[set].name, shard: id, a: of(base.lines[set]), b: of(line) });
      }
  }

  /** Removes versions that the data sets now hold as a part. A training's versions all stay: none holds another. */
  prune(): void {
    if (this.instance.stage.growth === 'training') return;
    for (const version of this.spare.list()) {
      const current = currentOf(this.instance, version.shard);
      if (!current || Object.keys(version.extent).length === 0) continue;
      const held = version.lines.every(({ settings }, set) => settings === current.lines[set].settings);
      if (held && covers(current.extent, version.extent) && sameRows(this.instance, current, version))
        this.spare.remove(version.id);
    }
  }
}
