import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from '../../rigs/judge/soak.js';

test('labels survive busy and broken servers, wrong answers, a spent budget and kill -9', async (t) => {
  const { labels, requests, kills, budgetStops } = await soak(t, { episodes: 40, kills: 3, budgets: 2 });
  assert.ok(labels > 150 && requests > labels, `${labels} labels, ${requests} requests`);
  assert.deepEqual([kills, budgetStops], [3, 2]);
});

test('without a kill nothing at all is paid twice', async (t) => {
  const { paidTwice, budgetStops } = await soak(t, { episodes: 12, kills: 0, budgets: 1 });
  assert.deepEqual([paidTwice, budgetStops], [0, 1]);
});
