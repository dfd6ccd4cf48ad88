/** Weights, vectors and tables: torch files, safetensors, Arrow, Parquet. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { actionColumns } from '../../../src/agents/action-columns.js';
import { readTorchStateDict } from '../../../src/data/formats/torch-state.js';
import { TorchFile } from '../../../src/data/formats/torch.js';
import { isReadableFloat, readSafetensors, toFloat32 } from '../../../src/data/formats/safetensors.js';
import { ImageVectors } from '../../../src/data/image-vectors.js';
import { CURVE, ONLINE_STEPS, TOKEN_INFLUENCE } from '../../../src/data/online-tables.js';
import { importDigiq } from '../../../src/data/released/digiq-import.js';
import { Representations } from '../../../src/data/representations.js';
import { readTable, type TableKind } from '../../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, VALUES } from '../../../src/data/transitions.js';
import { fixture } from '../../rigs/files.js';
import { mutatedBytes } from '../bytes.js';
import { mutatedSafetensors, mutatedTorch } from '../containers.js';
import type { Kind, Seed } from '../kind.js';

/** Files below the fixtures, by a pattern of their paths. */
export function fixtures(folder: string, wanted: RegExp, longest = 1 << 18): Seed[] {
  return readdirSync(fixture(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ name: path.slice(fixture().length + 1), bytes: readFileSync(path) }))
    .filter(({ bytes }) => bytes.length <= longest);
}

function written(folder: string, name: string, input: Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, input);
  return path;
}

const byContent =
  (torch: boolean): Kind['mutate'] =>
  (random, bytes, other) =>
    random.chance(0.6) && torch ? mutatedTorch(random, bytes, other) : mutatedBytes(random, bytes, other);

const TABLES: readonly [RegExp, TableKind<never>][] = [
  [/transitions/, TRANSITIONS as unknown as TableKind<never>],
  [/candidates/, CANDIDATES as unknown as TableKind<never>],
  [/values/, VALUES as unknown as TableKind<never>],
  [/steps/, ONLINE_STEPS as unknown as TableKind<never>],
  [/curve/, CURVE as unknown as TableKind<never>],
  [/influence/, TOKEN_INFLUENCE as unknown as TableKind<never>],
];

export const TENSORS: readonly Kind[] = [
  {
    name: 'torch',
    weight: 2,
    seeds: () => [
      ...fixtures('torch', /\.(pt|bin)$/),
      ...fixtures('golden', /\.pt$/),
      ...fixtures('checkpoints', /\.bin$/),
    ],
    mutate: byContent(true),
    read: async (input, _, folder) => {
      const path = written(folder, 'input.pt', input);
      const file = await TorchFile.open(path);
      try {
        file.verify();
        for (const item of file.items()) file.numbers(item);
      } finally {
        file.close();
      }
    },
  },
  {
    name: 'state-dict',
    seeds: () => [...fixtures('torch', /(state|checkpoint)\.(bin|pt)$/), ...fixtures('checkpoints', /\.(bin|pt)$/)],
    mutate: byContent(true),
    read: async (input, _, folder) => {
      const { tensors } = await readTorchStateDict(written(folder, 'input.bin', input));
      for (const tensor of tensors.values()) if (isReadableFloat(tensor.dtype)) toFloat32(tensor);
    },
  },
  {
    name: 'released',
    weight: 0.5,
    seeds: () => [...fixtures('torch', /^(digiq|released).*\.pt$/), ...fixtures('golden', /^trajectories.*\.pt$/)],
    mutate: byContent(true),
    read: async (input, _, folder) => {
      const path = written(folder, 'input.pt', input);
      const run = join(folder, 'run');
      rmSync(run, { recursive: true, force: true });
      await importDigiq(path, run, { parse: actionColumns });
    },
  },
  {
    name: 'safetensors',
    weight: 2,
    seeds: () => [...fixtures('checkpoints', /\.safetensors$/), ...fixtures('golden', /\.safetensors$/)],
    mutate: (random, bytes, other) =>
      random.chance(0.6) ? mutatedSafetensors(random, bytes) : mutatedBytes(random, bytes, other),
    read: (input, _, folder) => {
      const { tensors } = readSafetensors(written(folder, 'input.safetensors', input));
      for (const tensor of tensors.values()) {
        if (!isReadableFloat(tensor.dtype)) continue;
        const floats = toFloat32(tensor);
        const expected = tensor.shape.reduce((a, b) => a * b, 1);
        if (floats.length !== expected) throw new Error(`[${tensor.shape}] has ${floats.length} numbers`);
      }
    },
  },
  {
    name: 'arrow',
    weight: 2,
    seeds: () => fixtures('run-v1', /\.arrow$/),
    mutate: mutatedBytes,
    read: (input, seed, folder) => {
      const path = written(folder, 'input.arrow', input);
      if (seed.name.includes('image')) {
        const vectors = ImageVectors.open([path]);
        try {
          const into = new Float32Array(vectors.dim);
          for (const id of vectors.ids()) vectors.read(id, into);
        } finally {
          vectors.close();
        }
        return;
      }
      const rows = Representations.open([path]);
      try {
        for (const tid of rows.tids()) {
          const cands = Array.from({ length: rows.candidates(tid) }, (_, i) => i);
          rows.readRows(tid, cands, new Float32Array(cands.length * rows.dim));
        }
      } finally {
        rows.close();
      }
    },
  },
  {
    name: 'parquet',
    weight: 2,
    seeds: () => fixtures('run-v1', /\.parquet$/),
    mutate: mutatedBytes,
    read: (input, seed, folder) => {
      const [, kind] = TABLES.find(([wanted]) => wanted.test(seed.name.slice(seed.name.lastIndexOf('/'))))!;
      return readTable(written(folder, 'input.parquet', input), kind);
    },
  },
];
