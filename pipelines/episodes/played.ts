import type { Task } from '../../src/data/task.js';
import { DEFAULT_SURPRISES, type Surprises } from '../../src/devices/phone/index.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { readPlan } from '../../src/runner/outputs.js';
import type { Config } from '../../src/settings/settings.js';
import { surprisesOf, type DeviceSettings } from '../sections.js';
import { tasksOf, type Split } from './tasks.js';

/** How the stages that play episodes choose their tasks and the seeds of their devices. */
export const DRAWS = {
  demos: {
    tasks: (seed: number): number => new Random(seed, 'demos').int(2 ** 31),
    device: (seed: number, episode: number): number => new Random(seed, 'demos', episode).int(2 ** 31),
  },
  collect: {
    tasks: (seed: number): number => new Random(seed, 'collect').int(2 ** 31),
    device: (seed: number, episode: number): number => new Random(seed, 'collect', episode).int(2 ** 31),
  },
  eval: {
    tasks: (seed: number): number => new Random(seed, 'eval').int(2 ** 31),
    // the same phones for every policy, so that all differences come from the policies
    device: (seed: number, episode: number, split: Split): number =>
      new Random(seed, 'eval', split, episode).int(2 ** 31),
  },
} as const;

/** The settings of an evaluation that choose its tasks. */
interface EvaluatedTasks {
  readonly split: Split;
  /** `distinct`: each text once */
  readonly protocol: string;
}

/** The tasks of an evaluation; episode e has task e, counted round. */
export function evalTasks(config: Config, { split, protocol }: EvaluatedTasks, seed: number): Task[] {
  const list = tasksOf(config, split, { seed: DRAWS.eval.tasks(seed) });
  if (protocol !== 'distinct') return list;
  const first = new Map<string, Task>();
  for (const task of list) if (!first.has(task.text)) first.set(task.text, task);
  return [...first.values()];
}

/** The task of an episode and the seed of its device: what a replay starts from. */
export interface PlayedEpisode {
  readonly task: Task;
  readonly seed: number;
  /** of the embedded phone @default the usual ones */
  readonly surprises?: Surprises;
}

/**
 * The episodes of a data set that was played on the embedded phone, by their numbers.
 * @param folder of `demos`, `trajectories` or an evaluation
 * @param instead what to do where they cannot be replayed
 * @throws UserError if they were not played there by a stage, and so cannot be replayed
 */
export function playedEpisodes(
  folder: string,
  config: Config,
  instead = 'rate its steps with label.from=outcome or label.from=judge (docs/labels.md)',
): (episode: number) => PlayedEpisode {
  const plan = readPlan(folder);
  const cannot = (why: string) =>
    new UserError(`${folder}: ${why}, so the state of the embedded phone is unknown; ${instead}`);
  if (plan === undefined || !Object.hasOwn(DRAWS, plan.stage)) throw cannot('was not played by critiq');
  const { settings, stage } = plan;
  const device = settings.device as { backend?: string; phone?: DeviceSettings['phone'] } | undefined;
  if (device !== undefined && device.backend !== 'phone') {
    const { backend = 'another device' } = device;
    throw cannot(`was played on device.backend=${backend}`);
  }
  const surprises = device?.phone ? surprisesOf({ phone: device.phone }) : DEFAULT_SURPRISES;
  const seed = Number(settings.seed);
  const kind = stage as keyof typeof DRAWS;
  const split = kind === 'eval' ? (settings.eval as { split: Split }).split : 'train';
  // the tasks of that time, on the embedded phone
  const then = {
    ...config,
    tasks: settings.tasks,
    device: { ...(config.device as object), backend: 'phone' },
  } as Config;
  const draw = (count: number) => tasksOf(then, 'train', { seed: DRAWS[kind].tasks(seed), count });
  let list = kind === 'eval' ? evalTasks(then, settings.eval as EvaluatedTasks, seed) : [];
  return (episode) => {
    // a longer list begins with a shorter one
    if (kind !== 'eval' && episode >= list.length) list = draw(2 * episode + 1);
    return { task: list[episode % list.length], seed: DRAWS[kind].device(seed, episode, split), surprises };
  };
}
