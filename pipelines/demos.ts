import { z } from 'zod';
import { formatAction } from '../src/agents/grammar.js';
import type { Agent } from '../src/agents/rollout.js';
import type { Device } from '../src/devices/device.js';
import { demonstrator, type Demonstrator, type Phone } from '../src/devices/phone/index.js';
import { stateJudge } from '../src/judges/state.js';
import { UserError } from '../src/errors.js';
import { Random } from '../src/random.js';
import { stage } from '../src/runner/stage.js';
import { deviceInfluence, deviceWorkers } from './episodes/devices.js';
import { collectShard, episodeShards } from './episodes/episodes.js';
import { DRAWS } from './episodes/played.js';
import type { DeviceSettings, TaskSettings } from './sections.js';
import { tasksOf } from './episodes/tasks.js';

export const Demos = z.object({
  episodes: z.int().min(1).default(600).describe('demonstrations to record'),
  noise: z
    .number()
    .min(0)
    .max(5)
    .default(1)
    .describe(
      'scales all errors of the demonstrator: wrong icons, near misses, typing errors, ignored banners, stopping too early',
    ),
  gaps: z
    .number()
    .min(0)
    .max(2)
    .default(1)
    .describe(
      'scales how many of the people of the hard sets lack a skill, such as sorting by price: with 1 a policy that imitates them fails at most of these tasks, also greedily; 0: nobody does. No effect on the other sets',
    )
    .meta({ added: true }),
  shard: z.int().min(1).default(200).describe('episodes per shard'),
});

/** Demonstrations by a scripted, imperfect person: what `sft` imitates. */
export const demos = stage({
  name: 'demos',
  summary: 'record demonstrations by a scripted, imperfect person',
  settings: Demos,
  uses: ['seed', 'tasks'],
  derived: deviceInfluence,
  counts: () => ['episodes'],
  workers: (_, config) => deviceWorkers(config),
  outputs: () => ['demos'],
  plan: ({ settings, config }) => {
    // here and not in `run`: a wrong backend must not remove the demonstrations of the right one
    const { backend } = config.device as DeviceSettings;
    if (backend !== 'phone') {
      throw new UserError(
        `device.backend=${backend}: demonstrations exist only for the embedded phone; run demos and sft with device.backend=phone, or name a policy with models.policy`,
      );
    }
    return episodeShards(settings.episodes, settings.shard);
  },
  run: async (shard, ctx) => {
    const { settings, seed } = ctx;
    const tasks = ctx.config.tasks as TaskSettings;
    const list = tasksOf(ctx.config, 'train', {
      count: settings.episodes,
      seed: DRAWS.demos.tasks(seed),
    });
    const person = demonstrator({
      noise: settings.noise,
      gaps: settings.gaps,
      grid: { rows: tasks.rows, columns: tasks.columns },
    });
    const people = new Map<Device, Demonstrator>();
    const agent: Agent = {
      act: async ({ device, key }) => {
        if (key.endsWith('/0')) people.set(device, person(new Random(seed, 'demonstrator', key)));
        const { action } = people.get(device)!.next(device as Phone);
        return { text: formatAction(action), action };
      },
    };
    return collectShard(shard, ctx, 'demos', {
      agent,
      actor: { policy: 'demonstrator', temperature: null },
      task: (episode) => list[episode],
      seed: (episode) => DRAWS.demos.device(seed, episode),
      gamma: 1,
      label: 'demonstrations',
      // demonstrations run on the embedded phone, which has a state
      judge: stateJudge(),
    });
  },
});
