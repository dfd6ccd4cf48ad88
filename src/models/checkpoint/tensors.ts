import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  SafetensorsFile,
  elementBytes,
  lacksTensor,
  readWeightMap,
  toFloat32,
  type StoredTensor,
  type TensorInfo,
  type TensorSource,
} from '../../data/formats/safetensors.js';
import { TorchStateDict } from '../../data/formats/torch.js';
import { UserError } from '../../errors.js';
import { Parameters } from '../../graph/index.js';
import { checkShapes, type ParameterSpecs } from './checkpoint.js';

/** Where a checkpoint folder's weights may be, the first there is taken; the last is what DigiRL's training saves. */
const WEIGHT_FILES = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'trainer.pt',
];
const INDEX = '.index.json';

/** What DataParallel puts before every name. */
const PARALLEL = 'module.';

/** A tensor of a checkpoint that has not been read yet. */
export interface CheckpointTensor extends TensorInfo {
  /** its name in the file; the map's key has no `module.` before it */
  readonly stored: string;
  readonly source: TensorSource;
}

/** The path of the file (or index of shards) that holds a folder's weights. @throws UserError where there is none */
export function weightFile(folder: string): string {
  const name = WEIGHT_FILES.find((file) => existsSync(join(folder, file)));
  if (name !== undefined) return join(folder, name);
  throw new UserError(
    `${folder}: expected model.safetensors or pytorch_model.bin in it (or the index.json of its shards), got neither; is this a checkpoint folder?`,
  );
}

/** The weight files behind a file or an index of shards, in the order of their names; those with wanted tensors only. */
function shardsOf(file: string, only: (name: string) => boolean): Map<string, string[] | undefined> {
  if (!file.endsWith(INDEX)) return new Map([[file, undefined]]);
  const shards = new Map<string, string[]>();
  for (const [name, shard] of [...readWeightMap(file)].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    if (!only(withoutPrefix(name, PARALLEL))) continue;
    const path = join(dirname(file), shard);
    shards.set(path, [...(shards.get(path) ?? []), name]);
  }
  return shards;
}

/**
 * The open weights of a checkpoint, in one file or sharded, safetensors or torch's zip (of which nothing is executed).
 * Only headers are in memory; shards without a wanted tensor are not even opened, so they need not be there.
 */
export class Checkpoint {
  private constructor(
    readonly sources: readonly TensorSource[],
    readonly tensors: ReadonlyMap<string, CheckpointTensor>,
  ) {}

  /**
   * @param path a folder, or one weight file or index of shards
   * @param only keeps just the tensors whose names pass
   * @throws UserError where a file is missing, foreign, hostile or damaged
   */
  static async open(path: string, only: (name: string) => boolean = () => true): Promise<Checkpoint> {
    const file = /\.(safetensors|bin|pt|pth|json)$/.test(path) ? path : weightFile(path);
    const sources: TensorSource[] = [];
    const tensors = new Map<string, CheckpointTensor>();
    try {
      for (const [shard, names] of shardsOf(file, only)) {
        const source = shard.endsWith('.safetensors') ? SafetensorsFile.open(shard) : await TorchStateDict.open(shard);
        sources.push(source);
        for (const stored of names ?? source.tensors.keys()) {
          const info = source.tensors.get(stored);
          if (!info) throw lacksTensor(shard, stored, file);
          const name = withoutPrefix(stored, PARALLEL);
          if (only(name)) tensors.set(name, { dtype: info.dtype, shape: info.shape, stored, source });
        }
      }
      return new Checkpoint(sources, tensors);
    } catch (error) {
      for (const source of sources) source.close();
      throw error;
    }
  }

  /** Writes a tensor into float32 numbers, piece by piece. */
  readFloats({ dtype, shape, stored, source }: CheckpointTensor, into: Float32Array): void {
    let at = 0;
    for (const data of source.blocks(stored)) {
      const piece = toFloat32({ dtype, shape, data });
      into.set(piece, at);
      at += piece.length;
    }
  }

  /** Whether two tensors are of one type and shape and hold the same bytes. */
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
   * Parameters of a model: checked before anything is read, then read tensor by tensor, so that memory never holds more
   * than them and a few megabytes.
   * @param tensors what to load, by the parameter's name
   * @param where named in the error
   * @param others parameters that are added to them, copied
   * @throws UserError naming what is missing, unexpected or of another shape
   */
  parameters(
    tensors: ReadonlyMap<string, CheckpointTensor>,
    specs: ParameterSpecs,
    where: string,
    others?: Parameters,
  ): Parameters {
    checkShapes(tensors, specs, where);
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

/** Opens a checkpoint, lets `use` have it, and closes it. */
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
 * The tensors of a checkpoint folder as they are stored, by name: see Checkpoint.
 * @param only reads just the tensors whose names pass; the others are never touched
 * @throws UserError where no weights are there, or a file is broken
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
  const data = new Uint8Array(shape.reduce((bytes, size) => bytes * size, elementBytes(dtype)));
  let at = 0;
  for (const piece of source.blocks(stored)) {
    data.set(piece, at);
    at += piece.length;
  }
  return { dtype, shape, data };
}

/** A name without the prefix, if it has it. */
export function withoutPrefix(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
