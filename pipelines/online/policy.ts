import { isValidAction } from '../../src/agents/grammar.js';
import {
  imitationBucket,
  imitationFeeds,
  imitationGraph,
  type ImitationBucket,
} from '../../src/agents/policy/imitation.js';
import type { Policy } from '../../src/agents/policy/policy.js';
import { entropyBonus, withBonus } from '../../src/algorithms/coso.js';
import { curriculum, filteredImitation, keptSteps } from '../../src/algorithms/digirl.js';
import { imitated } from '../../src/algorithms/filteredbc.js';
import { MinibatchSampler } from '../../src/data/replay.js';
import { clippedAdamW, input, mean, mul, sum, Trainer } from '../../src/graph/index.js';
import { entropy, logProb } from '../../src/models/autoui/autoui.js';
import type { ShardContext } from '../../src/runner/stage.js';
import type { CausalLearner } from './causal.js';
import type { OnlineStep, OnlineTrajectory } from './replay.js';
import type { ScreenVectors } from './screens.js';
import type { Online } from './settings.js';
import type { ValueLearner } from './values.js';
import { runtimeOf } from '../resources.js';
import { lanesOf, microBatches } from '../training/training.js';

/** Maximum number of texts cached as tokens; the same texts recur often. */
const REMEMBERED = 100_000;

/** A step of a picked trajectory, and whether it is imitated. */
export interface OnlineLesson extends OnlineStep {
  readonly kept: boolean;
}

/**
 * The lessons of the policy: the valid actions of the trajectories that the algorithm picks, and which of them are imitated.
 * Invalid actions are left out of both the log-probabilities and the advantages (the released code leaves them out of the
 * log-probabilities only).
 */
export async function lessonsOf(
  trajectories: readonly OnlineTrajectory[],
  values: ValueLearner | undefined,
  settings: Online,
  { offline, horizon }: { offline: boolean; horizon: number },
): Promise<OnlineLesson[]> {
  const { algorithm, digirl } = settings;
  if (algorithm === 'filteredbc' || !values) {
    const good = imitated(new Map(trajectories.map(({ id, reward }) => [id, reward])), settings.filteredbc);
    return valid(trajectories.flatMap(({ id, steps }) => (good.has(id) ? steps.map(keeping(() => true)) : [])));
  }
  const by = offline ? digirl.offline_curriculum : digirl.curriculum;
  const instruction = by === 'instruction' ? await values.instructionValues(trajectories) : undefined;
  const picked = curriculum(
    trajectories.map(({ id, reward }, i) => ({ id, reward, instructionValue: instruction?.[i] ?? 0 })),
    by,
    digirl.top,
    digirl.ties,
  );
  const chosen = trajectories.filter(({ id }) => picked.has(id));
  const stepValues = await values.stepValues(chosen);
  return valid(
    chosen.flatMap(({ steps, rewards, returns }, i) => {
      const { values: own, last } = stepValues[i];
      const kept = keptSteps({ rewards, values: own, last }, returns, digirl, horizon);
      return steps.map(keeping((step) => kept[step]));
    }),
  );
}

function keeping(kept: (step: number) => boolean) {
  return (step: OnlineStep, i: number): OnlineLesson => ({ ...step, kept: kept(i) });
}

function valid(lessons: readonly OnlineLesson[]): OnlineLesson[] {
  return lessons.filter(({ action }) => isValidAction(action));
}

/** Trains the policy in place: imitation of the kept steps, plus the entropy bonus (docs/algorithms.md §3 and §4). */
export class PolicyLearner {
  readonly trainer: Trainer<ImitationBucket>;
  private readonly tokens = new Map<string, readonly number[]>();

