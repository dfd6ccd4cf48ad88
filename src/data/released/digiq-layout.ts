import { EncodedBytes, product } from '../formats/torch-globals.js';
import type { TorchFile } from '../formats/torch.js';

/** A step of the released layout. Optional fields are undefined if the file does not have them. */
export interface ImportedStep {
  /** `traj_id` */
  readonly trajectory: string | undefined;
  readonly task: string;
  readonly prompt: string;
  readonly nextPrompt: string | undefined;
  /** vectors of the current frame and, unless image_features is a single vector, of the previous one */
  readonly image: Float32Array;
  readonly prevImage: Float32Array | undefined;
  readonly nextImage: Float32Array;
  readonly nextPrevImage: Float32Array | undefined;
  readonly reward: number;
  readonly done: boolean;
  readonly mcReturn: number | undefined;
  readonly trajectoryReward: number | undefined;
  readonly imagePath: string;
  /** distinct actions, the one taken first; `from` is the row of `sampled` with its representation, -1 for the one taken */
  readonly candidates: readonly { readonly action: string; readonly count: number; readonly from: number }[];
  /** floats per representation; 0 if the file has none */
  readonly representationDim: number;
  /** Reads q_rep_out [d] and q_rep_out_list [actions in action_list, d] on request, because they are a megabyte per step. */
  readonly representations: () => { taken: Float32Array; sampled: Float32Array };
}

/**
 * Reads a trajectory of a file in the released layout: a list of steps, each a dict (docs/algorithms.md §0, §2).
 * @param number of the trajectory in the file, for error messages
 * @throws UserError that names the trajectory, step and field if something is missing or wrong
 */
export function digiqTrajectory(
  file: TorchFile,
  item: unknown,
  number: number,
  images: 'auto' | 'pair' | 'single',
): ImportedStep[] {
  if (!Array.isArray(item) || item.length === 0 || !item.every((step) => step instanceof Map)) {
    const got = Array.isArray(item) ? `a list of ${item.length} items, not all dicts` : item === null ? 'None' : typeof item;
    throw file.fault(`trajectory ${number}: expected a list of steps (dicts), got ${got}`);
  }
  const steps = item.map((fields: Map<unknown, unknown>, i) => new Fields(file, fields, `trajectory ${number}, step ${i}`));
  return steps.map((step) => readStep(step, images));
}

function readStep(step: Fields, images: 'auto' | 'pair' | 'single'): ImportedStep {
  const current = step.vector('image_features');
  const next = step.has('next_image_features') ? step.vector('next_image_features') : current;
  if (images === 'pair' && current.length % 2 !== 0) {
    throw step.fault(`image_features: expected two frames of the same width, got ${current.length} floats`);
  }
  if (next.length !== current.length) {
    throw step.fault(`next_image_features: expected ${current.length} floats as in image_features, got ${next.length}`);
  }
  const pair = images === 'pair' || (images === 'auto' && current.length % 2 === 0);
  const half = current.length / 2;
  const action = step.text('action');
  const sampledActions = step.actions();
  return {
    trajectory: step.has('traj_id') ? String(step.number('traj_id')) : undefined,
    task: step.text('task'),
    prompt: step.text('observation'),
    nextPrompt: step.has('next_observation') ? step.text('next_observation') : undefined,
    image: pair ? current.subarray(half) : current,
    prevImage: pair ? current.subarray(0, half) : undefined,
    nextImage: pair ? next.subarray(half) : next,
    nextPrevImage: pair ? next.subarray(0, half) : undefined,
    reward: step.number('reward'),
    done: step.number('done') !== 0,
    mcReturn: step.has('mc_return') ? step.number('mc_return') : undefined,
    trajectoryReward: step.has('trajectory_reward') ? step.number('trajectory_reward') : undefined,
    imagePath: step.has('image_path') ? step.text('image_path') : '',
    candidates: distinct(action, sampledActions),
    representationDim: step.has('q_rep_out') ? step.vector('q_rep_out').length : 0,
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
function distinct(taken: string, sampled: string[]): ImportedStep['candidates'] {
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

/** A step's dict, whose errors name the trajectory, the step and the field. */
class Fields {
  constructor(
    private readonly file: TorchFile,
    private readonly fields: Map<unknown, unknown>,
    private readonly where: string,
  ) {}

  /** Whether a field exists and is not None. */
  has(name: string): boolean {
    return (this.fields.get(name) ?? null) !== null;
  }

  text(name: string): string {
    const text = this.file.text(this.required(name));
    if (text === undefined) throw this.fault(`${name}: expected a text, got ${kind(this.fields.get(name))}`);
    return text;
  }

  number(name: string): number {
    const read = this.file.numbers(this.required(name));
    if (read?.values.length !== 1) throw this.fault(`${name}: expected a number, got ${kind(this.fields.get(name))}`);
    if (!Number.isFinite(read.values[0])) throw this.fault(`${name}: expected a finite number, got ${read.values[0]}`);
    return read.values[0];
  }

  /** The field's numbers as float32, in row-major order. */
  vector(name: string): Float32Array {
    const read = this.file.numbers(this.required(name));
    if (!read || product(read.shape) === 0) throw this.fault(`${name}: expected numbers, got ${kind(this.fields.get(name))}`);
    return read.values instanceof Float32Array ? read.values : Float32Array.from(read.values);
  }

  /** `action_list`: texts joined by `<split>`, or a list of texts; none if the field is missing. */
  actions(): string[] {
    if (!this.has('action_list')) return [];
    const list = this.fields.get('action_list');
    if (!Array.isArray(list)) return this.text('action_list').split('<split>');
    return list.map((item, i) => {
      const text = this.file.text(item);
      if (text === undefined) throw this.fault(`action_list, entry ${i}: expected a text, got ${kind(item)}`);
      return text;
    });
  }

  fault(what: string) {
    return this.file.fault(`${this.where}: ${what}`);
  }

  private required(name: string): unknown {
    if (this.has(name)) return this.fields.get(name);
    const names = [...this.fields.keys()].filter((key) => typeof key === 'string').join(', ');
    throw this.fault(`expected a field ${name}, got ${this.fields.has(name) ? 'None' : `only ${names.slice(0, 300)}`}`);
  }
}

function kind(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof EncodedBytes) return 'bytes';
  if (typeof value === 'object' && value !== null) return `a ${value.constructor.name}`;
  return value === null ? 'None' : typeof value;
}
