import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TextTokenizer, padTokens } from '../../../src/agents/text/tokenizer.js';
import { formatAction } from '../../../src/agents/grammar.js';
import { policyPrompt } from '../../../src/agents/policy/prompt.js';
import { tap } from '../../../src/data/action.js';
import { UserError } from '../../../src/errors.js';
import { bucketOf, rowBucket } from '../../../src/models/buckets.js';

const fixture = 'test/fixtures/golden/tokenizer';
const scratch = mkdtempSync(join(tmpdir(), 'critiq-tokenizer-'));
after(() => rmSync(scratch, { recursive: true }));

/** A copy of the fixture with one file's content replaced, or removed. */
function broken(name: string, content?: string): string {
  const folder = mkdtempSync(join(scratch, 'broken-'));
  cpSync(fixture, folder, { recursive: true });
  if (content === undefined) rmSync(join(folder, name));
  else writeFileSync(join(folder, name), content);
  return folder;
}

/** The T5 tokenizer.json in the hub's layout with another character table. */
function withCharsmap(base64: string): string {
  const definition = JSON.parse(readFileSync(join(python, 't5-hub', 'tokenizer.json'), 'utf8')) as {
    normalizer: { precompiled_charsmap: string };
  };
  definition.normalizer.precompiled_charsmap = base64;
  return JSON.stringify(definition);
}

test("ids and decoded texts equal the Python tokenizer's", () => {
  const tokenizer = TextTokenizer.load(fixture);
  const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
    text: string;
    ids: number[];
    decoded: string;
  }[];
  assert.ok(expected.length > 5);
  for (const { text, ids, decoded } of expected) {
    assert.deepEqual(tokenizer.encode(text), ids, text);
    assert.equal(tokenizer.decode(ids), decoded, text);
  }
});

/** Made by test/fixtures/python/make_tokenizers.py in the file formats of transformers 4 and 5. */
const python = 'test/fixtures/tokenizers';
for (const name of ['t5-hub', 't5-4', 't5-5', 'roberta-4', 'roberta-5']) {
  test(`${name}: ids, cut ids and decoded texts equal Python's, odd texts included`, () => {
    const folder = join(python, name);
    const options = name.startsWith('t5') ? {} : ({ pad: 'pad', truncate: 'right' } as const);
    const tokenizer = TextTokenizer.load(folder, options);
    const short = TextTokenizer.load(folder, { ...options, maxLength: 12 });
    const texts = JSON.parse(readFileSync(join(python, 'texts.json'), 'utf8')) as string[];
    const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
      ids: number[];
      cut: number[];
      decoded: string;
    }[];
    assert.ok(texts.length > 25 && texts.length === expected.length);
    for (const [i, { ids, cut, decoded }] of expected.entries()) {
      const text = texts[i];
      assert.deepEqual(tokenizer.encode(text), ids, text);
      assert.deepEqual(short.encode(text), cut, text);
      assert.equal(tokenizer.decode(ids), decoded, text);
    }
    assert.equal(tokenizer.pad, name.startsWith('t5') ? tokenizer.eos : 1);
  });
}

test('cutting keeps the special tokens on both sides', () => {
  const folder = join(python, 'roberta-5');
  const whole = TextTokenizer.load(folder).encode('search for usb-c and press enter');
  const left = TextTokenizer.load(folder, { maxLength: 6 }).encode('search for usb-c and press enter');
  assert.deepEqual(left, [whole[0], ...whole.slice(-5)]);
  assert.throws(() => TextTokenizer.load(folder, { maxLength: 2 }), RangeError);
});

test('by default long texts lose their beginning and keep the end token', () => {
  const whole = TextTokenizer.load(fixture).encode('search for usb-c and press enter');
  const tokenizer = TextTokenizer.load(fixture, { maxLength: 5 });
  assert.deepEqual(tokenizer.encode('search for usb-c and press enter'), whole.slice(-5));
  assert.equal(whole.at(-1), tokenizer.eos);
  assert.equal(TextTokenizer.load(fixture).encode('a '.repeat(3000)).length, 512);
});

test('batches are padded on the right to a bucket, with the eos or the pad token', () => {
  const tokenizer = TextTokenizer.load(fixture);
  const batch = tokenizer.batch(['press enter', 'Go']);
  const [long, short] = ['press enter', 'Go'].map((text) => tokenizer.encode(text));
  assert.equal(batch.length, bucketOf(long.length));
  assert.deepEqual([...batch.ids.slice(batch.length)].map(Number), [
    ...short,
    ...Array(batch.length - short.length).fill(tokenizer.eos),
  ]);
  assert.deepEqual(
    [...batch.mask.slice(batch.length)],
    [...short.map(() => 1), ...Array(batch.length - short.length).fill(0)],
  );
  const padded = TextTokenizer.load(fixture, { pad: 'pad' });
  assert.equal(padded.pad, 0);
  assert.equal(Number(padded.batch(['Go'], 12).ids.at(-1)), 0);
});

test('rows longer than the given length keep their end', () => {
  const { ids, mask } = padTokens([[5, 6, 7], [8]], 9, 2);
  assert.deepEqual([...ids], [6n, 7n, 8n, 9n]);
  assert.deepEqual([...mask], [1, 1, 1, 0]);
});

test('a bucket is at most 1.5 times the length it holds', () => {
  for (let length = 1; length < 1500; length++) {
    const bucket = bucketOf(length);
    assert.ok(bucket >= length && (bucket <= 8 || bucket <= length * 1.5), `${length} in ${bucket}`);
    assert.ok(rowBucket(length) >= length && rowBucket(length) < Math.max(3, 2 * length));
  }
});

test('an action text survives encoding and decoding', () => {
  const tokenizer = TextTokenizer.load(fixture);
  const text = formatAction(tap([0.1234, 0.5]));
  assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  assert.ok(tokenizer.encode(policyPrompt('open the settings', text)).length > 20);
});

const faults: [what: string, folder: () => string, message: RegExp][] = [
  ['a missing folder', () => join(scratch, 'none'), /tokenizer\.json: cannot be read \(ENOENT\)/],
  [
    'a folder with only a SentencePiece model',
    () => join(python, 'spiece'),
    /has spiece\.model but no tokenizer\.json.*save_pretrained/,
  ],
  [
    'a damaged character table',
    () => broken('tokenizer.json', withCharsmap(Buffer.from([200, 0, 0, 0, 1, 2, 3, 4]).toString('base64'))),
    /tokenizer\.json: cannot be used \(precompiled_charsmap: expected a trie within its 8 bytes/,
  ],
  ['a missing configuration', () => broken('tokenizer_config.json'), /tokenizer_config\.json: cannot be read/],
  ['text that is not JSON', () => broken('tokenizer.json', '{'), /tokenizer\.json: not valid JSON/],
  ['JSON of something else', () => broken('tokenizer.json', '[]'), /tokenizer\.json: expected a JSON object/],
  ['a model of unknown type', () => broken('tokenizer.json', '{"model": {"type": "Oracle"}}'), /cannot be used/],
  [
    'an end token that is not in the vocabulary',
    () => broken('tokenizer_config.json', '{"eos_token": "<end>"}'),
    /special token "<end>" is not in/,
  ],
];
for (const [what, folder, message] of faults) {
  test(`${what} is a one-line error`, () => {
    assert.throws(
      () => TextTokenizer.load(folder()),
      (error: Error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}
