import { isDeepStrictEqual } from 'node:util';
import { Instance } from '../runner/instance.js';
import { IMPORT, readManifest, readPlan } from '../runner/outputs.js';
import { withRecorded, type LoadedRegistry } from '../runner/registry.js';
import type { Shard } from '../data/store/manifest.js';
import type { Config } from '../settings/settings.js';
import type { StoredInstance } from './results.js';

/**
 * `finished`: complete, and built from what the run has now. `outdated`: an input or a setting changed since.
 * `unfinished`: some shards are missing. `imported`: no stage built it.
 */
export type InstanceState = 'finished' | 'outdated' | 'unfinished' | 'imported';

export interface InstanceStatus {
  readonly instance: string;
  readonly state: InstanceState;
  /** committed shards, and planned ones */
  readonly done: number;
  readonly planned: number;
}

/**
 * The state of what a stage instance left, from plans and manifests alone: no data is read and no checksum computed, so
 * that hundreds of runs can be listed. `critiq status` looks at one run more closely.
 * @param config the settings of the run
 */
export function stateOf(registry: LoadedRegistry, config: Config | undefined, stored: StoredInstance): InstanceStatus {
  const { instance, stage, sets } = stored;
  const { plan, lines } = sets[0];
  const planned = plan?.shards.length ?? lines.size;
  const status = (state: InstanceState): InstanceStatus => ({ instance, state, done: lines.size, planned });
  if (!plan || stage === IMPORT) return status('imported');
  if (config && isOutdated(registry, config, stored)) return status('outdated');
  return status(plan.finished ? 'finished' : 'unfinished');
}

function isOutdated(
  registry: LoadedRegistry,
  config: Config,
  { stage: name, settings, sets }: StoredInstance,
): boolean {
  const stage = registry.stages.get(name);
  const { plan, lines } = sets[0];
  if (!stage || !plan) return false;
  const built = withRecorded(registry.schema, config, plan);
  // settings of another version of critiq
  if (!built) return false;
  const wanted = new Instance(stage, built);
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(wanted.settings)), settings)) return true;
  return [...lines.values()].some((line) => !isCurrent(wanted, line));
}

/** Whether a stage has built everything with exactly these settings, from the inputs that are there now. */
export function isUpToDate({ stages }: LoadedRegistry, config: Config, stage: string): boolean {
  const wanted = new Instance(stages.get(stage)!, config);
  return wanted.outputs.every(({ folder }) => {
    const [plan, lines] = [readPlan(folder), readManifest(folder)];
    if (!plan?.finished || plan.stage !== stage || plan.shards.some((id) => !lines.has(id))) return false;
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(wanted.settings)), plan.settings)) return false;
    return [...lines.values()].every((line) => isCurrent(wanted, line));
  });
}

/**
 * Whether a shard was built from the inputs that are there now. Which input shards it reads is known to its stage alone;
 * stages read either all, or those with the same id.
 */
function isCurrent(wanted: Instance, { shard, inputs, settings }: Shard): boolean {
  const all = wanted.fingerprints({ id: shard });
  if (settings !== all.settings && !wanted.earlierSettings.includes(settings)) return false;
  if (inputs === all.inputs) return true;
  const own: Record<string, readonly string[]> = {};
  for (const name of wanted.inputs) {
    const same = wanted.inputShards(name).filter((id) => shard === id || shard.endsWith(`-${id}`));
    if (same.length > 0) own[name] = same;
  }
  return inputs === wanted.fingerprints({ id: shard, inputs: own }).inputs;
}
