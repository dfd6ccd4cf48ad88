import { Tuple } from '../formats/pickle.js';
import type { TorchFile } from '../formats/torch.js';
import { Fields, kind } from './fields.js';
import type { Frames, StoredFrames } from './frames.js';
import type { Screens, StoredScreens } from './screens.js';

/** A step of the released layout. Optional fields are undefined if the file does not have them. */
export interface StoredStep {
  /** `traj_id` */
  readonly trajectory: string | undefined;
  /** `step_id` */
  readonly step: number | undefined;
  readonly task: string;
  readonly prompt: string;
  readonly nextPrompt: string | undefined;
  readonly frames: StoredFrames;
  readonly screens: StoredScreens;
  readonly reward: number;
  readonly done: boolean;
  readonly trajectoryReward: number | undefined;
  /** distinct actions, the one taken first; `from` is the row of `sampled` with its representation, -1 for the one taken */
  readonly candidates: readonly { readonly action: string; readonly count: number; readonly from: number }[];
  /** whether the file has candidates for the step, or only the action taken */
  readonly sampled: boolean;
  /** floats per representation; 0 if the file has none */
  readonly representationDim: number;
  /** Reads q_rep_out [d] and q_rep_out_list [actions in action_list, d] on request, because they are a megabyte per step. */
  readonly representations: () => { taken: Float32Array; sampled: Float32Array };
}

/** A step as it is imported: its screens stacked, and its paths those of the screens before and after the action. */
export type ImportedStep = StoredStep & Frames & Screens;

/** Most steps of a trajectory; the longest published ones have 20. */
const LONGEST = 10_000;

/**
 * Reads a trajectory of a file in the released layout: a list of steps, each a dict (docs/algorithms.md §0, §2). None and
 * an empty list are a trajectory without steps: an episode whose device failed.
 * @param number of the trajectory in the file, for error messages
 * @throws UserError that names the trajectory, step and field if something is missing or wrong
 */
export function digiqTrajectory(file: TorchFile, item: unknown, number: number): StoredStep[] {
  if (item === null) return [];
  const steps = item instanceof Tuple ? item.items : item;
  if (!Array.isArray(steps) || !steps.every((step) => step instanceof Map)) {
    const got = Array.isArray(steps) ? `a list of ${steps.length} items, not all dicts` : kind(item);
    throw file.fault(`trajectory ${number}: expected a list of steps (dicts), got ${got}`);
  }
  // a few bytes of a pickle can name one step a million times
  if (steps.length > LONGEST)
    throw file.fault(`refused: trajectory ${number}: expected at most ${LONGEST} steps, got ${steps.length}`);
  return steps.map((fields: Map<unknown, unknown>, i) =>
    readStep(new Fields(file, fields, `trajectory ${number}, step ${i}`)),
  );
}

function readStep(step: Fields): StoredStep {
  const optional = (name: string): string | undefined => (step.has(name) ? step.text(name) : undefined);
  const action = step.text('action');
  const sampledActions = step.actions();
  const representationDim = step.has('q_rep_out') ? step.vector('q_rep_out').length : 0;
  return {
    trajectory: step.has('traj_id') ? step.id('traj_id') : undefined,
    step: step.has('step_id') ? step.number('step_id') : undefined,
    task: step.text('task'),
    prompt: step.text('observation'),
    nextPrompt: optional('next_observation'),
    frames: {
      current: step.vector('image_features'),
      next: step.has('next_image_features') ? step.vector('next_image_features') : undefined,
      fault: (what) => step.fault(what),
    },
    screens: { image: optional('image_path'), next: optional('next_image_path') },
    reward: step.number('reward'),
    done: step.number('done') !== 0,
    trajectoryReward: step.has('trajectory_reward') ? step.number('trajectory_reward') : undefined,
    candidates: distinct(action, sampledActions),
    sampled: sampledActions.length > 0 || representationDim > 0,
    representationDim,
    representations: () => representations(step, sampledActions.length),
  };
}

function representations(step: Fields, actions: number): { taken: Float32Array; sampled: Float32Array } {
  const taken = step.vector('q_rep_out');
  if (actions === 0) return { taken, sampled: new Float32Array(0) };
  const sampled = step.vector('q_rep_out_list');
  if (sampled.length !== actions * taken.length) {
    throw step.fault(
      `q_rep_out_list: expected ${actions} actions × ${taken.length} floats (as in q_rep_out), got ${sampled.length} floats`,
    );
  }
  return { taken, sampled };
}

/** Distinct actions with the number of samples of each; the taken action is the first. */
function distinct(taken: string, sampled: string[]): StoredStep['candidates'] {
  const found = new Map<string, { action: string; count: number; from: number }>();
  found.set(taken, { action: taken, count: 0, from: -1 });
  sampled.forEach((action, from) => {
    const known = found.get(action);
    if (known) known.count++;
    else found.set(action, { action, count: 1, from });
  });
  found.get(taken)!.count ||= 1;
  return [...found.values()];
}
