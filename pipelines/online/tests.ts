import { join } from 'node:path';
import type { Agent } from '../../src/agents/rollout.js';
import { rollout } from '../../src/agents/rollout.js';
import { Journal, type Episode } from '../../src/data/store/journal.js';
import { Random } from '../../src/random.js';
import { episodeId, rolloutOptions } from '../episodes/episodes.js';
import type { LiveOptions } from './episodes.js';
import { tasksOf } from '../episodes/tasks.js';

/** Result of an evaluation. */
export interface TestResult {
  /** number of judged episodes */
  readonly evaluated: number;
  readonly successes: number;
}

type Tried = Pick<Episode, 'episode'> & { readonly reward: number | null };

/**
 * Evaluates a policy on test tasks, with the same episodes each time, so that only the policy differs. Journalled, so that a
 * killed evaluation resumes.
 * @param label identifies the evaluation
 */
export async function evaluateOn(
  options: Pick<LiveOptions, 'ctx' | 'pool' | 'judge' | 'images'>,
  agent: Agent,
  label: string,
): Promise<TestResult> {
  const { ctx } = options;
  const { config, seed, settings } = ctx;
  const tasks = tasksOf(config, 'test', { seed: 0 });
  const journal = Journal.open<Tried>(join(ctx.scratch(), `test-${label}.jsonl`));
  const plans = Array.from({ length: settings.eval_episodes }, (_, n) => ({
    episode: episodeId(n),
    task: tasks[n % tasks.length],
    seed: new Random(seed, 'online', 'test', n).int(2 ** 31),
  })).filter(({ episode }) => !journal.has(episode));
  await rollout({
    ...rolloutOptions(ctx, { ...options, agent }),
    // no screens are stored: nothing reads them
    keep: undefined,
    episodes: plans,
    onEpisode: async ({ episode: { episode, reward }, verdict }) => {
      await journal.append({ episode, reward: verdict === 'unknown' ? null : reward });
    },
    onLost: async ({ episode }) => {
      await journal.append({ episode, reward: null });
    },
  });
  const judged = journal.episodes.filter(({ reward }) => reward !== null);
  return { evaluated: judged.length, successes: judged.filter(({ reward }) => reward! > 0).length };
}
