import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { RunError, UserError } from '../../errors.js';
import type { Task } from '../../data/task.js';
import { oneLine } from '../pool/guard.js';

/**
 * A user's module that sets up and judges tasks whose pages do not do this themselves. It runs in this process with all its
 * permissions.
 */
export interface BrowserHook {
  /** Called after the start page has loaded, before the agent sees it. */
  reset?(page: Page, task: Task, seed: number): unknown;
  /** The page's reward now; called after the reset and after each action. */
  reward?(page: Page, task: Task, seed: number): number | Promise<number>;
  /** Whether the task is over, so that no further action counts. */
  done?(page: Page, task: Task, seed: number): boolean | Promise<boolean>;
}

/** The state of the task: its reward, if the page or a hook gives one, and whether it is over. */
export interface TaskState {
  readonly reward?: number;
  readonly done: boolean;
}

const PARTS = ['reset', 'reward', 'done'] as const;

/** Loads the hook at a path relative to the working directory. @throws UserError if it cannot be loaded or exports no hook */
export async function loadHook(path: string): Promise<BrowserHook> {
  const where = `device.browser.hook=${path}`;
  let module: Record<string, unknown>;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat && !stat.isFile())
    throw new UserError(`${where}: expected a JavaScript module, got a folder, pipe or device`);
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  } catch (error) {
    throw new UserError(`${where}: cannot be loaded: ${oneLine(error)}`);
  }
  const hook: Record<string, unknown> = {};
  for (const part of PARTS) {
    if (module[part] === undefined) continue;
    if (typeof module[part] !== 'function') {
      throw new UserError(`${where}: ${part}: expected a function (page, task, seed), got ${typeof module[part]}`);
    }
    hook[part] = module[part];
  }
  if (Object.keys(hook).length > 0) return hook;
  throw new UserError(
    `${where}: expected a module that exports at least one of ${PARTS.join(', ')}; it exports none of them`,
  );
}

/**
 * Reads the page's `window.critiq = { reward, done }`: each is optional, and a value or a function, async or not. A string,
 * since it runs in the page and this project's types have no `window`.
 */
const CONTRACT = `(async () => {
  const contract = globalThis.critiq;
  if (typeof contract !== 'object' || contract === null) return null;
  const of = (value) => (typeof value === 'function' ? value.call(contract) : value);
  return { reward: await of(contract.reward), done: await of(contract.done) };
})()`;

/**
 * The state of the task from the hook, and from the page for what the hook does not export.
 * @throws RunError if either throws, or gives a reward that is not a number or a `done` that is not a boolean
 */
export async function taskState(page: Page, hook: BrowserHook, task: Task, seed: number): Promise<TaskState> {
  let own: { reward?: unknown; done?: unknown } | null = null;
  if (!hook.reward || !hook.done) {
    try {
      own = await page.evaluate<typeof own>(CONTRACT);
    } catch (error) {
      throw new RunError(`window.critiq of ${page.url()}: ${oneLine(error)}`);
    }
  }
  const asked = async (part: 'reward' | 'done'): Promise<{ value: unknown; whose: string }> => {
    if (!hook[part]) return { value: own?.[part] ?? undefined, whose: `window.critiq.${part} of ${page.url()}` };
    try {
      return { value: await hook[part](page, task, seed), whose: `device.browser.hook: ${part}` };
    } catch (error) {
      throw new RunError(`device.browser.hook: ${part}: ${oneLine(error)}`);
    }
  };
  const reward = await asked('reward');
  if (reward.value !== undefined && (typeof reward.value !== 'number' || Number.isNaN(reward.value))) {
    throw new RunError(`${reward.whose}: expected a number, got ${typeof reward.value}`);
  }
  const done = await asked('done');
  if (done.value !== undefined && typeof done.value !== 'boolean') {
    throw new RunError(`${done.whose}: expected true or false, got ${typeof done.value}`);
  }
  return { reward: reward.value, done: done.value ?? false };
}
