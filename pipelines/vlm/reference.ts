import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { isFolder } from '../../src/data/store/file.js';
import { UserError } from '../../src/errors.js';
import { readJson } from '../../src/models/checkpoint/checkpoint.js';

/** A file of a registered VLM. */
const RegisteredFile = z.object({ file: z.string().min(1), bytes: z.int().min(0), sha256: z.string().length(64) });

/**
 * `vlm/config.json` of a run with an external VLM: a model that is too large to copy, or that only a server has.
 * `fingerprint` identifies its weights in caches.
 */
const VlmReference = z.object({
  model_type: z.literal('critiq-vlm'),
  /** its name on a server */
  name: z.string().min(1),
  /** absolute path of its files; '' if only a server has them */
  folder: z.string(),
  fingerprint: z.string().regex(/^[0-9a-f]{16,64}$/),
  files: z.array(RegisteredFile),
});
export type VlmReference = z.infer<typeof VlmReference>;

export interface RegisterOptions {
  /** its name on the server; default: the folder's absolute path (as `vllm serve FOLDER` names it), or the given name */
  readonly name?: string;
  /** called with the file and the number of bytes just read */
  readonly onBytes?: (file: string, bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * A reference to a model. Reads every file of a folder once, for its SHA-256.
 * @param model its folder, or its name on a server
 * @throws UserError if the folder holds no model
 */
export async function referTo(model: string, options: RegisterOptions = {}): Promise<VlmReference> {
  const { name } = options;
  if (isFolder(model)) return ofFolder(resolve(model), name ?? resolve(model), options);
  return ofServer(model, name ?? model);
}

/** Writes `config.json` of a data set `vlm`. */
export async function writeVlmReference(dataset: string, reference: VlmReference): Promise<void> {
  mkdirSync(dataset, { recursive: true });
  await writeAtomic(join(dataset, 'config.json'), `${JSON.stringify(reference, null, 2)}\n`);
}

/** Makes a reference to a model (`referTo`) the data set `vlm`. */
export async function registerVlm(dataset: string, model: string, options?: RegisterOptions): Promise<VlmReference> {
  const reference = await referTo(model, options);
  await writeVlmReference(dataset, reference);
  return reference;
}

/** The reference in a data set `vlm` or `value`; undefined if it holds the pocket VLM. @param stage that writes it @throws UserError if it is damaged */
export function readVlmReference(dataset: string, stage = 'vlm'): VlmReference | undefined {
  const file = join(dataset, 'config.json');
  const json = readJson(file) as { model_type?: unknown };
  if (json.model_type !== 'critiq-vlm') return undefined;
  const parsed = VlmReference.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(
    `${file}: ${issue.path.join('.')}: ${issue.message}; register the model again (critiq ${stage} --force, or critiq ${stage} import)`,
  );
}

/** Checks that the files of a reference still have their registered sizes. @throws UserError */
export function checkVlmReference({ folder, files }: VlmReference, stage = 'vlm'): void {
  for (const { file, bytes } of files) {
    const path = join(folder, file);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === bytes) continue;
    throw new UserError(
      `${path}: ${size === undefined ? 'no such file' : `has ${size} bytes`}, expected the registered file of ${bytes} bytes; restore it, or register the model again (critiq ${stage} --force, or critiq ${stage} import)`,
    );
  }
}

/** Length of the model's hidden states, from its own config.json; undefined if that is missing or does not say. */
export function hiddenSize({ folder }: VlmReference): number | undefined {
  const file = join(folder, 'config.json');
  if (folder === '' || !existsSync(file)) return undefined;
  const { hidden_size, text_config } = readJson(file) as { hidden_size?: unknown; text_config?: unknown };
  const size = (text_config as { hidden_size?: unknown } | undefined)?.hidden_size ?? hidden_size;
  return Number.isInteger(size) && Number(size) > 0 ? Number(size) : undefined;
}

function ofServer(model: string, name: string): VlmReference {
  if (/[\\/]$|^[.~/]/.test(model)) {
    throw new UserError(`${model}: no such folder; expected the folder of a VLM, or its name on a server`);
  }
  return { model_type: 'critiq-vlm', name, folder: '', fingerprint: fingerprint([name]), files: [] };
}

async function ofFolder(folder: string, name: string, options: RegisterOptions): Promise<VlmReference> {
  const paths = filesBelow(folder);
  const names = paths.map((path) => relative(folder, path));
  if (!names.includes('config.json') || !names.some((file) => /\.(safetensors|bin|onnx)$/.test(file))) {
    throw new UserError(
      `${folder}: expected the folder of a VLM, with config.json and .safetensors, .bin or .onnx files; merge a LoRA adapter first (docs/vlm.md)`,
    );
  }
  const files: VlmReference['files'] = [];
  for (const [i, path] of paths.entries()) files.push({ file: names[i], ...(await hashFile(path, options)) });
  return { model_type: 'critiq-vlm', name, folder, fingerprint: fingerprint([name, files]), files };
}

/** Size and SHA-256 of a file, read in pieces. */
async function hashFile(
  path: string,
  { onBytes, signal }: RegisterOptions,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>) {
    hash.update(piece);
    bytes += piece.length;
    onBytes?.(basename(path), piece.length);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** More files than any model has: a wrong path, whose hashing might take hours. */
const MOST_FILES = 1000;

/** Regular files below a folder, in the order of their names; hidden ones (`.git`, `.cache`) are never weights. */
function filesBelow(folder: string): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    const entries = readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = join(at, entry.name);
      if (entry.name.startsWith('.')) continue;
      // a link to a file counts as the file (the Hugging Face cache is made of them); a link to a folder is not followed
      if (entry.isDirectory()) walk(path);
      else if (statSync(path, { throwIfNoEntry: false })?.isFile()) found.push(path);
      if (found.length > MOST_FILES) {
        throw new UserError(`${folder}: more than ${MOST_FILES} files; expected the folder of a single VLM`);
      }
    }
  };
  walk(folder);
  return found;
}

function fingerprint(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
}
