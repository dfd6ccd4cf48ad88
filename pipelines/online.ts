import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { actionColumns } from '../src/agents/action-columns.js';
import { OnlineAgent } from '../src/agents/policy/online-agent.js';
import { PolicyAgent } from '../src/agents/policy/policy-agent.js';
import { Policy, policyFiles, saveTrained } from '../src/agents/policy/policy.js';
import { truncationOf } from '../src/agents/policy/truncation.js';
import { counted } from '../src/counted.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import type { ImageStore } from '../src/data/images.js';
import { CURVE, ONLINE_STEPS, TOKEN_INFLUENCE, type CurveRow, type InfluenceRow } from '../src/data/online-tables.js';
import { copyWhole } from '../src/data/store/file.js';
import { writeTable } from '../src/data/tables.js';
import { TRANSITIONS, toTransitions } from '../src/data/transitions.js';
import type { DevicePool } from '../src/devices/pool/pool.js';
import { UserError } from '../src/errors.js';
import type { Judge } from '../src/judges/judge.js';
import { Random } from '../src/random.js';
import { policySet } from '../src/runner/reference.js';
import { stage, type DatasetOutput, type ShardContext } from '../src/runner/stage.js';
import { Checkpoints } from './training/checkpoints.js';
import { tokenizerDataset } from './training/critic-text.js';
import { keepsState } from './training/training.js';
import { FILES, filesOf, readTransitions } from './datasets.js';
import { deviceInfluence } from './episodes/devices.js';
import { outOfOrder, tellEvent } from './episodes/episode-faults.js';
import { STEPS } from './episodes/episodes.js';
import { judgeFingerprint, judgeOf, judgeSummary } from './episodes/judge.js';
import { LiveEpisodes, type OnlineEpisode } from './online/episodes.js';
import { OnlineLearner } from './online/learner.js';
import { ofEpisode, ofTransitions, type OnlineTrajectory } from './online/replay.js';
import { ScreenVectors } from './online/screens.js';
import { countsOf, iterationsOf, Online, onlineName } from './online/settings.js';
import { evaluateOn } from './online/tests.js';
import { Recorder } from './episodes/recordings.js';
import { cachesOf, imagesOf, modelsOf, openPool, runtimeOf } from './resources.js';
import { tasksOf } from './episodes/tasks.js';
import { checkImportedWidth } from './widths.js';

const collected = (settings: Online) => iterationsOf(settings).offline > 0;

/** Fine-tuning on live devices (docs/algorithms.md §3 and §4): DigiRL or Filtered BC, with no, a naive or CoSo's entropy bonus. */
export const online = stage({
  name: 'online',
  summary: 'fine-tune a policy on live devices (DigiRL, Filtered BC, CoSo)',
  settings: Online,
  counts: countsOf,
  growth: 'training',
  startsOver: ({ async_rollouts }): Record<string, string> =>
    async_rollouts ? { iterations: 'with async_rollouts the episodes depend on timing' } : {},
  uses: ['seed', 'tasks', 'models.text'],
  derived: (config) => ({ ...deviceInfluence(config), ...judgeFingerprint(config) }),
  results: { sections: ['device', 'judge', 'recordings'] },
  workers: () => 1,
  instance: (settings) => `online/${onlineName(settings)}`,
  inputs: (settings, config) => {
    const tokenizer = tokenizerDataset(settings, modelsOf(config));
    const policy = policySet(settings.from);
    return [
      policy,
      ...(collected(settings) ? ['trajectories', 'image-vectors'] : []),
      ...(tokenizer === undefined || tokenizer === policy ? [] : [tokenizer]),
    ];
  },
  outputs: (settings) =>
    settings.mode === 'eval'
      ? [`online/${onlineName(settings)}`]
      : [`policy/${onlineName(settings)}`, `online/${onlineName(settings)}`],
  provides: (dataset, config) => {
    // the evaluated policy exists, and its plan records how it was built
    if ((config.online as Online).mode === 'eval') return undefined;
    const entropy = { 'policy/digirl': 'none', 'policy/naive': 'naive', 'policy/coso': 'causal' }[dataset];
    if (entropy === undefined) return undefined;
    return { 'online.entropy': entropy, 'online.algorithm': 'digirl', 'online.name': '' };
  },
  check: async (settings, config, dataset) => {
    if (collected(settings)) await checkImportedWidth(config, dataset, policySet(settings.from));
  },
  plan: ({ settings }) => {
    const [count] = countsOf(settings);
    return [{ id: 'online', ...(count ? { extent: { iterations: settings[count] } } : {}) }];
  },
  run: async (_shard, ctx) => {
    const run = await OnlineRun.open(ctx);
    try {
      await run.iterate();
      return await run.write();
    } finally {
      await run.close();
    }
  },
  finish: async (ctx) => {
    const summary = await judgeSummary(ctx);
    if (summary) ctx.log.info(summary);
  },
});

