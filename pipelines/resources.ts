import { join } from 'node:path';
import { Policy } from '../src/agents/policy/policy.js';
import { ImageStore } from '../src/data/images.js';
import { isFolder } from '../src/data/store/file.js';
import { UserError } from '../src/errors.js';
import { VectorCache } from '../src/data/vector-cache.js';
import { DevicePool, type PoolEvent } from '../src/devices/pool/pool.js';
import { openRuntime, type Runtime } from '../src/graph/index.js';
import type { OpenCache } from '../src/models/cached-vectors.js';
import type { Config } from '../src/settings/settings.js';
import type { StageContext } from '../src/runner/stage.js';
import { deviceCount, deviceFactory } from './episodes/devices.js';
import type { DeviceSettings, ModelSettings } from './sections.js';

/** Resources that the shards of one stage share, created on first use. */
const shared = new WeakMap<object, Map<string, Promise<unknown>>>();

/** The value under `key` for this stage, created by `make` at the first call. */
export function once<T>(ctx: StageContext<unknown>, key: string, make: () => Promise<T> | T): Promise<T> {
  let values = shared.get(ctx.config);
  if (!values) {
    values = new Map();
    shared.set(ctx.config, values);
  }
  let value = values.get(key);
  if (!value) {
    value = Promise.resolve().then(make);
    values.set(key, value);
  }
  return value as Promise<T>;
}

/** The numeric runtime of this stage. */
export function runtimeOf(ctx: StageContext<unknown>): Promise<Runtime> {
  const { provider, device_id: deviceId, tf32 } = ctx.config;
  return once(ctx, 'runtime', () => openRuntime({ kind: 'auto', threads: ctx.threads, provider, deviceId, tf32 }));
}

/** A policy of this run, by its data set (`policy/base`). */
export function policyOf(ctx: StageContext<unknown>, name: string): Promise<Policy> {
  return once(ctx, name, async () => Policy.load(await runtimeOf(ctx), ctx.dataset(name), cachesOf(ctx)));
}

/** The screenshots of this run, by content. */
export function imagesOf(ctx: StageContext<unknown>): Promise<ImageStore> {
  return once(ctx, 'images', () => new ImageStore(ctx.dataset('images')));
}

/** The folder of a cache that all runs below `data` share. It cannot clash with a run: their names never start with a dot. */
export function cacheFolder(ctx: StageContext<unknown>, name: string): string {
  return join(ctx.config.data, '.cache', name);
}

/**
 * A cache of vectors that all runs below `data` share.
 * @param name must tell apart everything that determines a vector beside its key: the kind of model and the fingerprint
 *   of its weights
 */
export function cacheOf(ctx: StageContext<unknown>, name: string, dim: number): Promise<VectorCache> {
  return once(ctx, `cache ${name}`, () => VectorCache.open(cacheFolder(ctx, name), dim));
}

/** The function with which models open their vector caches. */
export function cachesOf(ctx: StageContext<unknown>): OpenCache {
  return (name, dim) => cacheOf(ctx, name, dim);
}

/** The section `models` of the settings. */
export function modelsOf(config: Config): ModelSettings {
  return config.models as ModelSettings;
}

/** What the folders of the section `models` are. */
const MODELS = {
  policy: 'an Auto-UI checkpoint',
  image: 'a BLIP-2 checkpoint',
  text: 'a RoBERTa checkpoint',
} as const;

/** Checks that the folders which some of the settings `models.*` name are there. @throws UserError that names each missing one */
export function checkFolders(config: Config, names: readonly (keyof typeof MODELS)[]): void {
  const models = modelsOf(config);
  const missing = names.filter((name) => models[name] !== '' && !isFolder(models[name]));
  if (missing.length === 0) return;
  throw new UserError(
    missing.map((name) => `models.${name}=${models[name]}: no such folder; expected ${MODELS[name]}`).join('; '),
  );
}

/** A pool of at most `wanted` of the configured devices. Close it after use. */
export function openPool(
  config: Config,
  wanted: number,
  told: { readonly signal?: AbortSignal; readonly onEvent?: (event: PoolEvent) => void } = {},
): DevicePool {
  const settings = config.device as DeviceSettings;
  return new DevicePool({
    count: Math.max(1, Math.min(deviceCount(config), wanted)),
    open: deviceFactory(config),
    seed: config.seed,
    graceMs: settings.grace_ms,
    openMs: settings.open_ms,
    closeMs: settings.close_ms,
    restMs: settings.rest_ms,
    longestRestMs: settings.longest_rest_ms,
    giveUpAfter: settings.give_up_after,
    ...told,
  });
}
