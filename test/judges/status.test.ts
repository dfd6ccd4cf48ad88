/** What counts as a verdict in a model's answer, and what does not. */
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
];

for (const [text, status, reasoning] of GOOD) {
  test(`${JSON.stringify(text)} is a ${status}`, () => assert.deepEqual(parseStatus(text), { status, reasoning }));
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
  ['{"reasoning": "seen", "status": "succ', /half a JSON object/],
  ['{"reasoning": "Status: success"}', /without a status/],
  ['{"status": true}', /without a status/],
  ['{"status": "maybe"}', /"maybe"/],
  ['```json\n{"status": "success"', /half a JSON object/],
  ['{"status": "success"} {"status": "failure"}', /half a JSON object/],
];

for (const [text, message] of BAD) {
  test(`${JSON.stringify(text)} is no verdict`, () => {
    assert.throws(
      () => parseStatus(text),
      (error: unknown) => error instanceof WrongAnswer && message.test(error.message),
    );
  });
}

test('an episode of several judgements', () => {
  assert.equal(overall(['failure', 'unknown', 'success']), 'success');
  assert.equal(overall(['failure', 'unknown', 'failure']), 'unknown');
  assert.equal(overall(['failure', 'failure']), 'failure');
  assert.equal(overall([]), 'unknown');
});