/** Content of a checkpoint beside parameters and optimizers. */
interface Notes {
  readonly curve: readonly CurveRow[];
  readonly influence: readonly InfluenceRow[];
  readonly followed: readonly string[] | null;
  /** trajectories that were already too old to be imitated when they arrived */
  readonly stale: readonly string[];
}

/** What is kept of the end of a run, to go on from there. */
interface End extends Notes {
  /** the line of metrics that a longer run has here: without the evaluation that only the last iteration has */
  readonly line: Record<string, number>;
}

/** A run's journal of live episodes, in its scratch folder and among what is kept to go on. */
const JOURNAL = 'episodes.jsonl';

/** One run of the stage: iterations of live episodes, values, causal model and policy. */
class OnlineRun {
  private readonly checkpoints: Checkpoints;
  private curve: CurveRow[] = [];
  private influence: InfluenceRow[] = [];
  private stale = new Set<string>();
  private live: LiveEpisodes | undefined;
  private recorder: Recorder | undefined;

  private constructor(
    private readonly ctx: ShardContext<Online>,
    private readonly learner: OnlineLearner,
    private readonly screens: ScreenVectors,
    private readonly shared: { readonly pool: DevicePool; readonly judge: Judge; readonly images: ImageStore },
    /** acts with a copy of the policy, updated after each iteration */
    private readonly agent: OnlineAgent,
  ) {
    const { parameters, trainers } = learner;
    this.checkpoints = new Checkpoints(ctx.scratch(), { parameters, trainers });
  }

  static async open(ctx: ShardContext<Online>): Promise<OnlineRun> {
    const { settings, seed, config } = ctx;
    const load = async () => Policy.load(await runtimeOf(ctx), ctx.dataset(policySet(settings.from)), cachesOf(ctx));
    const [policy, acting] = [await load(), await load()];
    const images = await imagesOf(ctx);
    const screens = new ScreenVectors(images, policy);
    const learner = await OnlineLearner.create(ctx, policy, screens);
    const pool = openPool(config, Math.max(settings.rollout_size, settings.eval_episodes), {
      signal: ctx.signal,
      onEvent: (event) => tellEvent(ctx.log, event),
    });
    const agent = new OnlineAgent(
      acting,
      {
        seed: new Random(seed, 'online', 'agent').int(2 ** 31),
        temperature: settings.temperature,
        ...truncationOf(settings),
      },
      0,
    );
    return new OnlineRun(ctx, learner, screens, { pool, judge: await judgeOf(ctx), images }, agent);
  }

