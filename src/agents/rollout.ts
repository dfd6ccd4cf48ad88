import { endsEpisode, type Action } from '../devices/action.js';
import type { Device, Frame, Task } from '../devices/device.js';
import type { Episode, EpisodeStep } from '../data/journal.js';
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

export interface RolloutOptions {
  readonly devices: readonly Device[];
  readonly agent: Agent;
  readonly judge: Judge;
  readonly episodes: readonly EpisodePlan[];
  /** an episode ends after this many actions (10 for AitW General, 20 for Web Shopping) */
  readonly maxSteps: number;
  /** milliseconds for each call to a device */
  readonly deadlineMs: number;
  /** stores a screenshot and names it by content; leave out to keep none */
  readonly keep?: (frame: Frame) => Promise<string>;
  readonly signal?: AbortSignal;
  readonly onEpisode?: (rollout: Rollout) => void | Promise<void>;
}

/**
 * Run episodes on a set of devices. Each device takes the next episode as soon as it is free, so a slow device delays
 * only its own episode; which device runs which episode changes nothing in the results, which come in the plan's order.
 */
export async function rollout(options: RolloutOptions): Promise<Rollout[]> {
  const results = new Map<string, Rollout>();
  const queue = options.episodes[Symbol.iterator]();
  await Promise.all(
    options.devices.map(async (device) => {
      // one shared iterator: every device draws the next episode that nobody has taken
      for (let next = queue.next(); !next.done; next = queue.next()) {
        options.signal?.throwIfAborted();
        const result = await runEpisode(device, next.value, options);
        results.set(next.value.episode, result);
        await options.onEpisode?.(result);
      }
    }),
  );
  return options.episodes.map((plan) => results.get(plan.episode)!);
}

async function runEpisode(device: Device, plan: EpisodePlan, options: RolloutOptions): Promise<Rollout> {
  const { agent, judge, maxSteps, deadlineMs, keep } = options;
  const { task, seed } = plan;
  const deadline = { deadlineMs };
  const store = (frame: Frame) => (keep ? keep(frame) : Promise.resolve(''));
  await device.reset('app', { task, seed, deadlineMs });
  // of a judge that is asked after each step, all of them; else the one at the end
  const verdicts: Verdict[] = [];
  const ask = async (): Promise<Verdict> => {
    const completed = last?.type === 'STATUS_TASK_COMPLETE';
    const before = verdicts.at(-1);
    verdicts.push(
      await judge.judge({ device, task, frame, previousFrame, completed, before, signal: options.signal }),
    );
    return verdicts.at(-1)!;
  };
  const steps: (Omit<EpisodeStep, 'image'> & { image: Promise<string>; vector?: Float32Array })[] = [];
  let previous = '';
  let frame = await device.screenshot(deadline);
  let previousFrame = frame;
  let last: Action | undefined;
  let ended = false;
  while (!ended && steps.length < maxSteps) {
    options.signal?.throwIfAborted();
    // not awaited here: the picture is encoded while the agent thinks
    const image = store(frame);
    image.catch(() => undefined); // reported where it is awaited
    const key = `${plan.episode}/${steps.length}`;
    const decision = await agent.act({ key, task, previous, frame, previousFrame, device });
    const applied = decision.action ? (await device.act(decision.action, deadline)).applied : 'no';
    const prompt = policyPrompt(task.text, previous);
    steps.push({ prompt, action: decision.text, applied, image, vector: decision.vector });
    last = decision.action;
    ended = last !== undefined && endsEpisode(last);
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
