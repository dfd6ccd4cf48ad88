import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { UserError } from '../../src/errors.js';
import { checkShapes, readJson, whereElse } from '../../src/models/checkpoint/checkpoint.js';
import { checkpointFingerprint } from '../../src/models/checkpoint/fingerprint.js';
import { checkpointKind, planCheckpoint, usedTensors, type CheckpointKind } from '../../src/models/checkpoint/kind.js';
import { checkTypes, withCheckpoint, type Checkpoint } from '../../src/models/checkpoint/tensors.js';
import { readTowerReference, towerKind } from '../../src/models/checkpoint/tower-folder.js';
import { isZip } from './unpack.js';

/** What critiq uses a model for. */
const USES: Record<CheckpointKind, string> = {
  'auto-ui': 'a policy, for models.policy',
  roberta: "the critic's text tower, for models.text",
  'blip-2': 'a vision tower, for models.image',
};

/** Result of `critiq checkpoint inspect`. */
export interface Inspection {
  readonly path: string;
  readonly kind: CheckpointKind | 'unknown';
  readonly use: string;
  /** the architecture from config.json and the weights; only for folders of a known kind */
  readonly architecture?: object;
  readonly files: readonly { file: string; bytes: number; tensors: number }[];
  readonly tensors: number;
  /** numbers in all stored tensors, and in those that critiq would load */
  readonly parameters: { readonly stored: number; readonly loaded?: number };
  /** number of tensors by type */
  readonly dtypes: Readonly<Record<string, number>>;
  /** a name in the file with the prefixes of torch's wrappers, if names have them; critiq leaves them out */
  readonly wrapped?: string;
  readonly tiedHead?: boolean;
  readonly pooler?: boolean;
  readonly tokenizer?: { vocabulary: number; eos: number; type: string };
  /** a policy's vision tower */
  readonly vision?: string;
  readonly fingerprint?: string;
  /** reasons why critiq cannot load it, one line each */
  readonly problems: readonly string[];
}

/**
 * Inspects a checkpoint folder or weight file without loading it. Of a full BLIP-2 it reads only the vision tower, so the
 * shards of the language model may be missing.
 * @throws UserError if there are no weights or a file is broken
 */
export async function inspectCheckpoint(path: string): Promise<Inspection> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new UserError(`${path}: no such file or folder; expected a checkpoint folder or a weight file`);
  if (isZip(path)) throw new UserError(whereElse(path));
  const only = stat.isDirectory() ? usedTensors(path) : undefined;
  const look = async (checkpoint: Checkpoint): Promise<Inspection> => {
    const stored = [...checkpoint.tensors.values()];
    const facts = {
      path,
      files: checkpoint.sources.map(({ file, size, tensors }) => ({
        file: basename(file),
        bytes: size,
        tensors: tensors.size,
      })),
      tensors: stored.length,
      dtypes: countBy(stored.map(({ dtype, written = dtype }) => written)),
      ...wrappersOf(checkpoint),
    };
    const numbers = countNumbers(stored);
    if (!stat.isDirectory()) {
      const kind = checkpointKind(dirname(path), checkpoint.tensors.keys()) ?? 'unknown';
      const problems = ['only a weight file: critiq loads folders with config.json beside the weights'];
      return { ...facts, kind, use: useOf(kind), parameters: { stored: numbers }, problems };
    }
    return { ...facts, ...(await inspectFolder(path, checkpoint, numbers)) };
  };
  return withCheckpoint(path, look, only);
}

