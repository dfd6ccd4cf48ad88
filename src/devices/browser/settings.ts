import { z } from 'zod';

/** Settings of the browser backend (`device.browser`); docs/browser.md has a complete example. */
export const BrowserSettings = z.object({
  path: z
    .string()
    .default('')
    .describe(
      "Chromium's binary; empty: $CHROMIUM, else an installed chromium-headless-shell, chromium or google-chrome. It is never downloaded",
    ),
  sandbox: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe("Chromium's sandbox; auto: on, but off for root, for which Chromium has none"),
  folder: z
    .string()
    .default('')
    .describe(
      "folder of pages that critiq serves on 127.0.0.1; a task's relative URL is a file in it, and file: URLs outside it are refused",
    ),
  hosts: z
    .array(z.string().regex(/^[A-Za-z0-9*][A-Za-z0-9.*:-]{0,252}$/, 'a host name or a pattern such as *.example.org'))
    .max(256)
    .default([])
    .describe(
      'hosts that the browser may reach, besides the served folder: names, patterns (`*.example.org`), or one port (`127.0.0.1:3000`); empty: any',
    ),
  url: z
    .string()
    .max(4096)
    .default('')
    .describe(
      "start URL of tasks whose goal has none; {seed} and {task} stand for the episode's seed and the task's id",
    ),
  reset_url: z
    .string()
    .max(4096)
    .default('')
    .describe(
      'URL to open before the start URL of each episode, for sites that keep state on their server; {seed} and {task} as in url',
    ),
  hook: z
    .string()
    .default('')
    .describe(
      'JavaScript module that exports reset, reward or done(page, task, seed), each optional; critiq asks the page (window.critiq) for those it does not export',
    ),
  success: z.number().default(1).describe('smallest reward at which a task counts as achieved'),
  width: z.int().min(64).max(4096).default(412).describe('width of the screen in CSS pixels'),
  height: z.int().min(64).max(4096).default(915).describe('height of the screen in CSS pixels'),
  scale: z.number().min(0.25).max(4).default(1).describe('pixels of a screenshot for each CSS pixel'),
  locale: z.string().default('en-US').describe('language of the browser'),
  timezone: z.string().default('UTC').describe('time zone of the browser'),
  user_agent: z
    .string()
    .max(1024)
    .default('')
    .describe("the browser's user agent; empty: that of Chrome on an Android phone, with Chromium's real version"),
  dialogs: z
    .enum(['dismiss', 'accept'])
    .default('dismiss')
    .describe("how a page's alerts, confirmations and prompts are answered; screenshots cannot show them"),
  typing: z
    .enum(['keys', 'insert'])
    .default('keys')
    .describe('type text key by key, or insert it all at once as an on-screen keyboard does'),
  seed_random: z.boolean().default(true).describe("let the episode's seed decide Math.random in pages"),
  await_release: z
    .boolean()
    .default(false)
    .describe(
      'wait with screenshots while Chromium draws a tapped element as pressed (150 ms): slower, but on a busy machine the only way to the same pixels each time',
    ),
  settle_ms: z
    .int()
    .min(0)
    .max(600_000)
    .default(3000)
    .describe(
      'milliseconds to wait for a page that an action has opened; after that, the screenshot shows what has loaded',
    ),
});
export type BrowserSettings = z.infer<typeof BrowserSettings>;
