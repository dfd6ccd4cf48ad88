/** The report compares two policies at each temperature at which both were evaluated, and says where the first is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wilson95 } from '../../src/data/interval.js';
import { pairedTest } from '../../src/data/paired.js';
import type { Evaluation } from '../../src/report/evaluations.js';
import type { Report } from '../../src/report/report.js';
import { successMarkup } from '../../src/report/success.js';

function evaluation(policy: string, temperature: number, successes: number): Evaluation {
  return {
    policy,
    split: 'test',
    protocol: 'all',
    mode: temperature === 0 ? 'greedy' : 'sampled',
    temperature,
    judge: 'state',
    unknown: [],
    lost: [],
    mean_steps: 1,
    families: {},
    episodes: 100,
    successes,
    rate: successes / 100,
    ci95: wilson95(successes, 100),
  };
}

function text(evaluations: Readonly<Record<string, Evaluation>>): string {
  const pair = {
    before: 'base-test',
    after: 'digiq-test',
    ...pairedTest({ both: 30, neither: 20, gained: 48, lost: 2 }),
  };
  const report: Partial<Report> = {
    run: 'a',
    seed: 0,
    evaluations: new Map(Object.entries(evaluations)),
    compare: ['base-test', 'digiq-test'],
    comparison: { found: { pair, example: { missing: '' } } },
    pairs: [pair, { ...pair, before: 'base-test-greedy', after: 'digiq-test-greedy', difference: 0.09 }],
    policies: [],
    embedded: false,
  };
  return successMarkup(report as Report)
    .text.replace(/<[^>]*>/g, ' ')
    .replace(/[\s\u00a0]+/g, ' ');
}

const sampled = { 'base-test': evaluation('base', 1, 32), 'digiq-test': evaluation('digiq', 1, 78) };

test('both policies at the same temperatures, with paired differences', () => {
  const greedy = { 'base-test-greedy': evaluation('base', 0, 88), 'digiq-test-greedy': evaluation('digiq', 0, 97) };
  const shown = text({ ...sampled, ...greedy });
  assert.match(shown, /By temperature/);
  assert.match(shown, /test tasks, temperature 1 32\.0 % 78\.0 % \+46\.0/);
  assert.match(shown, /test tasks, greedy 88\.0 % 97\.0 % \+9\.0/);
  assert.doesNotMatch(shown, /was not evaluated/);
});

test('it says when there is one temperature alone, and where the untrained policy is missing', () => {
  const shown = text({ ...sampled, 'digiq-test-greedy': evaluation('digiq', 0, 97) });
  assert.match(shown, /compared at one temperature alone/);
  assert.match(shown, /base was not evaluated on test tasks, greedy/);
});
