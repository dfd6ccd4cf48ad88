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

/** A past step of this episode. */
export interface PastStep {
  readonly decision: Decision;
  /** the screen before the decision; kept only for the last `Agent.pastScreens` steps */
  readonly frame?: Frame;
}

/** What an agent sees before it acts. */
export interface Observation {
  /** names the random stream of this decision, so that the rest of its batch does not influence it */
  readonly key: string;
  readonly task: Task;
  /** text of the previous action, '' at the first step */
  readonly previous: string;
  readonly frame: Frame;
  /** the frame before this one; at the first step, the same frame (docs/algorithms.md §0) */
  readonly previousFrame: Frame;
  /** the steps of this episode so far, oldest first */
  readonly history: readonly PastStep[];
  /** aborted when the decision is no longer needed */
  readonly signal: AbortSignal;
  /** the device itself, for demonstrators that read its state; learned agents never use it */
  readonly device: Device;
}

/** An agent's decision: the text that it wrote, and the action that the text means (none if it is invalid). */
export interface Decision {
  readonly text: string;
  readonly action?: Action;
  /** image vector of the frame, if the agent computed one */
  readonly vector?: Float32Array;
  /** a served agent's full answer */
  readonly said?: string;
  /** further actions of the same answer, for the next steps */
  readonly rest?: readonly Action[];
  /** version of the policy that decided, if it is being trained */
  readonly version?: number;
}

/** An agent cannot continue an episode, and a retry would not help: the episode is lost, the others continue. */
export class EpisodeRefused extends RunError {
  override name = 'EpisodeRefused';
}

export interface Agent {
  /** number of past screens that it needs in `Observation.history` @default 0 */
  readonly pastScreens?: number;
  /** @throws EpisodeRefused; anything else ends the whole rollout */
  act(observation: Observation): Promise<Decision>;
}

/** One episode to run: its name decides its place in the results; its seed decides everything random on the device. */
export interface EpisodePlan {
  readonly episode: string;
  readonly task: Task;
  readonly seed: number;
}

/** The result of one episode. */
export interface Rollout {
  /** in the journal's form; the reward is 1 if the verdict is a success */
  readonly episode: Episode;
  readonly verdict: Verdict;
  /** image vectors by the screenshot's content id, if the agent computes them */
  readonly vectors: ReadonlyMap<string, Float32Array>;
  /** the device's own recording, if requested and successful: the bytes of a video file */
  readonly film?: Uint8Array;
}

/** An episode of which every attempt failed; it says nothing about the policy and does not count. */
export interface LostEpisode {
  readonly episode: string;
  /** `Task.id` */
  readonly task: string;
  /** one for each attempt */
  readonly faults: readonly EpisodeFault[];
}

export interface RolloutOptions {
  /** lends the devices; one episode runs on each of its slots at a time */
  readonly pool: DevicePool;
  readonly agent: Agent;
  readonly judge: Judge;
  readonly episodes: readonly EpisodePlan[];
  /** an episode ends after this many actions (10 for AitW General, 20 for Web Shopping) */
  readonly maxSteps: number;
  /** milliseconds for each call to a device */
  readonly deadlineMs: number;
  /** attempts before an episode is lost @default 3 */
  readonly attempts?: number;
  /** stores a screenshot and returns its content id; leave out to keep none */
  readonly keep?: (frame: Frame) => Promise<string>;
  /** let devices that can film their screens do so @default false */
  readonly film?: boolean;
  /** called when a recording fails; the episode continues */
  readonly onFilmFailed?: (failure: RecordingFailed) => void;
  readonly signal?: AbortSignal;
  readonly onEpisode?: (rollout: Rollout) => void | Promise<void>;
  readonly onLost?: (lost: LostEpisode) => void | Promise<void>;
}

/**
 * Runs episodes on the devices of a pool. Episodes start in the order of the plan, each on any free device, so a slow or
 * hung device delays only its own episode. The assignment of devices does not change the results, which come in the plan's
 * order. If a device fails, the attempt ends and the episode is restarted from its seed on another device.
 * @throws what the agent, the judge or a callback throws; the reason of `signal`; the RunError of a pool without devices.
 * It is thrown after everything else has ended
 */
