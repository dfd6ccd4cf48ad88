import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../errors.js';
import type { Parameters } from '../../graph/index.js';
import { Checkpoint, type CheckpointTensor } from '../checkpoint/tensors.js';
import { criticConfigOf, type CriticConfig } from '../critic/critic.js';
import { criticNetworkSpecs, towerSpecs, type TextLengths } from '../critic/network.js';
import { readRobertaConfig, type RobertaConfig } from '../roberta/roberta.js';

/**
 * Trained agents as accelerate's save_state writes them (docs/algorithms.md §0): a folder with `pytorch_model.bin`,
 * `pytorch_model_1.bin`, ... What each holds is told by its tensors, since the order differs between trainers.
 */

/** Names that Digi-Q and DigiRL give such folders. */
export const STATE_FOLDERS = ['trainer_offline.pt', 'trainer.pt', 'digiq_critic.pt'] as const;

/** What a file of the folder holds. */
export type Part = 'policy' | 'critic' | 'other';

/** The released critic's towers by the kind of text that they read, and the names of its heads. */
export const RELEASED_TOWERS: Readonly<Record<keyof TextLengths, string>> = {
  goal: 'base_lm_task.',
  type: 'base_lm_type.',
  action: 'base_lm_text.',
};
export const RELEASED_HEADS = { q1: 'q_critic1.', q2: 'q_critic2.', v1: 'v_critic1.', v2: 'v_critic2.' } as const;

/** Buffers of older transformers, which are no weights. */
const BUFFERS = /\.position_ids$|\.token_type_ids$/;

/** A model's file in the folder. */
export interface AgentFile {
  readonly file: string;
  readonly part: Part;
}

/**
 * The state folder that a path means: itself, or a folder of the usual name in it.
 * @throws UserError if there is none, or several
 */
export function stateFolder(path: string): string {
  if (!existsSync(path)) throw new UserError(`${path}: no such folder; expected a trained agent`);
  const isState = (folder: string): boolean =>
    statSync(folder).isDirectory() && readdirSync(folder).some((name) => MODEL.test(name));
  if (!statSync(path).isDirectory()) {
    throw new UserError(
      `${path}: expected the folder of a trained agent (pytorch_model.bin, pytorch_model_1.bin, ...), got a file`,
    );
  }
  if (isState(path)) return path;
  const below = STATE_FOLDERS.map((name) => join(path, name)).filter((folder) => existsSync(folder) && isState(folder));
  if (below.length === 1) return below[0];
  throw new UserError(
    below.length > 1
      ? `${path}: has several trained agents: ${below.join(', ')}; name one`
      : `${path}: expected a trained agent: a folder with pytorch_model.bin, pytorch_model_1.bin, ..., or ${STATE_FOLDERS.join(', ')} in it`,
  );
}

const MODEL = /^pytorch_model(?:_(\d+))?\.bin(\.index\.json)?$/;

/** The models of a state folder in accelerate's order, with what they are. @throws UserError if one in between is missing */
export async function agentFiles(folder: string): Promise<AgentFile[]> {
  const numbers = new Map<number, string>();
  for (const name of readdirSync(folder)) {
    const match = MODEL.exec(name);
    if (match) numbers.set(Number(match[1] ?? 0), name);
  }
  const last = Math.max(...numbers.keys());
  const missing = Array.from({ length: last }, (_, i) => i).filter((i) => !numbers.has(i));
  if (missing.length > 0) {
    const names = missing.map((i) => (i === 0 ? 'pytorch_model.bin' : `pytorch_model_${i}.bin`));
    throw new UserError(
      `${folder}: ${names.join(', ')} missing beside ${numbers.get(last)}; download the whole folder`,
    );
  }
  const files: AgentFile[] = [];
  for (const [, name] of [...numbers].sort(([a], [b]) => a - b)) {
    const file = join(folder, name);
    const checkpoint = await Checkpoint.open(file);
    const names = [...checkpoint.tensors.keys()];
    checkpoint.close();
    const has = (prefix: string): boolean => names.some((one) => one.startsWith(prefix));
    const critic = Object.values(RELEASED_HEADS).every(has) && Object.values(RELEASED_TOWERS).every(has);
    files.push({ file, part: critic ? 'critic' : has('shared.') && has('image_dense.') ? 'policy' : 'other' });
  }
  return files;
}

/** A released critic: heads `q1.*`, ... and towers `text.goal.*`, `text.type.*`, `text.action.*`. */
export interface ReleasedCritic {
  readonly critic: CriticConfig;
  readonly tower: RobertaConfig;
  readonly params: Parameters;
}

/**
 * Reads a released critic.
 * @param roberta folder of the RoBERTa that its towers were trained from: its config.json says what shapes do not
 * @throws UserError that names tensors that are missing or of another shape
 */
export async function readReleasedCritic(file: string, roberta: string): Promise<ReleasedCritic> {
  const tower = readRobertaConfig(roberta);
  const checkpoint = await Checkpoint.open(file);
  try {
    const tensors = new Map<string, CheckpointTensor>();
    const renamed: [string, string][] = [
      ...Object.entries(RELEASED_HEADS).map(([head, prefix]): [string, string] => [prefix, `${head}.`]),
      ...Object.entries(RELEASED_TOWERS).map(([kind, prefix]): [string, string] => [prefix, `text.${kind}.`]),
    ];
    for (const [name, tensor] of checkpoint.tensors) {
      if (BUFFERS.test(name)) continue;
      const rule = renamed.find(([prefix]) => name.startsWith(prefix));
      tensors.set(rule ? rule[1] + name.slice(rule[0].length) : name, tensor);
    }
    const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape]));
    const critic = criticConfigOf(shapes, widths(file, shapes, tower.hidden_size));
    const specs = {
      ...criticNetworkSpecs({ model_type: 'critiq-critic', critic, drop: [] }),
      ...towerSpecs(tower, 'three'),
    };
    return { critic, tower, params: checkpoint.parameters(tensors, specs, `${file} (with ${roberta})`) };
  } finally {
    checkpoint.close();
  }
}

/** The widths of the inputs: V reads three texts and two images, Q two texts and a representation more. */
function widths(file: string, shapes: ReadonlyMap<string, readonly number[]>, text: number) {
  const [, v = 0] = shapes.get('v1.0.weight') ?? [];
  const [, q = 0] = shapes.get('q1.0.weight') ?? [];
  const image = (v - 3 * text) / 2;
  const rep = q - v - 2 * text;
  if (!Number.isInteger(image) || image < 1 || rep < 1) {
    throw new UserError(
      `${file}: its heads read ${v} and ${q} numbers, which is not three texts of ${text} and two images, and two texts and a representation more; does models.text name the RoBERTa that it was trained from?`,
    );
  }
  return { text, image, rep };
}
