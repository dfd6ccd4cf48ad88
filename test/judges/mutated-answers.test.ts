/** 10,000 damaged answers of judges: none is an exception of another kind, and none is a verdict that its text does not state. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStatus } from '../../src/judges/status.js';
import { withoutThoughts } from '../../src/net/completion.js';
import { WrongAnswer } from '../../src/net/json-server.js';
import { Random } from '../../src/random.js';

type Verdict = 'success' | 'failure';
const VERDICTS: readonly Verdict[] = ['success', 'failure'];

const THOUGHTS = [
  '',
  '<think>Status: failure? {"status": "success"}</think>\n',
  'Status: success?\n</think>\n',
  '[THINK]x[/THINK]',
];
const REASONS = ['seen', "it's there", 'a "quote" {x}', 'Status unclear', ''];

/** An answer with this verdict, and the part of it that states it. */
function written(random: Random, verdict: Verdict): { before: string; statement: string; after: string } {
  const json = JSON.stringify({ reasoning: random.pick(REASONS), status: verdict });
  const thoughts = random.pick(THOUGHTS);
  switch (random.int(5)) {
    case 0:
      return { before: thoughts, statement: json, after: '' };
    case 1:
      return { before: `${thoughts}Here it is:\n\`\`\`json\n`, statement: json, after: '\n```\nThat is all.' };
    case 2:
      return {
        before: `${thoughts}I see {it}. `,
        statement: `{'status': '${verdict}', 'reasoning': 'x'}`,
        after: '\n',
      };
    case 3:
      return { before: `${thoughts}Q: What?\nA: The shop.\n`, statement: `Status: ${verdict}`, after: '\n' };
    default:
      return { before: `${thoughts}`, statement: `**Status:** ${verdict}.`, after: '<|im_end|>' };
  }
}

/** The verdict of an answer; undefined if it is none. @throws any error but WrongAnswer */
function verdictOf(text: string): Verdict | undefined {
  try {
    return parseStatus(withoutThoughts(text)).status;
  } catch (error) {
    if (error instanceof WrongAnswer) return undefined;
    throw error;
  }
}

test('whole answers have their verdict, whatever is around it', () => {
  const random = new Random(5, 'whole');
  for (let i = 0; i < 1000; i++) {
    const verdict = random.pick(VERDICTS);
    const { before, statement, after } = written(random, verdict);
    assert.equal(verdictOf(before + statement + after), verdict, before + statement + after);
  }
});

test('an answer that ends within its statement is none; two that differ are none', () => {
  const random = new Random(6, 'cut');
  for (let i = 0; i < 2000; i++) {
    const { before, statement, after } = written(random, 'success');
    // the last letter of a text's word may be followed by a full stop
    const end = statement.startsWith('**') ? statement.length - 1 : statement.length;
    const cut = before + statement.slice(0, random.int(end));
    assert.equal(verdictOf(cut), undefined, cut);
    const other = written(random, 'failure');
    const both = `${before}${statement}${after.replace('<|im_end|>', '')}\n${other.statement}\n`;
    assert.equal(verdictOf(both), undefined, both);
  }
});

const ALPHABET = [
  ...'{}[]"\'\\:，：*_`\n success failure',
  'Status: ',
  '<think>',
  '</think>',
  '"status": ',
  '\u0000',
  '😀',
];

test('damaged answers are verdicts that they state, or none', () => {
  const random = new Random(7, 'mutated');
  let valid = 0;
  for (let i = 0; i < 10_000; i++) {
    const { before, statement, after } = written(random, random.pick(VERDICTS));
    let text = before + statement + after;
    for (let times = random.int(4); times >= 0; times--) {
      const [from, to] = [random.int(text.length + 1), random.int(text.length + 1)].sort((a, b) => a - b);
      const [start, middle, end] = [text.slice(0, from), text.slice(from, to), text.slice(to)];
      text = random.pick([
        start + end,
        start + middle + middle + end,
        start + random.pick(ALPHABET) + middle + end,
        middle,
        start + middle.toUpperCase() + end,
      ]);
    }
    const verdict = verdictOf(text);
    if (verdict === undefined) continue;
    valid++;
    const stated = new RegExp(`status["'*_\`]*\\s*[:：][\\s"'*_\`]*${verdict}`, 'i');
    assert.match(withoutThoughts(text), stated);
  }
  assert.ok(valid > 500, String(valid));
});
