import { comparable, overlap, readTaskList, type Overlap } from '../src/data/task-list.js';
import type { Task } from '../src/devices/device.js';
import { phoneTasks } from '../src/devices/phone/index.js';
import { UserError } from '../src/errors.js';
import { Random } from '../src/random.js';
import type { Config } from '../src/settings.js';
import type { DeviceSettings, TaskSettings } from './sections.js';

export type Split = 'train' | 'test';

/**
 * The tasks of a split: those of its file, or the embedded phone's own.
 * @param options.seed decides the phone's training tasks, and the order in which those of a file are drawn
 * @param options.count training tasks wanted: the phone makes so many, and a file's come round again, each as often as
 * the others; test lists are what they are, in their order
 * @throws UserError where a file is no list, or its tasks are nothing that the device can be set up for
 */
export function tasksOf(config: Config, split: Split, options: { seed: number; count?: number }): Task[] {
  const { set, train_file, test_file } = config.tasks as TaskSettings;
  const { backend } = config.device as DeviceSettings;
  const file = split === 'train' ? train_file : test_file;
  if (file === '') return phoneTasks({ set, split, ...options });
  if (backend === 'phone') {
    throw new UserError(
      `tasks.${split}_file=${file}: the embedded phone has tasks of its own and knows no others; set device.backend to a device with the apps, or tasks.${split}_file='' for the phone's`,
    );
  }
  const list = readTaskList(file);
  if (split === 'test') return list;
  const { count = list.length, seed } = options;
  const rounds = Math.ceil(count / list.length);
  return Array.from({ length: rounds }, (_, round) => new Random(seed, 'tasks', round).shuffled(list))
    .flat()
    .slice(0, count);
}

/** How the test tasks lie to those that are trained on; readable on any device. @throws UserError where a file is no list */
export function overlapOf(config: Config): Overlap {
  const { set, train_file, test_file } = config.tasks as TaskSettings;
  const list = (split: Split, file: string) =>
    file === '' ? phoneTasks({ set, split, seed: config.seed }) : readTaskList(file);
  return overlap(list('train', train_file), list('test', test_file));
}

/**
 * Texts of the tasks that are trained on, as they are compared. None for the embedded phone, whose test tasks are worded
 * as no training task is.
 */
export function trainedTexts(config: Config): ReadonlySet<string> {
  const { train_file } = config.tasks as TaskSettings;
  return new Set(train_file === '' ? [] : readTaskList(train_file).map(({ text }) => comparable(text)));
}
