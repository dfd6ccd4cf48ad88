import { relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../errors.js';
import type { BrowserSettings } from './settings.js';
import type { Task } from '../../data/task.js';

/** A folder of pages and the address at which they are served. */
export interface ServedFolder {
  /** with all symbolic links resolved */
  readonly folder: string;
  /** ends with a slash */
  readonly url: string;
}

/**
 * The URLs to open for an episode: the reset URL, if any, and the start URL. A file: URL becomes the file's address on the
 * server of the folder, so the browser itself never opens files.
 * @param served undefined if no folder is set
 * @throws UserError if there is no start URL, or one that is neither an http(s) URL nor a file of the served folder
 */
export function startUrls(
  settings: Pick<BrowserSettings, 'url' | 'reset_url'>,
  task: Task,
  seed: number,
  served: ServedFolder | undefined,
): string[] {
  const stated = task.goal?.url ?? settings.url;
  if (typeof stated !== 'string' || stated === '') {
    throw new UserError(`task ${task.id}: no start URL; add goal.url to the task, or set device.browser.url`);
  }
  const templates = settings.reset_url === '' ? [stated] : [settings.reset_url, stated];
  return templates.map((template) => {
    const text = template.replaceAll('{seed}', String(seed)).replaceAll('{task}', encodeURIComponent(task.id));
    const url = URL.canParse(text, served?.url) ? new URL(text, served?.url) : undefined;
    if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href;
    if (url?.protocol === 'file:' && served) return addressOf(url, served);
    throw new UserError(
      `task ${task.id}: ${text}: expected an http(s) URL or a file of device.browser.folder${served ? '' : ', which is not set'}`,
    );
  });
}

/** The server's address of a file: URL in the folder. @throws UserError if the file is outside */
function addressOf(file: URL, { folder, url }: ServedFolder): string {
  const name = file.host === '' ? relative(folder, resolve(fileURLToPath(file))) : '..';
  if (name === '..' || name.startsWith(`..${sep}`)) {
    throw new UserError(`${file.href}: not below device.browser.folder=${folder}; only files below it may be opened`);
  }
  const address = new URL(name.split(sep).map(encodeURIComponent).join('/'), url);
  address.search = file.search;
  address.hash = file.hash;
  return address.href;
}
