// @ts-check
/** A stage of your own: how often each type of action is taken, and how often the episodes that take it succeed. */
import { join } from 'node:path';
import { column, definePlugin, FILES, readTable, shardIds, stage, TRANSITIONS, writeTable, z } from 'critiq';

/** @type {import('critiq').TableKind<{ family: string, type: string, steps: number, successes: number }>} */
const RATES = {
  name: 'action rates',
  version: 1,
  columns: {
    family: column('string', 'kind of task; `all` where the setting by_family is off'),
    type: column('string', 'type of the action, `invalid` where the text is not an action'),
    steps: column('int32', 'steps that took such an action'),
    successes: column('int32', 'of these, steps of trajectories that succeeded'),
  },
};

const actionRates = stage({
  // the command `critiq action_rates`, and the section of the settings
  name: 'action_rates',
  summary: 'count actions and successes by type',
  settings: z.object({
    by_family: z.boolean().default(false).describe('count each family of tasks apart'),
  }),
  // missing inputs are built first; a changed input makes the shards that read it outdated
  inputs: () => ['trajectories'],
  outputs: () => ['action-rates'],
  // one shard for each shard of the trajectories, so that only what changed is rebuilt
  plan: async (ctx) =>
    (await shardIds(ctx.dataset('trajectories'), 'collect')).map((id) => ({ id, inputs: { trajectories: [id] } })),
  run: async (shard, ctx) => {
    const file = join(ctx.dataset('trajectories'), FILES.transitions(shard.id));
    const rows = new Map();
    for (const step of await readTable(file, TRANSITIONS, { columns: ['family', 'action', 'trajectoryReward'] })) {
      const family = ctx.settings.by_family ? step.family : 'all';
      const type = /"action_type": "([A-Z_]+)"/.exec(step.action)?.[1] ?? 'invalid';
      const row = rows.get(`${family} ${type}`) ?? { family, type, steps: 0, successes: 0 };
      row.steps += 1;
      if (step.trajectoryReward > 0) row.successes += 1;
      rows.set(`${family} ${type}`, row);
    }
    const name = `rates-${shard.id}.parquet`;
    await writeTable(join(ctx.dataset('action-rates'), name), RATES, rows.values());
    return [name];
  },
});

export default definePlugin({ name: 'action-rates', stages: [actionRates] });
