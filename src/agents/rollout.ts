import { setMaxListeners } from 'node:events';
import { endsEpisode, type Action } from '../data/action.js';
import type { Device } from '../devices/device.js';
import type { Task } from '../data/task.js';
import type { Frame } from '../data/formats/frame.js';
import { DeviceFault, RecordingFailed } from '../devices/pool/guard.js';
import type { Lease } from '../devices/pool/lease.js';
import type { DevicePool } from '../devices/pool/pool.js';
import type { Episode, EpisodeFault, EpisodeStep } from '../data/store/journal.js';
import { RunError } from '../errors.js';
import { overall, type EpisodeEnd, type Judge, type Verdict } from '../judges/judge.js';
import { policyPrompt } from './policy/prompt.js';

/** A step that an agent has done in this episode. */
export interface PastStep {
  readonly decision: Decision;
  /** what it saw; of the last steps alone, as many as `Agent.pastScreens` says */
  readonly frame?: Frame;
}

/** What an agent sees before it acts. */
export interface Observation {
  /** names the random stream of this decision, so that it does not depend on what is batched with it */
  readonly key: string;
  readonly task: Task;
  /** text of the action before, '' at the first step */
  readonly previous: string;
  readonly frame: Frame;
  /** the frame before this one; the first step repeats its own (docs/algorithms.md §0) */
  readonly previousFrame: Frame;
  /** the steps of this episode so far, the first one first */
  readonly history: readonly PastStep[];
  /** aborted where the decision is no longer wanted */
  readonly signal: AbortSignal;
  /** the device itself, for demonstrators that look at its state; learned agents never do */
  readonly device: Device;
}

/** What an agent does: the text it wrote, and the action it means (none if the text is not a valid action). */
export interface Decision {
  readonly text: string;
  readonly action?: Action;
  /** image vector of the frame, if the agent made one */
  readonly vector?: Float32Array;
  /** what a served agent answered, in full */
  readonly said?: string;
  /** what its answer wants done in the steps after this one, without another question */
  readonly rest?: readonly Action[];
  /** version of the policy that decided, where it is trained meanwhile */
  readonly version?: number;
}

/** An agent cannot go on with an episode, and would not the next time either: the episode is lost, and the others go on. */
export class EpisodeRefused extends RunError {
  override name = 'EpisodeRefused';
}

