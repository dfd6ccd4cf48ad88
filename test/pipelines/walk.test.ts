/** A short random walk over the real stages, like test/runner/walk.test.ts: nothing is lost, and all is as if made at once. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/random.js';
import { Output } from '../../src/runner/outputs.js';
import { covers, versionOf, type Version } from '../../src/runner/spare.js';
import { Trash } from '../../src/runner/trash.js';
import { files, run, withData, withPolicy } from '../rigs/tiny-runs.js';

const VALUES: Record<string, readonly (number | string)[]> = {
  'collect.episodes': [8, 5, 8, 11],
  'candidates.samples': [3, 3, 5],
  'vlm.epochs': [1],
  'critic.iterations': [2, 1, 3],
  'critic.lr': [0.001, 0.001, 0.002],
  'eval.episodes': [6, 4, 9],
};
/** What each stage writes, and the settings that decide it. */
const STAGES: Record<string, { sets: readonly string[]; by: readonly string[] }> = {
  candidates: {
    sets: ['trajectories', 'image-vectors', 'candidates'],
    by: ['collect.episodes', 'candidates.samples'],
  },
  critic: {
    sets: ['trajectories', 'candidates', 'vlm', 'representations', 'critic', 'values'],
    by: ['collect.episodes', 'candidates.samples', 'critic.iterations', 'critic.lr'],
  },
  eval: { sets: ['eval/base-test'], by: ['eval.episodes'] },
};
const SETS = [...new Set(Object.values(STAGES).flatMap(({ sets }) => sets))];

/** The versions of all shards in the data sets, aside and in the trash. */
function versions(run: string): { set: string; version: Version }[] {
  const lines = SETS.flatMap((set) => new Output(set, join(run, set)).all().map((line) => ({ set, line })));
  const spare = join(run, '.spare');
  for (const name of existsSync(spare) ? readdirSync(spare, { recursive: true, encoding: 'utf8' }) : []) {
    if (!name.endsWith('entry.json')) continue;
    const { lines: kept } = JSON.parse(readFileSync(join(spare, name), 'utf8')) as Version;
    // the data sets of a version are in the order of the stage's outputs
    const sets = name.startsWith('collect')
      ? ['trajectories', 'image-vectors']
      : name.startsWith('critic')
        ? ['critic', 'values']
        : undefined;
    const [instance] = name.split('/');
    const only = { represent: 'representations' }[instance] ?? instance.replace(',', '/');
    kept.forEach((line, i) => lines.push({ set: sets?.[i] ?? only, line }));
  }
  const trash = new Trash(run);
  for (const { id } of existsSync(join(run, '.trash')) ? trash.list() : []) {
    const entry = JSON.parse(readFileSync(join(run, '.trash', id, 'entry.json'), 'utf8')) as {
      sets: { name: string; lines: Version['lines'] }[];
    };
    for (const { name, lines: gone } of entry.sets) for (const line of gone) lines.push({ set: name, line });
  }
  return lines.map(({ set, line }) => ({ set, version: versionOf([line]) }));
}

test('a random walk over the real stages loses nothing, and every result is that of a run made at once', async (t) => {
  const data = await withData(t);
  const random = new Random(Number(process.env.CRITIQ_WALK_SEED ?? 7), 'real walk');
  const settings: Record<string, number | string> = Object.fromEntries(
    Object.entries(VALUES).map(([key, [value]]) => [key, value]),
  );
  const seen = new Map<string, { set: string; version: Version }>();
  const fresh = new Map<string, Record<string, string>>();
  const count = { done: 0, refused: 0, restored: 0 };
  for (let n = 0; n < Number(process.env.CRITIQ_WALK_STEPS ?? 12); n++) {
    const entries = existsSync(join(data, 'pocket/.trash')) ? new Trash(join(data, 'pocket')).list() : [];
    if (entries.length > 0 && random.chance(0.15)) {
      await new Trash(join(data, 'pocket')).restore(random.pick(entries).id);
      count.restored += 1;
    }
    for (const key of Object.keys(VALUES)) if (random.chance(0.35)) settings[key] = random.pick(VALUES[key]);
    const stage = random.pick(Object.keys(STAGES));
    const { sets, by } = STAGES[stage];
    const given = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
    try {
      await run(data, stage, given, { redo: random.chance(0.6) });
      count.done += 1;
      const key = JSON.stringify([stage, by.map((name) => settings[name])]);
      if (!fresh.has(key)) {
        const once = await withPolicy(t);
        await run(once, stage, given);
        fresh.set(key, files(once, ...sets));
      }
      assert.deepEqual(files(data, ...sets), fresh.get(key), `step ${n}: ${stage} ${given.join(' ')}`);
    } catch (error) {
      if ((error as Error).name !== 'UserError') throw error;
      assert.match((error as Error).message, /this would (rebuild|drop)/);
      count.refused += 1;
    }
    const there = versions(join(data, 'pocket'));
    for (const one of there) seen.set(`${one.set} ${one.version.id}`, one);
    for (const { set, version } of seen.values()) {
      const kept = there.some(
        (one) =>
          one.set === set &&
          (one.version.id === version.id ||
            // a longer version of the same shard with the same settings holds it
            (!/^(critic|values|vlm)$/.test(set) &&
              one.version.shard === version.shard &&
              one.version.lines[0].settings === version.lines[0].settings &&
              covers(one.version.extent, version.extent))),
      );
      assert.ok(kept, `step ${n}: ${set}: shard ${version.shard} with ${JSON.stringify(version.extent)} is gone`);
    }
  }
  t.diagnostic(JSON.stringify(count));
});
