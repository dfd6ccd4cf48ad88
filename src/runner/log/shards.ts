import { addLine, logFile, logLines } from './lines.js';

/** How long a shard took. */
export interface ShardTime {
  /** stage instance, for example `actor/digiq` */
  readonly instance: string;
  readonly shard: string;
  /** id of the command (commands.ts) */
  readonly command: string;
  /** when it started, ISO 8601 in UTC */
  readonly start: string;
  readonly seconds: number;
  /** threads of its numeric runtime */
  readonly threads: number;
  /** shards that could run at the same time */
  readonly workers: number;
  /** whether it went on from the checkpoint of an earlier command, so that `seconds` is only a part */
  readonly resumed: boolean;
}

const FILE = 'shards.jsonl';

/** Notes a committed shard. */
export function addShardTime(run: string, time: ShardTime): void {
  addLine(logFile(run, FILE), time);
}

/** The times of all committed shards of a run, in the order of their commits; a shard that was rebuilt has several. */
export function shardTimes(run: string): ShardTime[] {
  return logLines<ShardTime>(logFile(run, FILE));
}

/**
 * The median seconds of a shard of a stage instance, from those that were built in one go.
 * @returns undefined if none was
 */
export function secondsPerShard(times: readonly ShardTime[], instance: string): number | undefined {
  const sorted = times
    .filter((time) => time.instance === instance && !time.resumed)
    .map(({ seconds }) => seconds)
    .sort((a, b) => a - b);
  return sorted.length === 0 ? undefined : sorted[Math.floor(sorted.length / 2)];
}