export async function rollout(options: RolloutOptions): Promise<{ rollouts: Rollout[]; lost: LostEpisode[] }> {
  const { pool, episodes, signal } = options;
  signal?.throwIfAborted();
  const done = new Map<string, Rollout>();
  const lost = new Map<string, LostEpisode>();
  // one shared iterator: every worker takes the next free episode
  const queue = episodes[Symbol.iterator]();
  const stop = new AbortController();
  // every lease listens, and so do judges
  setMaxListeners(0, stop.signal);
  const abort = (): void => stop.abort(signal!.reason);
  signal?.addEventListener('abort', abort, { once: true });
  const work = async (): Promise<void> => {
    // a judge that does not need the device judges one episode while the next one runs
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
          // stop the rollout at once; the error is thrown where `ending` is awaited
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
        // the first failure stops the other workers; nothing continues after the rollout has ended
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

/** Whether the judge is asked while the device already runs the next episode. */
function judgedLater({ byScreens, asked }: Judge): boolean {
  return byScreens === true && asked !== 'step';
}

/** Runs an episode, restarting it after device faults up to `attempts` times. @returns a function that judges it, or its loss */
async function repeatEpisode(
  plan: EpisodePlan,
  options: RolloutOptions,
  signal: AbortSignal,
): Promise<(() => Promise<Rollout>) | LostEpisode> {
  const { pool, attempts = 3 } = options;
  const faults: EpisodeFault[] = [];
  while (faults.length < attempts) {
    const lease = await pool.lease({ signal });
    const progress = { steps: 0 };
    try {
      const end = await runEpisode(lease, plan, options, { signal, progress });
      lease.release('fine');
      return async () => {
        const result = await end();
        return faults.length === 0 ? result : { ...result, episode: { ...result.episode, faults } };
      };
    } catch (error) {
      lease.release(error instanceof DeviceFault ? 'faulty' : 'fine');
      signal.throwIfAborted();
      if (error instanceof EpisodeRefused) {
        faults.push({ device: lease.device.id, call: 'agent', step: progress.steps, reason: error.message });
        break;
      }
      if (!(error instanceof DeviceFault)) throw error;
      const { device, call, reason } = error;
      faults.push({ device, call, step: progress.steps, ...(call === 'act' ? { applied: 'unknown' } : {}), reason });
    }
  }
  return { episode: plan.episode, task: plan.task.id, faults };
}

/**
 * Runs one attempt of an episode.
 * @param progress gets the number of steps done, also if the attempt fails
 * @returns a function for the rest, which no longer needs the device
 * @throws DeviceFault if the device fails; EpisodeRefused
 */
async function runEpisode(
  lease: Lease,
  plan: EpisodePlan,
  options: RolloutOptions,
  { signal, progress }: { signal: AbortSignal; progress: { steps: number } },
): Promise<() => Promise<Rollout>> {
  const { device, unguarded } = lease;
  const { agent, judge, maxSteps, deadlineMs, keep } = options;
  const { task, seed } = plan;
  const deadline = { deadlineMs };
  const store = (frame: Frame) => (keep ? keep(frame) : Promise.resolve(''));
  await device.reset('app', { task, seed, deadlineMs });
  const filming = options.film === true && device.startRecording !== undefined;
  const started = filming && (await recorded(options, () => device.startRecording!(deadline).then(() => true)));
  // one verdict a step, or a single one at the end
  const verdicts: Verdict[] = [];
  const ask = async (judged: EpisodeEnd['device'], completed: boolean): Promise<Verdict> => {
    const before = verdicts.at(-1);
    verdicts.push(await judge.judge({ device: judged, task, frame, previousFrame, completed, before, signal }));
    return verdicts.at(-1)!;
  };
  // a task that ends by itself needs no declaration
  const completed = (): boolean => last?.type === 'STATUS_TASK_COMPLETE' || (device.over?.() ?? false);
  const steps: (Omit<EpisodeStep, 'image'> & { image: Promise<string>; vector?: Float32Array })[] = [];
  const history: PastStep[] = [];
  let previous = '';
  let frame = await device.screenshot(deadline);
  let previousFrame = frame;
  let last: Action | undefined;
  let ended = false;
  while (!ended && steps.length < maxSteps) {
    // not awaited here: the screenshot is encoded while the agent decides
    const image = store(frame);
    image.catch(() => undefined); // thrown where it is awaited
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
    progress.steps = steps.length;
    last = decision.action;
    ended = (last !== undefined && endsEpisode(last)) || (device.over?.() ?? false);
    previous = decision.text;
    previousFrame = frame;
    frame = await device.screenshot(deadline);
    if (judge.asked === 'step' && (await lease.during(ask(device, completed()))) === 'success') ended = true;
  }
  const finalImage = await store(frame);
  const film = started && (await recorded(options, () => device.stopRecording!(deadline)));
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

/** Adds a step to the history and drops the screen of the step that is no longer among the last `screens`. */
function remember(history: PastStep[], step: PastStep, screens: number): void {
  history.push(step);
  const old = history.length - 1 - screens;
  if (old >= 0) history[old] = { decision: history[old].decision };
}

/** The result of a recording call; undefined, after `onFilmFailed`, if the recording failed. */
async function recorded<T>({ onFilmFailed }: RolloutOptions, record: () => Promise<T>): Promise<T | undefined> {
  try {
    return await record();
  } catch (error) {
    if (!(error instanceof RecordingFailed)) throw error;
    onFilmFailed?.(error);
    return undefined;
  }
}
