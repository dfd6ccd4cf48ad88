import type { z } from 'zod';
import type { ServedFormat } from '../../src/agents/served/formats.js';
import type { Task } from '../../src/data/task.js';
import type { Device } from '../../src/devices/device.js';
import type { Asked, Judge } from '../../src/judges/judge.js';
import type { Stage } from '../../src/runner/stage.js';

/**
 * What a module named in the setting `plugins` can add to critiq (docs/extending.md). Each entry has its own settings, which
 * are validated, shown by `critiq config`, and part of the fingerprints of the stages that use the entry.
 */
export interface Plugin {
  /** name of the plugin, for messages */
  readonly name: string;
  /** stages; each becomes a command: `critiq <stage>` */
  readonly stages?: readonly Stage[];
  /** device backends by name: `device.backend=<name>`, with settings in `device.<name>` */
  readonly devices?: Readonly<Record<string, DeviceBackend>>;
  /** judges by name: `judge.kind=<name>`, with settings in `judge.<name>` */
  readonly judges?: Readonly<Record<string, JudgeKind>>;
  /** answer formats of served agents by name: `served.format=<name>` */
  readonly answers?: Readonly<Record<string, AnswerFormat>>;
}

/** The settings of a part of a plugin. */
interface Configured<S extends z.ZodObject> {
  /** every field with `.default()` and `.describe()`; leave it out if there is nothing to set */
  readonly settings?: S;
  /** raise it when the same settings lead to other episodes or verdicts: earlier results are then outdated; default 1 */
  readonly version?: number;
  /** the settings that affect results, for fingerprints; default all of them */
  influence?(settings: z.infer<S>): Readonly<Record<string, unknown>>;
}

/** A kind of device that the stages `collect`, `eval` and `online` can drive. */
export interface DeviceBackend<S extends z.ZodObject = z.ZodObject> extends Configured<S> {
  /**
   * Opens the device of a slot, ready for a reset. Slots count from 0; a slot is opened again after its device failed.
   * @throws UserError if the settings cannot work
   */
  open(slot: number, settings: z.infer<S>): Promise<Device> | Device;
  /** number of available devices, if it may be less than `device.count` */
  count?(settings: z.infer<S>): number;
  /** whether parallel shards may open the same slots; default false: shards run one after another */
  readonly parallel?: boolean;
  /**
   * The backend's own tasks, used if `tasks.train_file` or `tasks.test_file` is empty. Return test tasks in a fixed order,
   * and `count` training tasks drawn with `seed`. Without this function a task file is required.
   */
  tasks?(split: 'train' | 'test', wanted: { seed: number; count?: number }, settings: z.infer<S>): readonly Task[];
}

/** A kind of judge. */
export interface JudgeKind<S extends z.ZodObject = z.ZodObject> extends Configured<S> {
  /** @throws UserError if the settings cannot work */
  open(options: {
    readonly settings: z.infer<S>;
    /** `judge.ask`: when the judge is asked; the returned judge must say the same in `asked` */
    readonly asked: Asked;
    /** `judge.declare`: whether an episode must end with STATUS_TASK_COMPLETE to be a success */
    readonly declare: 'required' | 'ignored';
    readonly seed: number;
    /** the run folder */
    readonly folder: string;
    readonly warn: (line: string) => void;
  }): Judge;
  /** whether parallel shards may each open one; default false */
  readonly parallel?: boolean;
}

/** The prompt and the answer syntax of a family of served agents. */
export type AnswerFormat = Pick<ServedFormat, 'read' | 'template'> &
  Partial<Omit<ServedFormat, 'read' | 'template'>> & {
    /** raise it when the same answers are read differently: earlier evaluations are then outdated; default 1 */
    readonly version?: number;
  };

/** Defines a plugin, with type checks. The module that `plugins` names exports it as its default export. */
export function definePlugin(plugin: Plugin): Plugin {
  return plugin;
}

/** Defines a device backend whose functions get typed settings. */
export function defineDevice<S extends z.ZodObject>(backend: DeviceBackend<S>): DeviceBackend {
  return backend as unknown as DeviceBackend;
}

/** Defines a judge whose functions get typed settings. */
export function defineJudge<S extends z.ZodObject>(kind: JudgeKind<S>): JudgeKind {
  return kind as unknown as JudgeKind;
}
