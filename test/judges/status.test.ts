/** Which answers of a model are verdicts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WrongAnswer } from '../../src/net/json-server.js';
import { overall } from '../../src/judges/judge.js';
import { parseStatus } from '../../src/judges/status.js';

const GOOD: readonly [string, 'success' | 'failure', string][] = [
  ['Status: success', 'success', ''],
  [
    'Q: What?\nA: The shop. It shows the shop.\nStatus: failure\n',
    'failure',
    'Q: What?\nA: The shop. It shows the shop.',
  ],
  ['A: It is there. Status: "Success".', 'success', 'A: It is there.'],
  ['**Status:** failure', 'failure', '**'],
  ['status : `success`', 'success', ''],
  ['Status: success\n\nFinal status: success', 'success', ''],
  ['{"reasoning": "seen", "status": "failure"}', 'failure', 'seen'],
  ['```json\n{"status": "success"}\n```', 'success', ''],
  ['Here is my judgement:\n```json\n{"reasoning": "seen", "status": "success"}\n```\nThat is all.', 'success', 'seen'],
  ["{'reasoning': \"it's there\", 'status': 'failure',}", 'failure', "it's there"],
  ['{"reasoning": "Status: failure would be wrong", "status": "success"}', 'success', 'Status: failure would be wrong'],
  ['I looked at {this}. {"status": "success", "reasoning": "two\nlines"}', 'success', 'two\nlines'],
  ['{"status": "success", "reasoning": "seen"}\nStatus: success', 'success', 'seen'],
  ['A: 是的。\nStatus：success', 'success', 'A: 是的。'],
];

for (const [text, status, reasoning] of GOOD) {
  test(`${JSON.stringify(text)} is read as ${status}`, () =>
    assert.deepEqual(parseStatus(text), { status, reasoning }));
}

const BAD: readonly [string, RegExp][] = [
  ['', /without a status/],
  ['success', /without a status/],
  ['Status: maybe', /"maybe"/],
  ['Status:', /the status ""/],
  ['Status: success or failure', /"success or failure"/],
  ['Status: success, I think', /"success, I think"/],
  ['Status: successful', /"successful"/],
  ['Status: unknown', /"unknown"/],
  ['Status: success\nStatus: failure', /both/],
  ['{"reasoning": "seen", "status": "succ', /invalid JSON/],
  ['{"reasoning": "Status: success"}', /without a status/],
  ['{"status": true}', /the status true/],
  ['{"status": "success", "status": "failure"}', /invalid JSON/],
  ['{"reasoning": "Status: failure", "status": "success"}\nStatus: failure', /both/],
  ['So: {"reasoning": "seen", "status": "success"', /invalid JSON/],
  ['{"a":'.repeat(40_000), /invalid JSON/],
  ['{"status": "maybe"}', /"maybe"/],
  ['```json\n{"status": "success"', /invalid JSON/],
  ['{"status": "success"} {"status": "failure"}', /both/],
];

for (const [text, message] of BAD) {
  test(`${JSON.stringify(text).slice(0, 100)} is rejected`, () => {
    assert.throws(
      () => parseStatus(text),
      (error: unknown) => error instanceof WrongAnswer && message.test(error.message),
    );
  });
}

test('the overall verdict of an episode that was judged several times', () => {
  assert.equal(overall(['failure', 'unknown', 'success']), 'success');
  assert.equal(overall(['failure', 'unknown', 'failure']), 'unknown');
  assert.equal(overall(['failure', 'failure']), 'failure');
  assert.equal(overall([]), 'unknown');
});
