import { join } from 'node:path';
import { dataSets } from '../data/store/data-sets.js';
import { pathInside } from '../data/store/inside.js';
import { openDataset } from '../data/store/manifest.js';
import { UserError } from '../errors.js';
import type { Config } from '../settings/settings.js';
import { existingRun, isRunName } from './folders.js';
import { readManifest, readPlan } from './outputs.js';

/** A data set, policy or critic of another run below the same data folder, as settings name it: `exp8:digiq`. */
export interface Reference {
  readonly run: string;
  readonly name: string;
}

/** Parses `RUN:name`; undefined for a name of the own run. */
export function reference(text: string): Reference | undefined {
  const at = text.indexOf(':');
  // a slash before the colon: the own run, and a name that contains a colon
  return at > 0 && !text.slice(0, at).includes('/') ? { run: text.slice(0, at), name: text.slice(at + 1) } : undefined;
}

const PLAIN = /^[\w+-][\w.+-]*$/;

/**
 * The data set of a policy that a setting names: `policy/digiq`, or `exp8:policy/digiq` for `exp8:digiq`.
 * @throws UserError if it is neither a name nor `RUN:name`
 */
export function policySet(policy: string): string {
  const other = reference(policy);
  if (!PLAIN.test(other?.name ?? policy) || (other && !isRunName(other.run)))
    throw new UserError(
      `policy ${JSON.stringify(policy)}: expected the name of a policy (letters, digits, _ . + -), or RUN:name`,
    );
  return other ? `${other.run}:policy/${other.name}` : `policy/${policy}`;
}

/** A name as part of a folder's: `exp8++digiq` for `exp8:digiq`, since some file systems allow no colon. */
export function folderName(name: string): string {
  return name.replace(':', '++');
}

/** The name that a part of a folder's stands for. */
export function nameOfFolder(part: string): string {
  const at = part.lastIndexOf('++');
  return at > 0 ? `${part.slice(0, at)}:${part.slice(at + 2)}` : part;
}

/**
 * The folder of a data set of this run, or of another one: `exp8:policy/digiq`. `.` is the run folder itself.
 * @throws UserError for a path that leaves the folder of its run, and for a run with an impossible name
 */
export function datasetPath(data: string, run: string, name: string): string {
  const other = reference(name);
  const [owner, own] = other ? [join(data, other.run), other.name] : [join(data, run), name];
  if (other && !isRunName(other.run))
    throw new UserError(`${name}: ${JSON.stringify(other.run)} is no name of a run: letters, digits, _ . + -`);
  if (own !== '.') pathInside(owner, own, name);
  return join(owner, own);
}

/**
 * Checks that a data set of another run is there, finished, and has the checksums of its manifest. No command builds
 * something in another run.
 * @throws UserError that says what the other run has
 */
export async function checkReference(config: Config, { run, name }: Reference): Promise<void> {
  existingRun(config.data, run);
  const folder = datasetPath(config.data, config.run, `${run}:${name}`);
  const plan = readPlan(folder);
  if (!plan && readManifest(folder).size === 0) {
    const kind = name.slice(0, name.indexOf('/') + 1);
    const known = dataSets(join(config.data, run)).filter((one) => one.startsWith(kind));
    const has = known.length === 0 ? `no ${kind === '' ? 'data sets' : kind.slice(0, -1)}` : known.join(', ');
    throw new UserError(`${folder}: no such data set; the run ${run} has ${has}`);
  }
  if (plan && !plan.finished)
    throw new UserError(`${folder}: not finished; run \`critiq ${plan.stage} run=${run}\` first`);
  await openDataset(folder, { stage: `critiq ${plan?.stage ?? 'import'} run=${run}` });
}
