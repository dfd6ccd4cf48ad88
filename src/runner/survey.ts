import type { Shard as Line } from '../data/store/manifest.js';
import type { Instance } from './instance.js';
import { covers, size, Spare, type SpareVersion, type Version, versionOf } from './spare.js';
import type { Extent, Shard } from './stage.js';

/**
 * What a planned shard needs. `back`: a version that was kept aside is exactly right. `grow`: it is extended or cut from
 * `bases`. `build`: it is built from nothing.
 */
export interface Work {
  readonly shard: Shard;
  readonly how: 'done' | 'back' | 'grow' | 'build';
  /** for `back` */
  readonly version?: SpareVersion;
  /** for `grow`: versions to build it from, the longest first; those in the data set, too */
  readonly bases: readonly Version[];
  /** the finished version in the data set; undefined if there is none, or files of it are lost */
  readonly current?: Version;
  /** `current` is not kept as a version of the same shard, but replaced: the user has to ask for that */
  readonly replaces: boolean;
}

/** What an instance has to do. */
export interface Survey {
  readonly works: readonly Work[];
  /** finished shards that the plan does not name */
  readonly surplus: readonly Version[];
  /** those of them that are not only beyond the plan, but make way for other results: the user has to ask for that */
  readonly dropped: readonly Version[];
}

/** Compares the plan of an instance with its finished shards, here and kept aside. Writes nothing. */
export function survey(instance: Instance, shards: readonly Shard[], { force = false } = {}): Survey {
  const spare = new Spare(instance.folder, instance.name);
  const kept = spare.list().filter((version) => spare.whole(version));
  const works = shards.map((shard) => workOf(instance, shard, force ? [] : kept, spare, force));
  const planned = new Set(shards.map(({ id }) => id));
  const ids = new Set(instance.outputs.flatMap((output) => output.shards.filter((id) => !planned.has(id))));
  const surplus = [...ids].flatMap((id) => currentOf(instance, id) ?? []);
  // shards that are named after their content, as an adopted checkpoint, get another name with another content
  const renamed = works.some(
    ({ how, shard }) => how === 'build' && !instance.grows(shard) && !isListed(instance, shard),
  );
  const same = ({ lines }: Version): boolean => lines.every(({ settings }) => instance.hasSettings(settings));
  return { works, surplus, dropped: surplus.filter((version) => renamed || !same(version)) };
}

function workOf(instance: Instance, shard: Shard, kept: readonly SpareVersion[], spare: Spare, force: boolean): Work {
  const current = currentOf(instance, shard.id);
  if (force) return { shard, how: 'build', bases: [], current, replaces: current !== undefined };
  if (instance.isDone(shard)) return { shard, how: 'done', bases: [], current, replaces: false };
  const wanted = instance.fingerprints(shard);
  const related = new Set(instance.relatedInputs(shard));
  const ours = ({ lines }: Version): boolean =>
    lines.every(({ settings, inputs }) => settings === wanted.settings && related.has(inputs));
  // the same shard with another extent is kept aside, not replaced
  const ofSameShard = current !== undefined && instance.grows(shard) && ours(current);
  const others = kept.filter((version) => version.shard === shard.id && ours(version));
  const exact = others.find(
    ({ lines, extent }) =>
      sameExtent(extent, shard.extent ?? {}) && lines.every(({ inputs }) => inputs === wanted.inputs),
  );
  const replaces = current !== undefined && !ofSameShard;
  if (exact) return { shard, how: 'back', version: exact, bases: [], current, replaces };
  if (!instance.grows(shard)) return { shard, how: 'build', bases: [], current, replaces };
  const bases = basesOf(instance, shard, replaces || !current ? others : [current, ...others], spare);
  if (bases.length > 0) return { shard, how: 'grow', bases, current, replaces };
  // a training without a state to go on from starts over, which is a replacement
  return { shard, how: 'build', bases, current, replaces: current !== undefined };
}

function isListed({ outputs }: Instance, { id }: Shard): boolean {
  return outputs.some((output) => output.line(id) !== undefined);
}

/** The versions that a shard can be built from, the longest first. */
function basesOf(
  instance: Instance,
  { id, extent = {} }: Shard,
  versions: readonly Version[],
  spare: Spare,
): Version[] {
  const longestFirst = [...versions].sort((a, b) => size(b.extent) - size(a.extent));
  if (instance.stage.growth === 'training') {
    const shorter = longestFirst.filter((version) => covers(extent, version.extent));
    return shorter.filter((version) => spare.stateOf(version.id) !== undefined).slice(0, 1);
  }
  // after --force on live devices, two contents of the same settings may be there: only one of them goes on
  const [first] = longestFirst;
  if (!first) return [];
  const leader = versions[0].lines[0] === instance.outputs[0].line(id) ? versions[0] : first;
  return longestFirst.filter((version) => version === leader || sameRows(instance, leader, version));
}

/** Whether two versions are parts of one another. */
export function sameRows(instance: Instance, a: Version, b: Version): boolean {
  return instance.outputs.every((output, set) => instance.areParts(output.name, a.lines[set], b.lines[set]));
}

/** The finished version of a shard in the data sets of an instance. */
export function currentOf({ outputs }: Instance, shard: string): Version | undefined {
  const lines = outputs.map((output) => output.line(shard));
  if (!lines.every((line): line is Line => line !== undefined)) return undefined;
  return outputs.every((output) => output.whole(shard) === true) ? versionOf(lines) : undefined;
}

export function sameExtent(a: Extent, b: Extent): boolean {
  return covers(a, b) && covers(b, a);
}
