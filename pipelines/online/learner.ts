import { parseAction } from '../../src/agents/grammar.js';
import type { Policy } from '../../src/agents/policy/policy.js';
import type { InfluenceRow } from '../../src/data/online-tables.js';
import type { Parameters, Trainer } from '../../src/graph/index.js';
import { bucketOf } from '../../src/models/buckets.js';
import type { ShardContext } from '../../src/runner/stage.js';
import { CausalLearner } from './causal.js';
import { lessonsOf, PolicyLearner } from './policy.js';
import { OnlineReplay, type OnlineTrajectory } from './replay.js';
import type { ScreenVectors } from './screens.js';
import { trainedIn, type Online } from './settings.js';
import { ValueLearner } from './values.js';
import type { TaskSettings } from '../sections.js';

/** Number of actions per type whose token weights are tracked during training. */
const FOLLOWED = 3;

/** Everything that is trained, and the replay. */
export class OnlineLearner {
  readonly replay: OnlineReplay;
  /** actions whose token weights are tracked; undefined until the causal model is first trained */
  followed: readonly string[] | undefined;

  private constructor(
    private readonly ctx: ShardContext<Online>,
    readonly policy: Policy,
    private readonly screens: ScreenVectors,
    private readonly values: ValueLearner | undefined,
    private readonly causal: CausalLearner | undefined,
    private readonly actor: PolicyLearner,
  ) {
    const { capacity, digirl } = ctx.settings;
    this.replay = new OnlineReplay(capacity, {
      rankAll: digirl.rank === 'all',
      final: digirl.next_value === 'network',
    });
  }

  static async create(ctx: ShardContext<Online>, policy: Policy, screens: ScreenVectors): Promise<OnlineLearner> {
    const { algorithm, entropy } = ctx.settings;
    const { tokenizer } = policy;
    const longest = bucketOf(policy.maxTokens + 1);
    const values = algorithm === 'digirl' ? await ValueLearner.create(ctx, screens) : undefined;
    const causal = entropy === 'causal' ? await CausalLearner.create(ctx, tokenizer, longest) : undefined;
    const actor = await PolicyLearner.create(ctx, policy, screens, causal);
    return new OnlineLearner(ctx, policy, screens, values, causal, actor);
  }

  /** Parameters for the checkpoint. */
  get parameters(): Record<string, Parameters> {
    const { policy, values, causal } = this;
    return {
      policy: policy.params,
      ...(values ? { values: values.params } : {}),
      ...(causal ? { causal: causal.params } : {}),
    };
  }

  get trainers(): Record<string, Pick<Trainer<never>, 'save' | 'load'>> {
    const { actor, values, causal } = this;
    return {
      'policy-optimizer': actor.trainer,
      ...(values
        ? {
            'step-values-optimizer': values.trainers.steps,
            'instruction-values-optimizer': values.trainers.instruction,
          }
        : {}),
      ...(causal ? { 'causal-optimizer': causal.trainer } : {}),
    };
  }

  /**
   * Runs one iteration of training on the replay: values, causal model, policy.
   * @param iteration counts from 0 over all phases
   * @param stale ids of trajectories that are too old to be imitated
   * @returns metrics
   */
  async learn(
    iteration: number,
    { offline, stale }: { readonly offline: boolean; readonly stale: ReadonlySet<string> },
  ): Promise<Record<string, number>> {
    const { ctx, replay, values, causal, actor } = this;
    const { settings } = ctx;
    const { trajectories } = replay;
    if (!trajectories.some(({ steps }) => steps.length > 0)) return {};
    await this.screens.keep(replay.screens());
    const trained = trainedIn(settings, iteration);
    const bonus = !offline || settings.offline_entropy;
    const measured: Record<string, number> = { ...(await values?.train(replay, iteration, trained)) };
    // its first training comes before everything else, even where its bonus does not count yet
    if (causal && (bonus || this.followed === undefined))
      Object.assign(measured, await this.learnCauses(causal, iteration));
    if (!trained.policy) return measured;
    const fresh = replay.ranked.filter(({ id, steps }) => !stale.has(id) && steps.length > 0);
    const horizon = (ctx.config.tasks as TaskSettings).max_steps;
    const found = await lessonsOf(fresh, values, settings, { offline, horizon });
    const lessons = settings.digirl.rank === 'all' ? found.slice(-settings.capacity) : found;
    return { ...measured, ...(await actor.train(lessons, iteration, bonus)) };
  }

  /** Token weights of the tracked actions by the current causal model. */
  async influence(iteration: number, phase: string): Promise<InfluenceRow[]> {
    const { causal, policy, followed } = this;
    if (!causal || !followed) return [];
    await causal.prepare(followed);
    return followed.map((action) => ({
      iteration,
      phase,
      action,
      tokens: policy.tokenizer.encode(action).map((id) => policy.tokenizer.decode([id])),
      weights: [...causal.weights(action)],
    }));
  }

  close(): void {
    this.actor.close();
    this.values?.close();
    this.causal?.close();
  }

  private async learnCauses(causal: CausalLearner, iteration: number): Promise<Record<string, number>> {
    const { coso } = this.ctx.settings;
    const actions = this.replay.trajectories.flatMap(({ steps }) => steps.map(({ action }) => action));
    const first = this.followed === undefined;
    this.followed ??= followedActions(this.replay.trajectories);
    return causal.train(actions, first ? coso.pretrain_rounds : coso.rounds, String(iteration));
  }
}

/** The most frequent valid actions of each type. */
function followedActions(trajectories: readonly OnlineTrajectory[]): string[] {
  const counts = new Map<string, number>();
  for (const { steps } of trajectories) {
    for (const { action } of steps) counts.set(action, (counts.get(action) ?? 0) + 1);
  }
  const byType = new Map<string, string[]>();
  for (const [action] of [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))) {
    const parsed = parseAction(action);
    if ('invalid' in parsed) continue;
    const { type } = parsed.action;
    const chosen = byType.get(type) ?? [];
    if (chosen.length < FOLLOWED) byType.set(type, [...chosen, action]);
  }
  return [...byType.values()].flat();
}
