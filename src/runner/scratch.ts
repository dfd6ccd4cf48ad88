import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance } from './instance.js';
import type { Shard } from './stage.js';

const STAMP = '.fingerprints';
/** In a scratch folder: what a longer version of the shard needs to go on. */
export const KEPT = 'kept';

export function keptIn(scratch: string): string {
  const folder = join(scratch, KEPT);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Checkpoint folders of a stage's unfinished shards. Folders of other inputs or settings are removed. */
export class Scratch {
  private readonly root: string;
  private readonly kept = new Set<string>();

  constructor(
    private readonly instance: Instance,
    shards: readonly Shard[],
  ) {
    this.root = join(instance.folder, 'scratch', instance.name.replaceAll('/', ','));
    const wanted = new Map(shards.map((shard) => [shard.id, this.stamp(shard)]));
    for (const id of existsSync(this.root) ? readdirSync(this.root) : []) {
      const stamp = join(this.root, id, STAMP);
      if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted.get(id)) this.kept.add(id);
      else rmSync(join(this.root, id), { recursive: true, force: true });
    }
  }

  /** Whether an earlier run left a folder for the shard that is still valid. */
  holds(shard: string): boolean {
    return this.kept.has(shard);
  }

  /** Where the folder of a shard is, whether it is there or not. */
  path(shard: Shard): string {
    return join(this.root, shard.id);
  }

  folder(shard: Shard): string {
    const folder = this.path(shard);
    const stamp = join(folder, STAMP);
    if (!existsSync(stamp)) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(stamp, this.stamp(shard));
    }
    return folder;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  private stamp(shard: Shard): string {
    const { extent } = shard;
    // a training that was to become longer may already be beyond the end of a shorter one
    const until = this.instance.stage.growth === 'training' && extent ? { extent } : {};
    return JSON.stringify({ ...this.instance.fingerprints(shard), ...until });
  }
}