  /** Runs all remaining iterations. */
  async iterate(): Promise<void> {
    const { ctx, learner } = this;
    const { settings } = ctx;
    const { offline, live } = iterationsOf(settings);
    const collected = offline > 0 ? await this.collected() : [];
    learner.replay.add(collected);
    const progress = ctx.progress(offline + live, 'iterations');
    const recorder = await Recorder.open(ctx, `online/${onlineName(settings)}`);
    const shorter = this.checkpoints.exist ? undefined : ctx.priors[0]?.state;
    if (shorter !== undefined && existsSync(join(shorter, JOURNAL)) && !existsSync(join(ctx.scratch(), JOURNAL)))
      copyWhole(join(shorter, JOURNAL), join(ctx.scratch(), JOURNAL));
    const episodes = (this.live = this.openLive(live, recorder, (text) => progress.note(text)));
    this.recorder = recorder;
    const done = await this.restore(offline, episodes, shorter);
    progress.advance(done);
    if (done === 0 && this.curve.length === 0) await this.measure(0, 'start', []);
    for (let iteration = done; iteration < offline + live; iteration++) {
      ctx.signal.throwIfAborted();
      const phase = iteration < offline ? 'offline' : 'live';
      const fresh = phase === 'live' ? await episodes.take(iteration - offline) : [];
      this.takeIn(fresh, iteration);
      progress.note(`training on ${counted(learner.replay.trajectories.length, 'trajectory', 'trajectories')}`);
      const measured = await learner.learn(iteration, { offline: phase === 'offline', stale: this.stale });
      this.agent.publish(learner.policy.params, iteration + 1);
      await this.shared.images.sync();
      const point = await this.measure(iteration + 1, phase, fresh);
      ctx.metrics.write(iteration + 1, { ...measured, ...point });
      this.influence.push(...(await learner.influence(iteration + 1, phase)));
      if (iteration + 1 === offline + live) await this.keep(iteration + 1, { ...measured, ...point });
      await this.checkpoints.save(iteration + 1, this.notes);
      progress.advance();
    }
    progress.done();
    await recorder?.finish();
  }

  /** Writes the policy, the episodes it was trained on, and the curves. */
  async write(): Promise<Record<string, DatasetOutput>> {
    const { ctx, learner, curve, influence } = this;
    const { settings } = ctx;
    const name = onlineName(settings);
    const folder = ctx.dataset(`online/${name}`);
    const file = (of: string) => join(folder, of);
    const { offline, live } = iterationsOf(settings);
    const taken = this.live!.taken(live).flatMap((episodes, k) =>
      episodes.map((episode) => ({ ...episode, iteration: offline + k + 1 })),
    );
    const judged = taken.flatMap(({ trajectory, iteration }) => (trajectory ? [{ trajectory, iteration }] : []));
    const first = (n: number) => n * STEPS;
    await writeTable(
      file(FILES.transitions('live')),
      TRANSITIONS,
      judged.flatMap(({ trajectory }, n) =>
        toTransitions(trajectory, {
          firstTid: first(n),
          gamma: settings.digirl.gamma,
          policy: name,
          temperature: settings.temperature,
          parse: actionColumns,
        }),
      ),
      { mcReturn: `discount ${settings.digirl.gamma}` },
    );
    await writeTable(
      file(FILES.onlineSteps),
      ONLINE_STEPS,
      judged.flatMap(({ trajectory: { steps }, iteration }, n) =>
        steps.map(({ version = -1 }, step) => ({ tid: first(n) + step, iteration, version })),
      ),
    );
    await writeTable(file(FILES.curve), CURVE, curve);
    await writeTable(file(FILES.tokenInfluence), TOKEN_INFLUENCE, influence);
    const count = (outcome: OnlineEpisode['outcome']) => taken.filter((episode) => episode.outcome === outcome).length;
    const facts = {
      episodes: judged.length,
      successes: judged.filter(({ trajectory }) => trajectory.reward > 0).length,
      unknown: count('unknown'),
      lost: count('lost'),
      stale: this.stale.size,
    };
    const files = [FILES.transitions('live'), FILES.onlineSteps, FILES.curve, FILES.tokenInfluence];
    const output = { [`online/${name}`]: { files, facts } };
    if (settings.mode === 'eval') return output;
    const policy = ctx.dataset(`policy/${name}`);
    await saveTrained(policy, ctx.dataset(policySet(settings.from)), learner.policy, learner.policy.params);
    return { ...output, [`policy/${name}`]: { files: policyFiles(policy), facts: {} } };
  }