  private constructor(
    private readonly ctx: ShardContext<Online>,
    private readonly policy: Policy,
    private readonly screens: ScreenVectors,
    private readonly causal: CausalLearner | undefined,
    runtime: Awaited<ReturnType<typeof runtimeOf>>,
  ) {
    const { settings } = ctx;
    const { config } = policy;
    this.trainer = new Trainer<ImitationBucket>({
      runtime,
      params: policy.params,
      lanes: lanesOf(ctx, settings.grad_accum_steps),
      optimizer: clippedAdamW(settings.max_grad_norm, settings.weight_decay),
      loss: (p, bucket) => {
        const { batch, action } = bucket;
        const { logits, labels, labelMask } = imitationGraph(p, config, bucket);
        const clamp = settings.log_prob_clamp ?? undefined;
        const logs = sum(logProb(logits, labels, labelMask, { clamp }), [1]);
        const entropies = entropy(logits);
        const weights = causal ? input('weights', [batch, action]) : undefined;
        const imitation = filteredImitation(logs, input('kept', [batch]));
        const bonus = entropyBonus(entropies, weights, labelMask);
        // fed only where the offline phase has no bonus: 1 where it counts
        const counts = settings.offline_entropy ? bonus : mul(bonus, input('bonus', []));
        return {
          loss: settings.entropy === 'none' ? imitation : withBonus(imitation, counts, settings.alpha),
          metrics: {
            imitation,
            log_prob: mean(logs),
            entropy: entropyBonus(entropies, undefined, labelMask),
            ...(causal ? { weighted_entropy: bonus } : {}),
          },
        };
      },
    });
  }

  /** @param causal computes the weights of tokens; undefined: equal weights */
  static async create(
    ctx: ShardContext<Online>,
    policy: Policy,
    screens: ScreenVectors,
    causal: CausalLearner | undefined,
  ): Promise<PolicyLearner> {
    return new PolicyLearner(ctx, policy, screens, causal, await runtimeOf(ctx));
  }

  /**
   * Trains on lessons drawn from these. @param bonus whether the entropy bonus counts
   * @returns mean metrics; empty if no lesson is imitated
   */
  async train(found: readonly OnlineLesson[], iteration: number, bonus = true): Promise<Record<string, number>> {
    const { ctx, policy, causal } = this;
    const { settings, seed } = ctx;
    if (this.tokens.size > REMEMBERED) this.tokens.clear();
    // the policy cannot generate longer actions
    const lessons = found.filter(({ action }) => this.encoded(action).length <= policy.maxTokens + 1);
    if (!lessons.some(({ kept }) => kept)) return {};
    await causal?.prepare(lessons.map(({ action }) => action));
    const { batch_size: batch, grad_accum_steps: accumulate, actor_steps: steps } = settings;
    const sampler = new MinibatchSampler(lessons.length, batch, seed, `online policy ${iteration}`);
    const sums: Record<string, number> = {};
    for (let step = 0; step < steps; step++) {
      ctx.signal.throwIfAborted();
      const measured = await microBatches(step, accumulate, async (micro) => {
        const rows = [...sampler.indices(micro)].map((row) => lessons[row]);
        const { bucket, feeds } = this.batch(rows, bonus);
        const out = await this.trainer.accumulate(bucket, feeds);
        return Object.fromEntries(Object.entries(out).map(([name, value]) => [name, Number(value[0])]));
      });
      const { gradNorm } = await this.trainer.apply(settings.lr, accumulate);
      for (const [name, value] of Object.entries({ ...measured, grad_norm: gradNorm }))
        sums[name] = (sums[name] ?? 0) + value / steps;
    }
    return { ...sums, lessons: lessons.length, kept: lessons.filter(({ kept }) => kept).length };
  }

  close(): void {
    this.trainer.close();
  }

  private batch(rows: readonly OnlineLesson[], bonus: boolean) {
    const { policy, screens, causal } = this;
    const { settings } = this.ctx;
    const { tokenizer, config } = policy;
    const [read, written] = [
      rows.map(({ prompt }) => this.encoded(prompt)),
      rows.map(({ action }) => this.encoded(action)),
    ];
    const bucket = imitationBucket(read, written);
    const image = new Float32Array(rows.length * config.image);
    const weights = new Float32Array(causal ? rows.length * bucket.action : 0);
    rows.forEach((row, i) => {
      screens.read(row.image, image, i * config.image);
      if (causal) weights.set(causal.weights(row.action), i * bucket.action);
    });
    const feeds = {
      ...imitationFeeds(read, written, bucket, tokenizer.pad),
      image,
      kept: Float32Array.from(rows, ({ kept }) => (kept ? 1 : 0)),
      ...(causal ? { weights } : {}),
      ...(settings.entropy === 'none' || settings.offline_entropy ? {} : { bonus: Float32Array.of(bonus ? 1 : 0) }),
    };
    return { bucket, feeds };
  }

  private encoded(text: string): readonly number[] {
    let ids = this.tokens.get(text);
    if (!ids) {
      ids = this.policy.tokenizer.encode(text);
      this.tokens.set(text, ids);
    }
    return ids;
  }
}
