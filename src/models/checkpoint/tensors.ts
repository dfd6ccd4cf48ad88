import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  SafetensorsFile,
  elementBytes,
  isReadableFloat,
  lacksTensor,
  readWeightMap,
  toFloat32,
  type StoredTensor,
  type TensorInfo,
  type TensorSource,
} from '../../data/formats/safetensors.js';
import { TorchStateDict } from '../../data/formats/torch-state.js';
import { isFolder } from '../../data/store/file.js';
import { UserError } from '../../errors.js';
import { Parameters } from '../../graph/index.js';
import { checkShapes, whereElse, type ParameterSpecs } from './checkpoint.js';

/**
 * Names of a checkpoint folder's weights; the first that exists is used. DigiRL's and Digi-Q's training save the last two,
 * as files or, by accelerate, as folders in which the policy is `pytorch_model.bin`.
 */
const WEIGHT_FILES = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'trainer.pt',
  'trainer_offline.pt',
];
const INDEX = '.index.json';

/** What torch puts before the names of a wrapped model, or of a wrapped layer: torch.compile, FSDP, activation checkpoints. */
const WRAPPERS: ReadonlySet<string> = new Set(['_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module']);
/** The prefix of torch's DataParallel. */
const PARALLEL = 'module.';

/** A tensor's name without the prefixes of torch's wrappers. */
function unwrapped(name: string): string {
  const plain = name.includes('_') ? name.split('.').filter((part) => !WRAPPERS.has(part)).join('.') : name; // prettier-ignore
  return withoutPrefix(plain, PARALLEL);
}

/** A tensor of a checkpoint, not yet read. */
export interface CheckpointTensor extends TensorInfo {
  /** its name in the file; the key in the map has no prefixes of torch's wrappers (`module.`, `_orig_mod.`) */
  readonly stored: string;
  readonly source: TensorSource;
}

/** The path of a folder's weight file or index of shards. @throws UserError if there is none */
export function weightFile(folder: string): string {
  const name = WEIGHT_FILES.find((file) => existsSync(join(folder, file)));
  const path = name === undefined ? undefined : join(folder, name);
  if (path !== undefined) return isFolder(path) ? weightFile(path) : path;
  throw new UserError(
    `${folder}: expected model.safetensors or pytorch_model.bin in it (or the .index.json of its shards), got neither; ${whereElse(folder)}`,
  );
}

/**
 * The weight files of a file or an index of shards, sorted by name, with the tensors to read from each (undefined: all).
 * Shards without any tensor that `only` accepts are omitted.
 */
function shardsOf(file: string, only: (name: string) => boolean): Map<string, string[] | undefined> {
  if (!file.endsWith(INDEX)) return new Map([[file, undefined]]);
  const shards = new Map<string, string[]>();
  for (const [name, shard] of [...readWeightMap(file)].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    if (!only(unwrapped(name))) continue;
    const path = join(dirname(file), shard);
    shards.set(path, [...(shards.get(path) ?? []), name]);
  }
  return shards;
}

/**
 * The open weights of a checkpoint: one file or shards, safetensors or torch's zip, of which nothing is executed. Only the
 * headers are in memory. Shards without a wanted tensor are not opened and may be missing.
 */
export class Checkpoint {
  private constructor(
    readonly sources: readonly TensorSource[],
    readonly tensors: ReadonlyMap<string, CheckpointTensor>,
  ) {}

  /**
   * @param path a folder, a weight file, or an index of shards
   * @param only selects tensors by name
   * @throws UserError if a file is missing, of another format, malicious or damaged
   */
  static async open(path: string, only: (name: string) => boolean = () => true): Promise<Checkpoint> {
    const file = /\.(safetensors|bin|pt|pth|json)$/.test(path) && !isFolder(path) ? path : weightFile(path);
    const sources: TensorSource[] = [];
    const tensors = new Map<string, CheckpointTensor>();
    try {
      for (const [shard, names] of shardsOf(file, only)) {
        const source = shard.endsWith('.safetensors') ? SafetensorsFile.open(shard) : await TorchStateDict.open(shard);
        sources.push(source);
        for (const stored of names ?? source.tensors.keys()) {
          const info = source.tensors.get(stored);
          if (!info) throw lacksTensor(shard, stored, file);
          const name = unwrapped(stored);
          if (!only(name)) continue;
          const other = tensors.get(name)?.stored;
          if (other !== undefined) {
            throw new UserError(
              `${shard}: the tensors ${other} and ${stored} have one name without the prefixes of torch's wrappers; expected one of them`,
            );
          }
          const { dtype, shape, written } = info;
          tensors.set(name, { dtype, shape, ...(written === undefined ? {} : { written }), stored, source });
        }
      }
      return new Checkpoint(sources, tensors);
    } catch (error) {
      for (const source of sources) source.close();
      throw error;
    }
  }

