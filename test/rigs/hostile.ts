/** Inputs that ask for more than they are. As a program, it reads each of them and prints what it cost, a JSON line a kind. */
import { crc32 } from '@node-rs/crc32';
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { z } from 'zod';
import { unpackCheckpoint } from '../../pipelines/checkpoint/unpack.js';
import { inspectCheckpoint } from '../../pipelines/checkpoint/inspect.js';
import { readTemplate } from '../../src/agents/served/template.js';
import { Critic } from '../../src/agents/critic/critic.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { readJsonObject } from '../../src/data/formats/json.js';
import { readLines } from '../../src/data/formats/jsonl.js';
import { decodePicture } from '../../src/data/formats/picture.js';
import { SafetensorsFile } from '../../src/data/formats/safetensors.js';
import { TorchFile } from '../../src/data/formats/torch.js';
import { ImageVectors, ImageVectorWriter } from '../../src/data/image-vectors.js';
import { Representations, RepresentationWriter } from '../../src/data/representations.js';
import { openPictures } from '../../src/data/released/pictures.js';
import { readSealed } from '../../src/data/store/sealed.js';
import { readTable, writeTable } from '../../src/data/tables.js';
import { readTaskList } from '../../src/data/task-list.js';
import { CANDIDATES } from '../../src/data/transitions.js';
import { UserError } from '../../src/errors.js';
import { loadExamples } from '../../src/judges/few-shot.js';
import { readLabelledSet } from '../../src/judges/labelled-set.js';
import { readRobertaConfig } from '../../src/models/roberta/roberta.js';
import { readTowerConfig } from '../../src/models/vision.js';
import { loadSettings } from '../../src/settings/settings.js';
import { fixture, storedZip } from './files.js';

export interface Hostile {
  readonly kind: string;
  /** writes it into an empty folder @returns what `read` gets */
  make(folder: string): string | Promise<string>;
  read(path: string): unknown;
  /** the error; undefined: `read` tries many and checks them itself */
  readonly refused?: RegExp;
}

export interface Cost {
  readonly kind: string;
  readonly cpuMs: number;
  /** how much more memory the process ever took than before */
  readonly growthMb: number;
  readonly error: string | null;
  readonly message: string | null;
}

/** A file of one kind, from its text or bytes. */
function file(
  kind: string,
  name: string,
  content: string | Uint8Array | (() => string | Uint8Array),
  read: Hostile['read'],
  refused: RegExp,
): Hostile {
  const make = (folder: string): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'function' ? content() : content);
    return path;
  };
  return { kind, make, read, refused };
}

function safetensors(header: string, data = 0): Buffer {
  const bytes = Buffer.alloc(8 + Buffer.byteLength(header) + data);
  bytes.writeBigUInt64LE(BigInt(Buffer.byteLength(header)), 0);
  bytes.write(header, 8);
  return bytes;
}

