import { once } from 'node:events';
import { UserError } from '../../src/errors.js';
import type { Config } from '../../src/settings/settings.js';
import { tasksOf } from '../episodes/tasks.js';

/**
 * `critiq phone`: a page to play a task of the embedded phone by hand, until the signal.
 * @param task number of the task in its list, from 0
 * @throws UserError where there is no such task or the port is taken
 */
export async function playPhone(
  config: Config,
  {
    port,
    split,
    task,
    signal,
    say,
  }: { port: number; split: string; task: number; signal: AbortSignal; say: (line: string) => void },
): Promise<void> {
  if (split !== 'train' && split !== 'test')
    throw new UserError(`--split: expected train or test, got ${JSON.stringify(split)}`);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new UserError('--port: expected a number from 0 to 65535');
  const { servePhone } = await import('../../src/devices/phone/index.js');
  const tasks = tasksOf(config, split, { seed: config.seed });
  if (!Number.isInteger(task) || !tasks[task])
    throw new UserError(`--task: expected a number from 0 to ${tasks.length - 1}`);
  const { url, close } = await servePhone({ port, task: tasks[task], seed: config.seed, log: say });
  say(`${url}  ${tasks[task].text}  (Ctrl-C ends it)`);
  try {
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await close();
  }
}
