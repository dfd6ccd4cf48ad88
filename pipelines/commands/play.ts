import { once } from 'node:events';
import { UserError } from '../../src/errors.js';
import type { Config } from '../../src/settings/settings.js';
import { surprisesOf, type DeviceSettings } from '../sections.js';
import { tasksOf } from '../episodes/tasks.js';

/**
 * `critiq phone`: serves a page to play a task of the embedded phone by hand, until the signal.
 * @param task number of the task in the list, from 0
 * @throws UserError if there is no such task or the port is taken
 */
export async function playPhone(
  config: Config,
  {
    port,
    split,
    task,
    signal,
    say,
    opened,
  }: {
    port: number;
    split: string;
    task: number;
    signal: AbortSignal;
    say: (line: string) => void;
    /** called when the page can be opened */
    opened?: (address: { url: string; task: string }) => void;
  },
): Promise<void> {
  if (split !== 'train' && split !== 'test')
    throw new UserError(`--split: expected train or test, got ${JSON.stringify(split)}`);
  if (port > 65535) throw new UserError(`--port: expected an integer from 0 to 65535, got ${port}`);
  const { servePhone } = await import('../../src/devices/phone/index.js');
  const tasks = tasksOf(config, split, { seed: config.seed });
  if (!tasks[task]) throw new UserError(`--task: expected an integer from 0 to ${tasks.length - 1}, got ${task}`);
  const { url, close } = await servePhone({
    port,
    task: tasks[task],
    seed: config.seed,
    log: say,
    surprises: surprisesOf(config.device as DeviceSettings),
  });
  opened?.({ url, task: tasks[task].text });
  say(`${url}  ${tasks[task].text}  (press Ctrl-C to stop)`);
  try {
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await close();
  }
}
