import { createHash } from 'node:crypto';
import { monteCarloReturns } from '../returns.js';
import { INVALID, type ActionColumns, type CandidateRow, type Transition } from '../transitions.js';
import type { ImportedStep } from './digiq-layout.js';

/** Parses an action text. */
type Parse = (action: string) => ActionColumns;

/** The content id of an imported vector, from its bytes, in the form of an image id. */
export function vectorId(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  return createHash('sha256').update(`vector ${vector.length}:`).update(bytes).digest('hex').slice(0, 32);
}

/** The candidates of some steps; their tids count from `firstTid`. */
export function* candidateRows(steps: readonly ImportedStep[], firstTid: number, parse: Parse): Generator<CandidateRow> {
  for (const [i, { candidates }] of steps.entries()) {
    yield {
      tid: firstTid + i,
      actions: candidates.map(({ action }) => action),
      counts: candidates.map(({ count }) => count),
      valid: candidates.map(({ action }) => parse(action).actionType !== INVALID),
      logProbs: candidates.map(() => NaN),
    };
  }
}

/** The transitions of some steps of whole trajectories. @param gamma discount of the returns */
export function* transitionRows(
  steps: readonly ImportedStep[],
  firstTid: number,
  gamma: number,
  parse: Parse,
): Generator<Transition> {
  for (let start = 0, end: number; start < steps.length; start = end) {
    end = start;
    while (end < steps.length && steps[end].trajectory === steps[start].trajectory) end++;
    const trajectory = steps.slice(start, end);
    const rewards = trajectory.map(({ reward }) => reward);
    const returns = monteCarloReturns(rewards, gamma);
    const total = rewards.reduce((sum, reward) => sum + reward, 0);
    for (const [i, step] of trajectory.entries()) {
      const next = trajectory[i + 1];
      const image = vectorId(step.image);
      yield {
        tid: firstTid + start + i,
        trajectory: step.trajectory!,
        step: i,
        task: step.task,
        goal: step.task,
        family: '',
        prompt: step.prompt,
        prevAction: i === 0 ? '' : trajectory[i - 1].candidates[0].action,
        action: step.candidates[0].action,
        ...parse(step.candidates[0].action),
        policy: null,
        temperature: null,
        image,
        prevImage: vectorId(step.prevImage),
        nextImage: vectorId(step.nextImage),
        nextPrevImage: vectorId(step.nextPrevImage),
        reward: step.reward,
        done: step.done,
        truncated: false,
        mcReturn: returns[i],
        trajectoryReward: step.trajectoryReward ?? total,
        nextPrompt: step.nextPrompt ?? next?.prompt ?? step.prompt,
        imagePath: step.imagePath,
      };
    }
  }
}