export interface Agent {
  /** screens of past steps that it wants to see again (`Observation.history`) @default 0 */
  readonly pastScreens?: number;
  /** @throws EpisodeRefused; anything else ends the whole rollout */
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
  /** the device's own recording, where it was asked for and could be made: the bytes of a video file */
  readonly film?: Uint8Array;
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
  /** let devices that can film their screens do so @default false */
  readonly film?: boolean;
  /** told of a recording that failed; the episode goes on */
  readonly onFilmFailed?: (failure: RecordingFailed) => void;
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
    // one episode is judged while the next is played, where the judge can do without the device
    let ending: Promise<void> = Promise.resolve();
    try {
      for (let next = queue.next(); !next.done && !stop.signal.aborted; next = queue.next()) {
        const plan = next.value;
        const result = await repeatEpisode(plan, options, stop.signal);
        await ending;
        if (typeof result === 'function') {
          ending = result().then(async (rollout) => {
            done.set(plan.episode, rollout);
            await options.onEpisode?.(rollout);
          });
          // known at once, and thrown where it is awaited
          ending.catch((error: unknown) => stop.abort(error));
        } else {
          lost.set(plan.episode, result);
          await options.onLost?.(result);
        }
        if (!judgedLater(options.judge)) await ending;
      }
    } finally {
      await ending;
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

/** Whether the judge is asked when the device is already at the next episode. */
function judgedLater({ byScreens, asked }: Judge): boolean {
  return byScreens === true && asked !== 'step';
}

/** An episode, begun anew after every fault of a device, as often as `attempts` allows. @returns what judges it, or its loss */
async function repeatEpisode(
  plan: EpisodePlan,
  options: RolloutOptions,
  signal: AbortSignal,
): Promise<(() => Promise<Rollout>) | LostEpisode> {
  const { pool, attempts = 3 } = options;
  const faults: EpisodeFault[] = [];
  while (faults.length < attempts) {
    const lease = await pool.lease({ signal });
    const begun = { steps: 0 };
    try {
      const end = await runEpisode(lease, plan, options, { signal, begun });
      lease.release('fine');
      return async () => {
        const result = await end();
        return faults.length === 0 ? result : { ...result, episode: { ...result.episode, faults } };
      };
    } catch (error) {
      lease.release(error instanceof DeviceFault ? 'faulty' : 'fine');
      signal.throwIfAborted();
      if (error instanceof EpisodeRefused) {
        faults.push({ device: lease.device.id, call: 'agent', step: begun.steps, reason: error.message });
        break;
      }
      if (!(error instanceof DeviceFault)) throw error;
      const { device, call, reason } = error;
      faults.push({ device, call, step: begun.steps, ...(call === 'act' ? { applied: 'unknown' } : {}), reason });
    }
  }
  return { episode: plan.episode, task: plan.task.id, faults };
}

/**
 * One attempt.
 * @param begun told how far it has come
 * @returns what remains when the device is no longer needed
 * @throws DeviceFault where the device fails; EpisodeRefused
 */
async function runEpisode(
  lease: Lease,
  plan: EpisodePlan,
  options: RolloutOptions,
  { signal, begun }: { signal: AbortSignal; begun: { steps: number } },
): Promise<() => Promise<Rollout>> {
  const { device, unguarded } = lease;
  const { agent, judge, maxSteps, deadlineMs, keep } = options;
  const { task, seed } = plan;
  const deadline = { deadlineMs };
  const store = (frame: Frame) => (keep ? keep(frame) : Promise.resolve(''));
  await device.reset('app', { task, seed, deadlineMs });
  const filming = options.film === true && device.startRecording !== undefined;
  const started = filming && (await unlessItFails(options, () => device.startRecording!(deadline).then(() => true)));
  // of a judge that is asked after each step, all of them; else the one at the end
  const verdicts: Verdict[] = [];
  const ask = async (judged: EpisodeEnd['device'], completed: boolean): Promise<Verdict> => {
    const before = verdicts.at(-1);
    verdicts.push(await judge.judge({ device: judged, task, frame, previousFrame, completed, before, signal }));
    return verdicts.at(-1)!;
  };
  // a task with an end of its own is not waiting to be declared done
  const completed = (): boolean => last?.type === 'STATUS_TASK_COMPLETE' || (device.over?.() ?? false);
  const steps: (Omit<EpisodeStep, 'image'> & { image: Promise<string>; vector?: Float32Array })[] = [];
  const history: PastStep[] = [];
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
    const seen = { key, task, previous, frame, previousFrame, history, signal, device: unguarded };
    const decision = await lease.during(agent.act(seen));
    remember(history, { decision, frame }, agent.pastScreens ?? 0);
    const applied = decision.action ? (await device.act(decision.action, deadline)).applied : 'no';
    const prompt = policyPrompt(task.text, previous);
    const { said, version } = decision;
    steps.push({
      prompt,
      action: decision.text,
      applied,
      ...(said === undefined ? {} : { said }),
      ...(version === undefined ? {} : { version }),
      image,
      vector: decision.vector,
    });
    begun.steps = steps.length;
    last = decision.action;
    ended = (last !== undefined && endsEpisode(last)) || (device.over?.() ?? false);
    previous = decision.text;
    previousFrame = frame;
    frame = await device.screenshot(deadline);
    if (judge.asked === 'step' && (await lease.during(ask(device, completed()))) === 'success') ended = true;
  }
  const finalImage = await store(frame);
  const film = started && (await unlessItFails(options, () => device.stopRecording!(deadline)));
  if (judgedLater(judge)) {
    const [end, { id }] = [completed(), device];
    return async () => {
      await ask({ id }, end);
      return result();
    };
  }
  if (judge.asked !== 'step') await lease.during(ask(device, completed()));
  return result;

  async function result(): Promise<Rollout> {
    const verdict = overall(verdicts);
    const vectors = new Map<string, Float32Array>();
    const kept: EpisodeStep[] = [];
    for (const { image, vector, ...step } of steps) {
      const id = await image;
      kept.push({ image: id, ...step });
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
    return { episode, verdict, vectors, ...(film ? { film } : {}) };
  }
}

/** Adds a step to the history, which keeps the screens of its last `screens` steps. */
function remember(history: PastStep[], step: PastStep, screens: number): void {
  history.push(step);
  const old = history.length - 1 - screens;
  if (old >= 0) history[old] = { decision: history[old].decision };
}

/** What comes of recording; undefined, after it is told, where that failed. */
async function unlessItFails<T>({ onFilmFailed }: RolloutOptions, record: () => Promise<T>): Promise<T | undefined> {
  try {
    return await record();
  } catch (error) {
    if (!(error instanceof RecordingFailed)) throw error;
    onFilmFailed?.(error);
    return undefined;
  }
}
