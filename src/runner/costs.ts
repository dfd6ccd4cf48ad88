import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../settings/settings.js';
import { runNames } from './folders.js';
import { type Instance, runFolder } from './instance.js';
import { secondsPerShard, type ShardTime, shardTimes } from './log/shards.js';
import { Output } from './outputs.js';
import { recordedPlans } from './recorded.js';

/** An estimate of what some shards cost; null: no shard of the stage was built before. */
export interface Cost {
  readonly seconds: number | null;
  readonly bytes: number | null;
}

export interface Costs {
  /** The cost of `shards` shards of an instance, from earlier ones: its own, else those of the same stage. */
  of(instance: Instance, shards: number): Cost;
}

/** What shards cost before, in this run or else in another one of the same data folder. */
export function costs(config: Config): Costs {
  const others = runNames(config.data).filter((name) => name !== config.run);
  const runs = [runFolder(config), ...others.map((name) => join(config.data, name))];
  const times = new Map<string, readonly ShardTime[]>();
  const timesOf = (run: string): readonly ShardTime[] => {
    const known = times.get(run) ?? shardTimes(run);
    times.set(run, known);
    return known;
  };
  const seconds = ({ name, stage }: Instance): number | undefined => {
    for (const run of runs) {
      const all = timesOf(run);
      const like = all.findLast(({ instance }) => instance.split('/')[0] === stage.name);
      const found = secondsPerShard(all, name) ?? (like && secondsPerShard(all, like.instance));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const bytes = ({ name, stage }: Instance): number | undefined => {
    for (const run of runs) {
      const plans = recordedPlans(run).filter((plan) => plan.stage === stage.name);
      const like = plans.find((plan) => plan.instance === name) ?? plans[0];
      const found = like && bytesPerShard(run, like.instance, stage.outputs(config));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    of: (instance, shards) => {
      if (shards === 0) return { seconds: 0, bytes: 0 };
      const [time, size] = [seconds(instance), bytes(instance)];
      const rounds = Math.ceil(shards / Math.min(shards, instance.workers));
      return { seconds: time === undefined ? null : rounds * time, bytes: size === undefined ? null : shards * size };
    },
  };
}

/** The mean size of the shards of an instance, over all its data sets. */
function bytesPerShard(run: string, instance: string, outputs: readonly string[]): number | undefined {
  const named = outputs.map((name) =>
    name.includes('/') ? `${name.split('/')[0]}/${instance.split('/')[1] ?? ''}` : name,
  );
  const sets = named.filter((name) => existsSync(join(run, name))).map((name) => new Output(name, join(run, name)));
  const shards = Math.max(0, ...sets.map((set) => set.shards.length));
  if (shards === 0) return undefined;
  const files = sets.flatMap((set) => set.all().flatMap((line) => line.files));
  return files.reduce((sum, { bytes }) => sum + bytes, 0) / shards;
}