  async close(): Promise<void> {
    await this.live?.close();
    await this.recorder?.stop();
    await this.shared.pool.close();
    this.learner.close();
  }

  private openLive(iterations: number, recorder: Recorder | undefined, note: (text: string) => void): LiveEpisodes {
    const { ctx, screens, agent, shared } = this;
    const { settings, seed, config } = ctx;
    const total = iterations * settings.rollout_size;
    const tasks =
      total === 0
        ? []
        : tasksOf(config, 'train', { count: total, seed: new Random(seed, 'online', 'tasks').int(2 ** 31) });
    const live: LiveEpisodes = new LiveEpisodes({
      ctx,
      ...shared,
      agent,
      screens,
      task: (episode) => tasks[episode],
      seed: (episode) => new Random(seed, 'online', episode).int(2 ** 31),
      total,
      recorder,
      onEpisode: () => {
        const outages = outOfOrder(shared.pool);
        note(`${live.count} of ${total} episodes${outages === '' ? '' : `, ${outages}`}`);
      },
    });
    return live;
  }

  /** The collected or imported trajectories, with the vectors of their screens. @throws UserError if the vectors do not fit */
  private async collected(): Promise<OnlineTrajectory[]> {
    const { ctx, screens, learner } = this;
    const rows = await readTransitions(ctx.dataset('trajectories'), 'collect', [
      'trajectory',
      'task',
      'prompt',
      'action',
      'image',
      'prevImage',
      'nextImage',
      'nextPrompt',
      'reward',
      'trajectoryReward',
    ]);
    const vectors = ImageVectors.open(await filesOf(ctx.dataset('image-vectors'), 'collect'));
    try {
      const { image } = learner.policy.config;
      if (vectors.dim !== image) {
        throw new UserError(
          `online.from=${ctx.settings.from}: expects image vectors of ${image} numbers, but those of the collected trajectories have ${vectors.dim}; collect with a policy that has the same vision tower`,
        );
      }
      const final = ctx.settings.digirl.next_value === 'network';
      const needed = rows.flatMap(({ image: now, prevImage, nextImage }) => [
        now,
        prevImage,
        ...(final ? [nextImage] : []),
      ]);
      for (const id of new Set(needed)) {
        const vector = new Float32Array(vectors.dim);
        vectors.read(id, vector, 0);
        screens.add([[id, vector]]);
      }
    } finally {
      vectors.close();
    }
    return ofTransitions(rows, ctx.settings.digirl.gamma);
  }

  /** Adds the episodes of an iteration to the replay. */
  private takeIn(episodes: readonly OnlineEpisode[], version: number): void {
    const { digirl, max_age: most, async_rollouts: ahead } = this.ctx.settings;
    const fresh = episodes.flatMap(({ trajectory }) => (trajectory ? [ofEpisode(trajectory, digirl.gamma)] : []));
    for (const { id, steps } of fresh) {
      const oldest = Math.min(...steps.map((step) => step.version ?? version));
      if (ahead && version - oldest > most) this.stale.add(id);
    }
    this.learner.replay.add(fresh);
  }

