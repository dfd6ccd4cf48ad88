/** Regular expressions of a tokenizer that backtrack without end are ended, and those of known tokenizers cost nothing. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isPlain, patternsIn, timed } from '../../../src/agents/text/timed.js';
import { TextTokenizer } from '../../../src/agents/text/tokenizer.js';
import { UserError } from '../../../src/errors.js';
import { emptyFolder } from '../../rigs/process.js';

const BASE = 'test/fixtures/run-v1/run/policy/base';

test('the patterns of known tokenizers are plain', () => {
  const gpt2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
  const llama = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  const gpt4o = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  for (const pattern of [gpt2, llama, llama.replace('{1,3}', ''), gpt4o, ' {2,}', '▁'])
    assert.ok(isPlain(pattern), pattern);
  const own = patternsIn(JSON.parse(readFileSync(join(BASE, 'tokenizer.json'), 'utf8')));
  assert.equal(own.length, 1);
  assert.ok(own.every(isPlain));
});

test('patterns that may take forever are not', () => {
  for (const pattern of [
    '(a+)+$',
    '(a|a)*b',
    '(?:a|b|ab){2,}c',
    'a*a*a*b',
    '(?:a*|b)(?:a*|b)(?:a*|b)c',
    'a?a?a?a?a?aaaaa',
    '(a?){30}b',
  ])
    assert.ok(!isPlain(pattern), pattern);
});

test('what takes too long is ended, and errors pass', () => {
  const late = () => new UserError('late');
  assert.equal(
    timed(() => 5, 1000, late),
    5,
  );
  assert.throws(() => timed(() => /(a+)+$/.test(`${'a'.repeat(50)}!`), 50, late), /late/);
  assert.throws(() => timed(() => JSON.parse('{'), 1000, late), SyntaxError);
});

test('a tokenizer with such a pattern works, and a text for which it takes too long is an error in one line', (t) => {
  const folder = join(emptyFolder(t), 'policy');
  cpSync(BASE, folder, { recursive: true });
  const file = join(folder, 'tokenizer.json');
  const definition = JSON.parse(readFileSync(file, 'utf8')) as { pre_tokenizer: { pattern: { Regex: string } } };
  definition.pre_tokenizer.pattern.Regex = `(?:z|zz)+!|${definition.pre_tokenizer.pattern.Regex}`;
  writeFileSync(file, JSON.stringify(definition));
  const [own, slow] = [TextTokenizer.load(BASE), TextTokenizer.load(folder)];
  const text = 'Previous Actions: Goal: Open the camera';
  assert.deepEqual(slow.encode(text), own.encode(text));
  assert.throws(
    () => slow.encode('z'.repeat(100)),
    (error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        /^\S+tokenizer\.json: its regular expressions take more than 3 s for a text of length 100; use/,
      );
      return true;
    },
  );
});
