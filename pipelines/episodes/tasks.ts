import { comparable, overlap, readTaskList, type Overlap } from '../../src/data/task-list.js';
import { startUrls } from '../../src/devices/browser/start-url.js';
import { realFolder } from '../../src/devices/browser/static-server.js';
import type { Task } from '../../src/data/task.js';
import { checkPhoneTasks, phoneTasks } from '../../src/devices/phone/index.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import type { Config } from '../../src/settings/settings.js';
import { extensions, settingsOf } from '../plugins/extensions.js';
import type { DeviceSettings, TaskSettings } from '../sections.js';

export type Split = 'train' | 'test';

/**
 * The tasks of a split: those of its file, or the embedded phone's own.
 * @param options.seed determines the phone's training tasks, and the order in which those of a file are drawn
 * @param options.count number of training tasks: the phone generates that many, a file's tasks repeat equally often. Test
 *   lists are returned unchanged, in their order.
 * @throws UserError if a file is not a task list, the device cannot be set up for its tasks, or a device without its own
 *   tasks has no file
 */
export function tasksOf(config: Config, split: Split, options: { seed: number; count?: number }): Task[] {
  const { set, train_file, test_file } = config.tasks as TaskSettings;
  const { backend, browser } = config.device as DeviceSettings;
  const file = split === 'train' ? train_file : test_file;
  const own = extensions().devices.get(backend);
  if (file === '' && own?.tasks) return [...own.tasks(split, options, settingsOf(config.device, backend))];
  if (file === '' && backend !== 'phone') {
    const page = own ? 'extending' : backend;
    throw new UserError(
      `tasks.${split}_file is empty, and device.backend=${backend} has no tasks of its own; set it to a .jsonl file of tasks (docs/${page}.md)`,
    );
  }
  if (file === '') return phoneTasks({ set, split, ...options });
  const list = readTaskList(file);
  if (backend === 'phone') checkPhoneTasks(list, file);
  if (backend === 'browser') {
    // report mistakes now, not when the first episode of such a task starts
    const served = browser.folder === '' ? undefined : { folder: realFolder(browser.folder), url: 'http://127.0.0.1/' };
    for (const task of list) startUrls(browser, task, 0, served);
  }
  if (split === 'test') return list;
  const { count = list.length, seed } = options;
  const rounds = Math.ceil(count / list.length);
  return Array.from({ length: rounds }, (_, round) => new Random(seed, 'tasks', round).shuffled(list))
    .flat()
    .slice(0, count);
}

/** Overlap of test and training tasks; works on any device. @throws UserError if a file is not a task list */
export function overlapOf(config: Config): Overlap {
  const { set, train_file, test_file } = config.tasks as TaskSettings;
  const { backend } = config.device as DeviceSettings;
  const ownTasks = (split: Split): Task[] => {
    if (backend === 'phone') return phoneTasks({ set, split, seed: config.seed });
    const own = extensions().devices.get(backend);
    return [...(own?.tasks?.(split, { seed: config.seed }, settingsOf(config.device, backend)) ?? [])];
  };
  const list = (split: Split, file: string) => (file !== '' ? readTaskList(file) : ownTasks(split));
  return overlap(list('train', train_file), list('test', test_file));
}

/**
 * Texts of the training tasks, normalised for comparison. Empty for the embedded phone's own tasks: none of its test tasks
 * is worded like a training task.
 */
export function trainedTexts(config: Config): ReadonlySet<string> {
  const { train_file } = config.tasks as TaskSettings;
  return new Set(train_file === '' ? [] : readTaskList(train_file).map(({ text }) => comparable(text)));
}