  /** Adds a point to the curve, with an evaluation if one is due. @returns values for the metrics */
  private async measure(
    iteration: number,
    phase: string,
    fresh: readonly OnlineEpisode[],
  ): Promise<Record<string, number>> {
    const { ctx, shared, learner } = this;
    const { settings, seed } = ctx;
    const { offline, live } = iterationsOf(settings);
    const due = this.isDue(iteration);
    const last = iteration === offline + live && (settings.mode !== 'offline' || settings.eval_every > 0);
    const agent = () =>
      new PolicyAgent(learner.policy, {
        seed: new Random(seed, 'online', 'test agent').int(2 ** 31),
        temperature: settings.eval_temperature,
        ...truncationOf(settings),
      });
    const tested =
      due || last ? await evaluateOn({ ctx, ...shared }, agent(), String(iteration)) : { evaluated: 0, successes: 0 };
    const judged = fresh.flatMap(({ trajectory }) => (trajectory ? [trajectory] : []));
    const liveSuccesses = judged.filter(({ reward }) => reward > 0).length;
    const environmentSteps =
      (this.curve.at(-1)?.environmentSteps ?? 0) + judged.reduce((sum, { steps }) => sum + steps.length, 0);
    this.curve.push({ iteration, phase, environmentSteps, liveEpisodes: judged.length, liveSuccesses, ...tested });
    const { evaluated, successes } = tested;
    if (evaluated > 0) {
      ctx.log.info(
        `iteration ${iteration}: ${successes} of ${counted(evaluated, 'test episode')} succeeded (${((100 * successes) / evaluated).toFixed(1)} %) after ${counted(environmentSteps, 'device step')}`,
      );
    }
    return {
      environment_steps: environmentSteps,
      ...(judged.length > 0 ? { live_success: liveSuccesses / judged.length } : {}),
      ...(evaluated > 0 ? { test_success: successes / evaluated } : {}),
    };
  }

  private get notes(): Notes {
    return {
      curve: this.curve,
      influence: this.influence,
      followed: this.learner.followed ?? null,
      stale: [...this.stale],
    };
  }

  /** Keeps what a longer run needs to go on after the last iteration. */
  private async keep(iteration: number, { test_success, ...line }: Record<string, number>): Promise<void> {
    const { ctx, learner, notes } = this;
    if (!keepsState(ctx) || countsOf(ctx.settings).length === 0) return;
    const { parameters, trainers } = learner;
    const folder = ctx.keep();
    rmSync(folder, { recursive: true });
    mkdirSync(folder, { recursive: true });
    const journal = join(ctx.scratch(), JOURNAL);
    if (existsSync(journal)) copyWhole(journal, join(folder, JOURNAL));
    const tested = this.isDue(iteration);
    const curve = tested ? notes.curve : notes.curve.with(-1, { ...notes.curve.at(-1)!, evaluated: 0, successes: 0 });
    const end: End = { ...notes, curve, line: tested && test_success !== undefined ? { ...line, test_success } : line };
    await new Checkpoints(folder, { parameters, trainers }).save(iteration, end);
  }

  /** Whether an iteration has an evaluation, be it the last one or not. */
  private isDue(iteration: number): boolean {
    const { settings } = this.ctx;
    const { eval_every: every, mode } = settings;
    if (every === 0) return mode !== 'offline' && iteration === 0;
    return iteration % every === 0 || (mode !== 'offline' && iteration === iterationsOf(settings).offline);
  }

  /**
   * Resumes from the last checkpoint, or goes on from the end of a shorter run.
   * @param shorter the folder that it kept
   * @returns number of finished iterations
   */
  private async restore(offline: number, episodes: LiveEpisodes, shorter: string | undefined): Promise<number> {
    const { ctx, learner } = this;
    const { parameters, trainers } = learner;
    const kept = shorter === undefined ? this.checkpoints : new Checkpoints(shorter, { parameters, trainers });
    const found = await kept.restore();
    if (!found) return 0;
    const { step: done } = found;
    const notes = found.notes as Notes & Partial<End>;
    this.curve = [...notes.curve];
    this.influence = [...notes.influence];
    learner.followed = notes.followed ?? undefined;
    this.stale = new Set(notes.stale);
    for (const [k, fresh] of episodes.taken(Math.max(0, done - offline)).entries()) this.takeIn(fresh, offline + k);
    this.agent.publish(learner.policy.params, done);
    ctx.metrics.resume(notes.line ? done - 1 : done);
    if (notes.line) ctx.metrics.write(done, notes.line);
    if (shorter !== undefined) ctx.log.info(`going on from iteration ${done}, where the shorter run ended`);
    return done;
  }
}
