import { setMaxListeners } from 'node:events';
import { endsEpisode, type Action } from '../devices/action.js';
import type { Device, Frame, Task } from '../devices/device.js';
import { DeviceFault } from '../devices/guard.js';
import type { Lease } from '../devices/lease.js';
import type { DevicePool } from '../devices/pool.js';
import type { Episode, EpisodeFault, EpisodeStep } from '../data/journal.js';
import { overall, type Judge, type Verdict } from '../judges/judge.js';
import { policyPrompt } from './prompt.js';

/** What an agent sees before it acts. */
export interface Observation {
  /** names the random stream of this decision, so that it does not depend on what is batched with it */
  readonly key: string;
  readonly task: Task;
  /** text of the action before, '' at the first step */
  readonly previous: string;
  readonly frame: Frame;
  /** the frame before this one; the first step repeats its own (ALGORITHMS §0) */
  readonly previousFrame: Frame;
  /** the device itself, for demonstrators that look at its state; learned agents never do */
  readonly device: Device;
}

/** What an agent does: the text it wrote, and the action it means (none if the text is not a valid action). */
export interface Decision {
  readonly text: string;
  readonly action?: Action;
  /** image vector of the frame, if the agent made one */
  readonly vector?: Float32Array;
}

export interface Agent {
  act(observation: Observation): Promise<Decision>;
}

/** One episode to run: its name decides its place in the results, its seed everything random on the device. */
export interface EpisodePlan {
  readonly episode: string;
  readonly task: Task;
  readonly seed: number;
}

