import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeAtomic } from '../../data/store/atomic.js';
import { UserError } from '../../errors.js';
import { Parameters, type Runtime } from '../../graph/index.js';
import { Blip2Tower, blip2Fingerprint } from '../blip2/tower.js';
import type { OpenCache } from '../cached-vectors.js';
import { checkParameters, readJson } from './checkpoint.js';
import { convTowerSpecs } from '../conv-tower.js';
import { ConvTower, readTowerConfig, type VisionTower } from '../vision.js';

/** The `vision/config.json` of a policy whose tower is too large to copy into its folder. */
export interface TowerReference {
  readonly model_type: 'critiq-reference';
  /** absolute path of a BLIP-2 folder */
  readonly folder: string;
  /** its blip2Fingerprint */
  readonly fingerprint: string;
}

/** Content of a `vision/` folder: a pocket tower, or a reference to a tower elsewhere. */
export type TowerKind = 'critiq-conv' | 'critiq-reference';

/** @throws UserError if config.json is missing or of an unknown kind */
export function towerKind(folder: string): TowerKind {
  const file = join(folder, 'config.json');
  const kind = (readJson(file) as { model_type?: unknown } | null)?.model_type;
  if (kind === 'critiq-conv' || kind === 'critiq-reference') return kind;
  throw new UserError(`${file}: model_type: expected "critiq-conv" or "critiq-reference", got ${JSON.stringify(kind)}`);
}

/** @throws UserError if config.json is not a valid reference */
export function readTowerReference(folder: string): TowerReference {
  const file = join(folder, 'config.json');
  const json = readJson(file) as Partial<TowerReference> | null;
  if (
    json?.model_type === 'critiq-reference' &&
    typeof json.folder === 'string' &&
    /^[0-9a-f]{32}$/.test(String(json.fingerprint))
  ) {
    return json as TowerReference;
  }
  throw new UserError(
    `${file}: expected model_type "critiq-reference" with folder and fingerprint (32 hex digits), got ${JSON.stringify(json)}`,
  );
}

/**
 * Writes a `vision/` folder that refers to a BLIP-2 folder.
 * @throws UserError if `target` has no BLIP-2
 */
export async function writeTowerReference(folder: string, target: string): Promise<TowerReference> {
  const fingerprint = await blip2Fingerprint(target);
  const reference: TowerReference = { model_type: 'critiq-reference', folder: resolve(target), fingerprint };
  mkdirSync(folder, { recursive: true });
  await writeAtomic(join(folder, 'config.json'), JSON.stringify(reference, null, 2));
  return reference;
}

/**
 * Opens the tower of a `vision/` folder. A referenced tower loads its weights when it first needs them.
 * @param openCache opens the cache for the vectors of a referenced tower; the pocket tower is faster than a cache
 * @throws UserError if a file is missing or broken, or the referenced folder has changed
 */
export async function loadTower(runtime: Runtime, folder: string, openCache?: OpenCache): Promise<VisionTower> {
  if (towerKind(folder) === 'critiq-conv') return loadConvTower(runtime, folder);
  const reference = readTowerReference(folder);
  const tower = await Blip2Tower.open(runtime, reference.folder, openCache);
  if (tower.fingerprint !== reference.fingerprint) {
    throw new UserError(
      `${reference.folder}: has changed since ${join(folder, 'config.json')} was written: expected fingerprint ${reference.fingerprint}, ` +
        `got ${tower.fingerprint}; restore the old checkpoint or start a new run`,
    );
  }
  return tower;
}

/** Loads the pocket tower of a folder. @throws UserError if a file is missing or broken */
export function loadConvTower(runtime: Runtime, folder: string): ConvTower {
  const config = readTowerConfig(folder);
  const params = Parameters.load(join(folder, 'model.safetensors'));
  checkParameters(params, convTowerSpecs(config), folder);
  return new ConvTower(runtime, params, config);
}