  /** Reads a tensor as float32, block by block. */
  readFloats({ dtype, shape, stored, source }: CheckpointTensor, into: Float32Array): void {
    let at = 0;
    for (const data of source.blocks(stored)) {
      const piece = toFloat32({ dtype, shape, data });
      into.set(piece, at);
      at += piece.length;
    }
  }

  /** Whether two tensors have the same type, shape and bytes. */
  same(a: CheckpointTensor, b: CheckpointTensor): boolean {
    if (a.dtype !== b.dtype || String(a.shape) !== String(b.shape)) return false;
    const others = b.source.blocks(b.stored)[Symbol.iterator]();
    for (const piece of a.source.blocks(a.stored)) {
      const other = others.next();
      if (other.done || Buffer.compare(piece, other.value) !== 0) return false;
    }
    return true;
  }

  /**
   * The parameters of a model. All shapes are checked first; then tensors are read one by one, so that memory holds only
   * the parameters and a few megabytes more.
   * @param tensors the tensors to load, by parameter name
   * @param where start of the error message
   * @param others further parameters, of which copies are added
   * @throws UserError that lists parameters that are missing, unexpected or of another shape
   */
  parameters(
    tensors: ReadonlyMap<string, CheckpointTensor>,
    specs: ParameterSpecs,
    where: string,
    others?: Parameters,
  ): Parameters {
    checkShapes(tensors, specs, where);
    checkTypes(tensors, where);
    const shapes: Record<string, readonly number[]> = {};
    for (const [name, { shape }] of tensors) shapes[name] = shape;
    for (const name of others?.names() ?? []) shapes[name] = others!.get(name).shape;
    const params = Parameters.zeros(shapes);
    for (const [name, tensor] of tensors) this.readFloats(tensor, params.get(name).data);
    for (const name of others?.names() ?? []) params.get(name).data.set(others!.get(name).data);
    return params;
  }

  close(): void {
    for (const source of this.sources) source.close();
  }
}

/** @throws UserError that names the tensors whose numbers critiq cannot read, with their types */
export function checkTypes(tensors: ReadonlyMap<string, CheckpointTensor>, where: string): void {
  const faults = [...tensors.values()].filter(({ dtype }) => !isReadableFloat(dtype));
  if (faults.length === 0) return;
  const named = faults.slice(0, 3).map(({ stored, dtype, written = dtype }) => `${stored} has the type ${written}`);
  const more = faults.length > 3 ? ` and ${faults.length - 3} more` : '';
  throw new UserError(
    `${where}: ${named.join('; ')}${more}; expected float32, float16, bfloat16, float64 or an 8-bit float: export it unquantized`,
  );
}

/** Opens a checkpoint, calls `use` with it, and closes it. */
export async function withCheckpoint<T>(
  path: string,
  use: (checkpoint: Checkpoint) => T | Promise<T>,
  only?: (name: string) => boolean,
): Promise<T> {
  const checkpoint = await Checkpoint.open(path, only);
  try {
    return await use(checkpoint);
  } finally {
    checkpoint.close();
  }
}

/**
 * The tensors of a checkpoint folder by name, in their stored types; see Checkpoint.
 * @param only selects tensors by name; the others are never read
 * @throws UserError if there are no weights, or a file is broken
 */
export async function readCheckpoint(
  folder: string,
  only?: (name: string) => boolean,
): Promise<ReadonlyMap<string, StoredTensor>> {
  return withCheckpoint(
    folder,
    ({ tensors }) => new Map([...tensors].map(([name, tensor]) => [name, wholeTensor(tensor)])),
    only,
  );
}

function wholeTensor({ dtype, shape, stored, source }: CheckpointTensor): StoredTensor {
  if (dtype === 'OTHER') throw new UserError(`${source.file}: tensor ${stored} has a type that critiq cannot read`);
  const data = new Uint8Array(shape.reduce((bytes, size) => bytes * size, elementBytes(dtype)));
  let at = 0;
  for (const piece of source.blocks(stored)) {
    data.set(piece, at);
    at += piece.length;
  }
  return { dtype, shape, data };
}

/** Removes the prefix from a name that has it. */
export function withoutPrefix(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