const tensor = (begin: number, end: number): string =>
  `{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;

/** Every position of a file with large numbers written over it, a copy each; a reader refuses it or reads something. */
function scribbled(kind: string, write: (path: string) => Promise<unknown>, read: (path: string) => unknown): Hostile {
  return {
    kind,
    make: async (folder) => {
      await write(join(folder, 'good'));
      return join(folder, 'good');
    },
    read: async (path) => {
      const good = readFileSync(path);
      for (const pattern of [
        Buffer.from('ffffff7f', 'hex'),
        Buffer.from('fffffe7f', 'hex'),
        Buffer.from('fefffeff', 'hex'),
      ]) {
        for (let at = 0; at + 4 <= good.length; at += 2) {
          const bad = Buffer.from(good);
          pattern.copy(bad, at);
          writeFileSync(`${path}.bad`, bad);
          try {
            await read(`${path}.bad`);
          } catch (error) {
            assert.ok(error instanceof UserError, `byte ${at}: ${(error as Error).stack}`);
          }
        }
      }
    },
  };
}

function png(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const out = Buffer.alloc(12 + data.length);
    out.writeUInt32BE(data.length, 0);
    out.write(type, 4, 'latin1');
    data.copy(out, 8);
    out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
    return out;
  };
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 6, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const data = deflateSync(Buffer.alloc(1 << 20));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', data),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A JPEG or WebP that is nothing but a header. */
const JPEG = Buffer.from('ffd8ffc00011080fffffff03011100021100031100ffd9'.padEnd(80, '0'), 'hex');
const WEBP = Buffer.concat([Buffer.from('RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0', 'latin1'), Buffer.alloc(40, 0xff)]);

/** A checkpoint folder of the fixtures with another config.json, or another tokenizer.json. */
function checkpoint(
  kind: string,
  from: string,
  name: string,
  change: (text: string) => string,
  refused: RegExp,
): Hostile {
  return {
    kind,
    make: (folder) => {
      cpSync(fixture(from), folder, { recursive: true });
      writeFileSync(join(folder, name), change(readFileSync(join(folder, name), 'utf8')));
      return folder;
    },
    read: (folder) => (name === 'tokenizer.json' ? TextTokenizer.load(folder) : inspectCheckpoint(folder)),
    refused,
  };
}

const SETTINGS = z.object({
  seed: z.number().default(0),
  critic: z.object({ lr: z.number().default(1) }).prefault({}),
});
const settings = (path: string): unknown => loadSettings(SETTINGS as never, { file: path, overrides: [], aliases: {} });

const deep = '['.repeat(500_000);
const text = (bytes: number): string =>
  `X${String.fromCharCode(bytes & 255, (bytes >> 8) & 255, (bytes >> 16) & 255, bytes >>> 24)}`;

export const HOSTILE: readonly Hostile[] = [
  scribbled(
    'numbers in a file of representations',
    async (path) => {
      const writer = await RepresentationWriter.open(path, 4);
      for (const tid of [1, 2]) await writer.append(tid, new Float32Array(8));
      await writer.commit();
    },
    (path) => {
      const reps = Representations.open([path]);
      try {
        for (const tid of reps.tids()) reps.candidates(tid);
      } finally {
        reps.close();
      }
    },
  ),
  scribbled(
    'numbers in a file of image vectors',
    async (path) => {
      const writer = await ImageVectorWriter.open(path, 4);
      for (const id of ['a', 'b']) await writer.append(id, new Float32Array(4));
      await writer.commit();
    },
    (path) => ImageVectors.open([path]).close(),
  ),
  scribbled(
    'numbers in a table',
    (path) =>
      writeTable(path, CANDIDATES, [
        { tid: 1, actions: ['a', 'b', 'a'], counts: [1, 2, 1], valid: [true, true, false], logProbs: [0, 0, 0] },
      ]),
    (path) => readTable(path, CANDIDATES),
  ),
  {
    kind: 'a table with lists of 4,000,000 elements',
    make: () => fixture('hostile', 'long-lists.parquet'),
    read: (path) => readTable(path, CANDIDATES),
    refused: /column actions.* has 4000000 values, expected at most 1048576/,
  },
  file(
    '100,001 tensors',
    'x.safetensors',
    () => safetensors(`{${Array.from({ length: 100_001 }, (_, i) => `"${i}":${tensor(0, 0)}`).join()}}`),
    (path) => SafetensorsFile.open(path),
    /more than 100000 tensors/,
  ),
  file(
    'a tensor named twice',
    'x.safetensors',
    safetensors(`{"a":${tensor(0, 4)},"a":${tensor(0, 4)}}`, 4),
    (path) => SafetensorsFile.open(path),
    /names a tensor twice/,
  ),
  file(
    'tensors that overlap',
    'x.safetensors',
    safetensors(`{"a":${tensor(0, 4)},"b":${tensor(2, 6)}}`, 6),
    (path) => SafetensorsFile.open(path),
    /overlaps/,
  ),
  file(
    'a header of brackets',
    'x.safetensors',
    safetensors(`{"a":${deep}`),
    (path) => SafetensorsFile.open(path),
    /not a JSON object/,
  ),
  file(
    'a header of null',
    'x.safetensors',
    safetensors('{"a":null,"__metadata__":null}'),
    (path) => SafetensorsFile.open(path),
    /unknown type|__metadata__/,
  ),
  file(
    'a text of 17 MB in a pickle',
    'x.pt',
    () =>
      storedZip({
        'x/data.pkl': Buffer.concat([
          Buffer.from(`\x80\x02]${text(17 << 20)}`, 'latin1'),
          Buffer.alloc(17 << 20, 'a'),
          Buffer.from('a.'),
        ]),
      }),
    async (path) => {
      const source = await TorchFile.open(path);
      for (const item of source.items()) source.text(item);
    },
    /refused: a text of 17825792 bytes/,
  ),
  {
    kind: '2^31 layers',
    make: (folder) => {
      const config = JSON.parse(readFileSync(fixture('checkpoints', 'roberta', 'config.json'), 'utf8')) as object;
      writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 2 ** 31 }));
      return folder;
    },
    read: readRobertaConfig,
    refused: /num_hidden_layers: more than 1000 layers/,
  },
  checkpoint(
    'a config of null',
    'checkpoints/roberta',
    'config.json',
    () => 'null',
    /config\.json: expected a JSON object/,
  ),
  checkpoint(
    'a config of brackets',
    'checkpoints/roberta',
    'config.json',
    () => deep,
    /config\.json: nested more than 200 deep/,
  ),
  checkpoint(
    'the token 2^31',
    'tokenizers/roberta-4',
    'tokenizer.json',
    (json) => json.replace(/("vocab":\s*\{\s*"[^"]*":\s*)\d+/, '$12147483648'),
    /expected an id from 0 to 4194303, got 2147483648/,
  ),
  checkpoint(
    'the added token 2^31',
    'tokenizers/t5-4',
    'tokenizer.json',
    (json) => json.replace(/("added_tokens":\s*\[\s*\{\s*"id":\s*)\d+/, '$12147483648'),
    /expected an id from 0 to 4194303, got 2147483648/,
  ),
  checkpoint(
    'a tokenizer of null',
    'tokenizers/t5-4',
    'tokenizer.json',
    () => 'null',
    /tokenizer\.json: expected a JSON object/,
  ),
  file(
    'a vision tower of 2^40 pixels',
    'config.json',
    '{"model_type":"critiq-conv","image_size":[1099511627776,1],"layers":[]}',
    (path) => readTowerConfig(join(path, '..')),
    /image_size\.0: more than 16777216/,
  ),
  file(
    'a vision tower of null',
    'config.json',
    'null',
    (path) => readTowerConfig(join(path, '..')),
    /expected a JSON object/,
  ),
  file(
    'a critic of width 2^40',
    'config.json',
    '{"model_type":"critiq-critic","drop":[],"critic":{"hidden":[1099511627776]}}',
    (path) => Critic.file(join(path, '..')),
    /critic\.hidden\.0: expected a number up to/,
  ),
  file(
    'a critic of nothing',
    'config.json',
    '{"model_type":"critiq-critic"}',
    (path) => Critic.file(join(path, '..')),
    /expected "critic" and "drop"/,
  ),
  file('a critic of null', 'config.json', 'null', (path) => Critic.file(join(path, '..')), /expected a JSON object/),
  file('a PNG of 268 million pixels', 'x.png', () => png(16384, 16384), picture, /at most 16777216 in all/),
  file('a PNG of 16 million pixels with the data of a million', 'x.png', () => png(4096, 4096), picture, /./),
  file('a JPEG of 268 million pixels', 'x.jpg', JPEG, picture, /unsupported JPEG: expected 1 to 16777216 pixels/),
  file('a WebP of 2^48 pixels', 'x.webp', WEBP, picture, /unsupported WebP: expected 1 to 16777216 pixels/),
  file(
    'an alias of itself',
    'x.yaml',
    'critic: &a\n  lr: *a\n',
    settings,
    /an alias stands for something that it is a part of/,
  ),
  file(
    'aliases of aliases',
    'x.yaml',
    `a0: &a0 [0]\n${Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`).join('\n')}\n`,
    settings,
    /aliases/,
  ),
  file(
    '90,000 unknown keys',
    'x.yaml',
    () => Array.from({ length: 90_000 }, (_, i) => `k${i}: 1`).join('\n'),
    settings,
    /expected at most 131072/,
  ),
  file(
    '10,000 unknown keys',
    'x.yaml',
    () => Array.from({ length: 10_000 }, (_, i) => `k${i}: 1`).join('\n'),
    settings,
    /and 9980 more mistakes/,
  ),
  file('nested flow lists', 'x.yaml', () => `critic: ${'['.repeat(50_000)}`, settings, /x\.yaml/),
  {
    kind: 'files that extend two others each',
    make: (folder) => {
      for (let i = 0; i < 40; i++)
        writeFileSync(join(folder, `e${i}.yaml`), `extends: [e${i + 1}.yaml, e${i + 1}.yaml]\n`);
      writeFileSync(join(folder, 'e40.yaml'), 'seed: 1\n');
      return join(folder, 'e0.yaml');
    },
    read: settings,
    refused: /extended as more than the 100th file/,
  },
  file('a template of itself', 't.yaml', 'system: &a [*a]\n', readTemplate, /t\.yaml/),
  file(
    'run.json of brackets',
    'run.json',
    deep,
    (path) => readJsonObject(path, 'run it again'),
    /nested more than 200 deep; run it again/,
  ),
  file(
    'run.json of null',
    'run.json',
    'null',
    (path) => readJsonObject(path, 'run it again'),
    /expected a JSON object; run it again/,
  ),
  file(
    'a result of null',
    'result.json',
    'null',
    (path) => readSealed(path, 'run it again'),
    /expected a JSON object; run it again/,
  ),
  file(
    'a result of brackets',
    'result.json',
    deep,
    (path) => readSealed(path, 'run it again'),
    /nested more than 200 deep; run it again/,
  ),
  file(
    'a manifest of brackets',
    'manifest.jsonl',
    `{"a":${deep},"crc32":${crc32(`{"a":${deep}`)}}\n`,
    (path) => readLines(path, 'run it again'),
    /line 1: damaged: not a JSON object/,
  ),
  file(
    'tasks of brackets',
    'tasks.jsonl',
    deep,
    (path) => readTaskList(path),
    /tasks\.jsonl:1: nested more than 200 deep/,
  ),
  file(
    'examples of null',
    'examples.json',
    'null',
    (path) => loadExamples(join(path, '..')),
    /expected a list of examples/,
  ),
  file(
    'examples of brackets',
    'examples.json',
    deep,
    (path) => loadExamples(join(path, '..')),
    /nested more than 200 deep/,
  ),
  file(
    'an example with a picture of line breaks',
    'examples.json',
    '[{"image":"\\n\\n","task":"a","status":"success","reasoning":"b"}]',
    (path) => loadExamples(join(path, '..')),
    /\\n\\n cannot be read \(ENOENT\)/,
  ),
  file('a labelled set of null', 'set.jsonl', 'null\n', readLabelledSet, /set\.jsonl, line 1/),
  {
    kind: 'a zip of pictures with long paths',
    make: (folder) => {
      const path = join(folder, 'x.zip');
      writeFileSync(
        path,
        storedZip(
          Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${'a/'.repeat(15_000)}${i}.png`, Buffer.alloc(1)])),
        ),
      );
      return path;
    },
    read: async (path) => {
      const pictures = await openPictures(path);
      assert.equal(await pictures.read('b.png'), undefined);
      await pictures.read('3.png').finally(() => pictures.close());
    },
    refused: /not a PNG, JPEG or WebP file/,
  },
  {
    kind: 'a zip of 10,001 checkpoints',
    make: (folder) => {
      const path = join(folder, 'x.zip');
      writeFileSync(
        path,
        storedZip(Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`${i}/config.json`, Buffer.alloc(0)]))),
      );
      return path;
    },
    read: (path) => unpackCheckpoint(path, `${path}.out`),
    refused: /at most 10000 files/,
  },
];

function picture(path: string): Promise<unknown> {
  return decodePicture(readFileSync(path)).catch((error: unknown) => {
    // its callers name the picture
    throw new UserError((error as Error).message);
  });
}

async function measure({ kind, make, read }: Hostile): Promise<Cost> {
  const folder = mkdtempSync(join(tmpdir(), 'critiq-hostile-'));
  try {
    mkdirSync(join(folder, 'in'));
    const path = await make(join(folder, 'in'));
    const peak = process.resourceUsage().maxRSS;
    const began = process.cpuUsage();
    let failure: Error | undefined;
    try {
      await read(path);
    } catch (error) {
      failure = error as Error;
    }
    const { user, system } = process.cpuUsage(began);
    const growthMb = (process.resourceUsage().maxRSS - peak) / 1024;
    return {
      kind,
      cpuMs: (user + system) / 1000,
      growthMb,
      error: failure?.name ?? null,
      message: failure?.message ?? null,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const hostile of HOSTILE) process.stdout.write(`${JSON.stringify(await measure(hostile))}\n`);
}