/** What came of one episode. */
export interface Rollout {
  /** as the journal keeps it; its reward is 1 where the verdict is a success */
  readonly episode: Episode;
  readonly verdict: Verdict;
  /** image vectors by the content id of the screenshot, where the agent makes them */
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

/** An episode of which no attempt came to its end: it says nothing of the policy and does not count. */
export interface LostEpisode {
  readonly episode: string;
  /** `Task.id` */
  readonly task: string;
  /** one for each attempt */
  readonly faults: readonly EpisodeFault[];
}

export interface RolloutOptions {
  /** lends the devices; as many episodes run at the same time as it has slots */
  readonly pool: DevicePool;
  readonly agent: Agent;
  readonly judge: Judge;
  readonly episodes: readonly EpisodePlan[];
  /** an episode ends after this many actions (10 for AitW General, 20 for Web Shopping) */
  readonly maxSteps: number;
  /** milliseconds for each call to a device */
  readonly deadlineMs: number;
  /** how often an episode is begun before it is lost @default 3 */
  readonly attempts?: number;
  /** stores a screenshot and names it by content; leave out to keep none */
  readonly keep?: (frame: Frame) => Promise<string>;
  readonly signal?: AbortSignal;
  readonly onEpisode?: (rollout: Rollout) => void | Promise<void>;
  readonly onLost?: (lost: LostEpisode) => void | Promise<void>;
}

/**
 * Run episodes on the devices of a pool. Episodes are begun in the order of the plan, each on whichever device is free, so a
 * slow or hung device delays only its own; which device runs which episode changes nothing in the results, which come in the
 * plan's order. Where a device fails, the attempt ends there and the episode is begun anew, from its seed, on another.
 * @throws what the agent, the judge or a callback throws, what `signal` is aborted with, and the RunError of a pool that
 * has nothing left, after all else has ended
 */
export async function rollout(options: RolloutOptions): Promise<{ rollouts: Rollout[]; lost: LostEpisode[] }> {
  const { pool, episodes, signal } = options;
  signal?.throwIfAborted();
  const done = new Map<string, Rollout>();
  const lost = new Map<string, LostEpisode>();
  // one shared iterator: every worker draws the next episode that nobody has taken
  const queue = episodes[Symbol.iterator]();
  const stop = new AbortController();
  // every lease listens, and whatever judges use
  setMaxListeners(0, stop.signal);
  const abort = (): void => stop.abort(signal!.reason);
  signal?.addEventListener('abort', abort, { once: true });
  const work = async (): Promise<void> => {
    for (let next = queue.next(); !next.done && !stop.signal.aborted; next = queue.next()) {
      const plan = next.value;
      const result = await repeatEpisode(plan, options, stop.signal);
      if ('verdict' in result) {
        done.set(plan.episode, result);
        await options.onEpisode?.(result);
      } else {
        lost.set(plan.episode, result);
        await options.onLost?.(result);
      }
    }
  };
  try {
    await Promise.all(
      Array.from({ length: Math.min(pool.count, episodes.length) }, () =>
        // the first failure stops the others; nothing of this rollout goes on after it has ended
        work().catch((error: unknown) => stop.abort(error)),
      ),
    );
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  stop.signal.throwIfAborted();
  const inOrder = <T>(found: Map<string, T>): T[] =>
    episodes.flatMap(({ episode }) => (found.has(episode) ? [found.get(episode)!] : []));
  return { rollouts: inOrder(done), lost: inOrder(lost) };
}

/** An episode, begun anew after every fault of a device, as often as `attempts` allows. */
async function repeatEpisode(
  plan: EpisodePlan,
  options: RolloutOptions,
  signal: AbortSignal,
): Promise<Rollout | LostEpisode> {
  const { pool, attempts = 3 } = options;
  const faults: EpisodeFault[] = [];
  while (faults.length < attempts) {
    const lease = await pool.lease({ signal });
    const begun = { steps: 0 };
    try {
      const result = await runEpisode(lease, plan, options, { signal, begun });
      lease.release('fine');
      return faults.length === 0 ? result : { ...result, episode: { ...result.episode, faults } };
    } catch (error) {
      lease.release(error instanceof DeviceFault ? 'faulty' : 'fine');
      signal.throwIfAborted();
      if (!(error instanceof DeviceFault)) throw error;
      const { device, call, reason } = error;
      faults.push({ device, call, step: begun.steps, ...(call === 'act' ? { applied: 'unknown' } : {}), reason });
    }
  }
  return { episode: plan.episode, task: plan.task.id, faults };
}

/** One attempt. @param begun told how far it has come. @throws DeviceFault where the device fails */
async function runEpisode(
  lease: Lease,
  plan: EpisodePlan,
  options: RolloutOptions,
  { signal, begun }: { signal: AbortSignal; begun: { steps: number } },
): Promise<Rollout> {
  const { device, unguarded } = lease;
  const { agent, judge, maxSteps, deadlineMs, keep } = options;
  const { task, seed } = plan;
  const deadline = { deadlineMs };
  const store = (frame: Frame) => (keep ? keep(frame) : Promise.resolve(''));
  await device.reset('app', { task, seed, deadlineMs });
  // of a judge that is asked after each step, all of them; else the one at the end
  const verdicts: Verdict[] = [];
  const ask = async (): Promise<Verdict> => {
    // a task with an end of its own is not waiting to be declared done
    const completed = last?.type === 'STATUS_TASK_COMPLETE' || (device.over?.() ?? false);
    const before = verdicts.at(-1);
    const judged = judge.judge({ device, task, frame, previousFrame, completed, before, signal });
    verdicts.push(await lease.during(judged));
    return verdicts.at(-1)!;
  };
  const steps: (Omit<EpisodeStep, 'image'> & { image: Promise<string>; vector?: Float32Array })[] = [];
  let previous = '';
  let frame = await device.screenshot(deadline);
  let previousFrame = frame;
  let last: Action | undefined;
  let ended = false;
  while (!ended && steps.length < maxSteps) {
    // not awaited here: the picture is encoded while the agent thinks
    const image = store(frame);
    image.catch(() => undefined); // reported where it is awaited
    const key = `${plan.episode}/${steps.length}`;
    const decision = await lease.during(agent.act({ key, task, previous, frame, previousFrame, device: unguarded }));
    const applied = decision.action ? (await device.act(decision.action, deadline)).applied : 'no';
    const prompt = policyPrompt(task.text, previous);
    steps.push({ prompt, action: decision.text, applied, image, vector: decision.vector });
    begun.steps = steps.length;
    last = decision.action;
    ended = (last !== undefined && endsEpisode(last)) || (device.over?.() ?? false);
    previous = decision.text;
    previousFrame = frame;
    frame = await device.screenshot(deadline);
    if (judge.asked === 'step' && (await ask()) === 'success') ended = true;
  }
  const finalImage = await store(frame);
  if (judge.asked !== 'step') await ask();
  const verdict = overall(verdicts);
  const vectors = new Map<string, Float32Array>();
  const kept: EpisodeStep[] = [];
  for (const { prompt, action, applied, image, vector } of steps) {
    const id = await image;
    kept.push({ image: id, prompt, action, applied });
    if (vector) vectors.set(id, vector);
  }
  const episode: Episode = {
    episode: plan.episode,
    task: task.id,
    family: task.family,
    goal: task.text,
    seed,
    steps: kept,
    finalImage,
    finalPrompt: policyPrompt(task.text, previous),
    reward: verdict === 'success' ? 1 : 0,
    truncated: !ended,
  };
  return { episode, verdict, vectors };
}
