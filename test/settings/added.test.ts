/** Settings that a later version added: at their default, results and plans of earlier versions are as they were. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { withRecorded } from '../../src/runner/registry.js';
import { composeSettings, type Config } from '../../src/settings/settings.js';
import { withoutAdded } from '../../src/settings/schema.js';

const Stage = z.object({
  lr: z.number().default(1),
  top_k: z.int().default(0).describe('added').meta({ added: true }),
  inner: z
    .object({ old: z.int().default(1), clip: z.number().nullable().default(null).meta({ added: true }) })
    .prefault({}),
  list: z.array(z.int()).default([1, 2]).meta({ added: true }),
});

test('at their default they are left out, at any depth; otherwise they count', () => {
  assert.deepEqual(withoutAdded(Stage, Stage.parse({})), { lr: 1, inner: { old: 1 } });
  assert.deepEqual(withoutAdded(Stage, Stage.parse({ top_k: 50, inner: { clip: 0.1 }, list: [2] })), {
    lr: 1,
    top_k: 50,
    inner: { old: 1, clip: 0.1 },
    list: [2],
  });
});

test('a recorded plan without them means their default, not the value of now', () => {
  const schema = composeSettings({ stage: Stage });
  const now = schema.parse({ stage: { lr: 3, top_k: 50, inner: { clip: 0.5 } } }) as Config;
  const plan = { stage: 'stage', instance: 'stage', shards: [], finished: true };
  const recorded = withRecorded(schema, now, { ...plan, settings: { stage: { lr: 2, inner: { old: 7 } } } });
  assert.deepEqual(recorded!.stage, { lr: 2, top_k: 0, inner: { old: 7, clip: null }, list: [1, 2] });
});