async function inspectFolder(
  folder: string,
  checkpoint: Checkpoint,
  numbers: number,
): Promise<Omit<Inspection, 'path' | 'files' | 'tensors' | 'dtypes' | 'wrapped'>> {
  const problems: string[] = [];
  const noted = <T>(look: () => T): T | undefined => {
    try {
      return look();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  const plan = noted(() => planCheckpoint(folder, checkpoint));
  if (plan) noted(() => checkShapes(plan.tensors, plan.specs, folder));
  if (plan) noted(() => checkTypes(plan.tensors, folder));
  const kind = plan?.kind ?? noted(() => checkpointKind(folder, checkpoint.tensors.keys())) ?? 'unknown';
  const wantsTokenizer = kind === 'auto-ui' || kind === 'roberta';
  const tokenizer =
    wantsTokenizer || existsSync(join(folder, 'tokenizer.json')) ? noted(() => tokenizerFacts(folder)) : undefined;
  return {
    kind,
    use: useOf(kind),
    architecture: plan?.config,
    parameters: { stored: numbers, loaded: plan && countNumbers([...plan.tensors.values()]) },
    tiedHead: plan?.tiedHead,
    pooler: plan?.pooler,
    tokenizer,
    vision: noted(() => visionFacts(folder)),
    fingerprint: await checkpointFingerprint(folder, usedTensors(folder)),
    problems,
  };
}

/** A tensor's name with the prefixes of torch.compile or DataParallel, if there is one. */
function wrappersOf({ tensors }: Checkpoint): { wrapped?: string } {
  const found = [...tensors].find(([name, { stored }]) => name !== stored);
  return found ? { wrapped: `${found[1].stored} is read as ${found[0]}` } : {};
}

function useOf(kind: CheckpointKind | 'unknown'): string {
  return kind === 'unknown' ? 'not a model that critiq loads itself (a VLM is used through models.vlm)' : USES[kind];
}

function tokenizerFacts(folder: string) {
  const { vocabulary, eos } = TextTokenizer.load(folder);
  const { model } = readJson(join(folder, 'tokenizer.json')) as { model: { type?: unknown } };
  return { vocabulary, eos, type: String(model.type) };
}

function visionFacts(folder: string): string | undefined {
  const vision = join(folder, 'vision');
  if (!existsSync(vision)) return undefined;
  return towerKind(vision) === 'critiq-conv'
    ? 'the pocket tower, in vision/'
    : `BLIP-2 at ${readTowerReference(vision).folder}`;
}

function countNumbers(tensors: readonly { shape: readonly number[] }[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

function countBy(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of [...values].sort()) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

/** An inspection as lines for people. */
export function formatInspection(found: Inspection): string {
  const millions = (count: number) => `${(count / 1e6).toFixed(count < 1e7 ? 3 : 1)}M`;
  const { parameters, architecture, tokenizer } = found;
  const lines: [string, string | undefined][] = [
    ['kind', `${found.kind}: ${found.use}`],
    [
      'parameters',
      parameters.loaded === undefined || parameters.loaded === parameters.stored
        ? millions(parameters.stored)
        : `${millions(parameters.loaded)} loaded of ${millions(parameters.stored)} stored`,
    ],
    ['types', Object.entries(found.dtypes).map(([dtype, count]) => `${dtype} x ${count}`).join(', ')], // prettier-ignore
    ['names', found.wrapped],
    ...found.files.map(({ file, bytes, tensors }): [string, string] => [
      'file',
      `${file}: ${(bytes / 1e6).toFixed(1)} MB, ${tensors} tensors`,
    ]),
    ['architecture', architecture && Object.entries(architecture).map(([key, value]) => `${key} ${value}`).join(', ')], // prettier-ignore
    [
      'head',
      found.tiedHead === undefined ? undefined : found.tiedHead ? 'tied to the embedding table, scaled' : 'separate',
    ],
    [
      'pooler',
      found.pooler === undefined ? undefined : found.pooler ? 'present' : 'missing: initialised from a fixed seed',
    ],
    ['tokenizer', tokenizer && `${tokenizer.type}, ${tokenizer.vocabulary} ids, end of sequence ${tokenizer.eos}`],
    ['vision', found.vision],
    ['fingerprint', found.fingerprint],
    ...found.problems.map((problem): [string, string] => ['problem', problem]),
  ];
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(13)} ${value}`)
    .join('\n');
}
