/** Folders of models, of which one file is damaged: configs, tokenizers, indexes of shards, weights that must fit them. */
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readMaxTokens } from '../../../src/agents/policy/policy.js';
import { TextTokenizer } from '../../../src/agents/text/tokenizer.js';
import { checkpointKind, planCheckpoint, usedTensors } from '../../../src/models/checkpoint/kind.js';
import { withCheckpoint } from '../../../src/models/checkpoint/tensors.js';
import { readTowerReference, towerKind } from '../../../src/models/checkpoint/tower-folder.js';
import { readTowerConfig } from '../../../src/models/vision.js';
import { readAutoUIConfig } from '../../../src/models/autoui/config.js';
import { readBlip2VisionConfig } from '../../../src/models/blip2/blip2.js';
import { readRobertaConfig } from '../../../src/models/roberta/roberta.js';
import { readVlmConfig } from '../../../pipelines/vlm.js';
import { fixture } from '../../rigs/files.js';
import { mutatedBytes } from '../bytes.js';
import { mutatedJson } from '../texts.js';
import type { Kind, Seed } from '../kind.js';
import { fixtures } from './tensors.js';

/** A copy of the folder of a fixture's file, with this content in its place; the file is whole again after `use`. */
async function inFolder(input: Buffer, { name }: Seed, folder: string, use: (at: string) => unknown): Promise<void> {
  const from = dirname(fixture(name));
  const copy = join(folder, dirname(name));
  if (!existsSync(copy)) cpSync(from, copy, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, input);
  try {
    await use(copy);
  } finally {
    writeFileSync(file, readFileSync(fixture(name)));
  }
}

/** Runs readers of a folder, all of them; the first error that is not clean would hide behind a clean one. */
async function each(...readers: (() => unknown)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const read of readers) {
    try {
      await read();
    } catch (error) {
      errors.push(error);
    }
  }
  const unclean = errors.find((error) => !/^(User|Run|Locked)Error$/.test((error as Error).name));
  if (unclean ?? errors[0]) throw unclean ?? errors[0];
}

export { each };

const CONFIG_READERS: readonly ((folder: string) => unknown)[] = [
  readAutoUIConfig,
  readRobertaConfig,
  readBlip2VisionConfig,
  readVlmConfig,
  readMaxTokens,
  towerKind,
  readTowerReference,
  readTowerConfig,
];

/** The readers that take a whole config. */
function readersOf({ name }: Seed): readonly ((folder: string) => unknown)[] {
  return CONFIG_READERS.filter((read) => {
    try {
      read(dirname(fixture(name)));
      return true;
    } catch {
      return false;
    }
  });
}

const TEXTS = ['', 'Go to the clock', 'naïve 灯 😀', 'a'.repeat(3000), '\u0000\ud800 x', '<pad></s><unk>'];

export const MODELS: readonly Kind[] = [
  {
    name: 'tokenizer',
    weight: 2,
    seeds: () => [
      ...fixtures('tokenizers', /^tokenizer(_config)?\.json$/),
      ...fixtures('run-v1/run/policy/base', /^tokenizer(_config)?\.json$/),
      ...fixtures('tokenizers', /\.model$/),
    ],
    mutate: (random, bytes, other, { name }) =>
      name.endsWith('.json')
        ? mutatedJson(random, bytes, other.toString('latin1', 0, 1) === '{' ? other : bytes)
        : mutatedBytes(random, bytes),
    read: (input, seed, folder) =>
      inFolder(input, seed, folder, (at) => {
        const tokenizer = TextTokenizer.load(at);
        tokenizer.mustFit(1 << 20, at);
        for (const text of TEXTS) tokenizer.decode(tokenizer.encode(text));
      }),
  },
  {
    name: 'model-config',
    weight: 2,
    seeds: () => [
      ...fixtures('checkpoints', /config\.json$/),
      ...fixtures('golden', /^config\.json$/),
      ...fixtures('run-v1', /config\.json$/).filter(({ name }) => !name.includes('tokenizer')),
    ],
    mutate: mutatedJson,
    read: (input, seed, folder) =>
      inFolder(input, seed, folder, (at) => each(...readersOf(seed).map((read) => () => read(at)))),
  },
  {
    name: 'checkpoint',
    weight: 1,
    seeds: () => [
      ...fixtures('checkpoints', /^(config|.*index)\.json$|\.index\.json$/),
      ...fixtures('golden/autoui-relu', /^config\.json$/),
      ...fixtures('checkpoints', /\.safetensors$/),
    ],
    mutate: (random, bytes, other, { name }) =>
      name.endsWith('.json') ? mutatedJson(random, bytes) : mutatedBytes(random, bytes, other),
    read: (input, seed, folder) =>
      inFolder(input, seed, folder, (at) =>
        withCheckpoint(
          at,
          (checkpoint) => {
            checkpointKind(at, checkpoint.tensors.keys());
            const plan = planCheckpoint(at, checkpoint);
            if (plan && seed.name.endsWith('.json')) checkpoint.parameters(plan.tensors, plan.specs, at);
          },
          usedTensors(at),
        ),
      ),
  },
];
