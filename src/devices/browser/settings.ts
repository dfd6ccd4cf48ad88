import { z } from 'zod';

/** Settings of the browser backend (`device.browser`); docs/browser.md has a complete example. */
export const BrowserSettings = z.object({
  path: z
    .string()
    .default('')
    .describe(
      "Chromium's binary; empty: $CHROMIUM, else chromium-headless-shell, chromium or google-chrome where they are installed. It is never downloaded",
    ),
  sandbox: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe("Chromium's sandbox; auto: on, but off for root, for whom Chromium has none"),
  folder: z
    .string()
    .default('')
    .describe(
      'folder of pages that are served on 127.0.0.1; a relative URL of a task is a file in it, and no file: URL outside it is opened',
    ),
  hosts: z
    .array(z.string().regex(/^[A-Za-z0-9*][A-Za-z0-9.*:-]{0,252}$/, 'a host name or a pattern such as *.example.org'))
    .max(256)
    .default([])
    .describe('hosts that the browser may reach, beside the served folder; empty: any'),
  url: z
    .string()
    .max(4096)
    .default('')
    .describe(
      'start URL of tasks whose goal names none; {seed} and {task} stand for the seed of the episode and the id of the task',
    ),
  reset_url: z
    .string()
    .max(4096)
    .default('')
    .describe(
      'URL that is opened before the start URL of each episode, for sites whose server keeps the state; {seed} and {task} as in url',
    ),
  hook: z
    .string()
    .default('')
    .describe(
      'JavaScript module that exports reset, reward or done(page, task, seed), each optional; what it does not export is asked of the page (window.critiq)',
    ),
  success: z.number().default(1).describe('the task is achieved when its reward is at least this'),
  width: z.int().min(64).max(4096).default(412).describe('width of the screen in CSS pixels'),
  height: z.int().min(64).max(4096).default(915).describe('height of the screen in CSS pixels'),
  scale: z.number().min(0.25).max(4).default(1).describe('pixels of a screenshot for each CSS pixel'),
  locale: z.string().default('en-US').describe('language of the browser'),
  timezone: z.string().default('UTC').describe('time zone of the browser'),
  user_agent: z
    .string()
    .max(1024)
    .default('')
    .describe(
      "the browser's name for servers; empty: that of Chrome on an Android phone, with Chromium's real version",
    ),
  dialogs: z
    .enum(['dismiss', 'accept'])
    .default('dismiss')
    .describe('what happens to alerts, questions and prompts of a page: no screenshot can show them'),
  typing: z
    .enum(['keys', 'insert'])
    .default('keys')
    .describe('type text key by key, or put it in at once as an on-screen keyboard does'),
  seed_random: z.boolean().default(true).describe("let the episode's seed decide Math.random in pages"),
  await_release: z
    .boolean()
    .default(false)
    .describe(
      'take no screenshot while Chromium still draws what was tapped as pressed, 150 ms long: slower, and on a busy machine the only way to the same pixels each time',
    ),
  settle_ms: z
    .int()
    .min(0)
    .max(600_000)
    .default(3000)
    .describe('milliseconds to wait for a page that an action has opened; then it is seen as far as it has come'),
});
export type BrowserSettings = z.infer<typeof BrowserSettings>;
