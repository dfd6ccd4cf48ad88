import { z } from 'zod';
import { DEFAULT_SURPRISES, type Surprises } from '../src/devices/phone/world.js';
import { BrowserSettings } from '../src/devices/browser/settings.js';
import { POOL_DEFAULTS } from '../src/devices/pool/pool.js';
import { WebDriverSettings } from '../src/devices/webdriver/settings.js';

/** Settings sections that several stages share. */

/** Milliseconds of a day; Node's timers overflow at 24 days. */
const DAY = 86_400_000;

const chance = (usual: number) => z.number().min(0).max(1).default(usual);

/** Surprises of the embedded phone, each with its probability (docs/phone.md). */
const PhoneSettings = z.object({
  slow_page: chance(DEFAULT_SURPRISES.slowPage).describe(
    'probability that a page of the embedded phone first shows a loading screen, which any action passes',
  ),
  cookie_banner: chance(DEFAULT_SURPRISES.cookieBanner).describe(
    'probability that a shop of the embedded phone asks about cookies before anything else can be touched',
  ),
  sponsored: chance(DEFAULT_SURPRISES.sponsored).describe(
    "probability that a shop's results begin with an advertisement",
  ),
  dialog: chance(DEFAULT_SURPRISES.dialog).describe(
    "probability that the embedded phone's browser asks a question when it opens",
  ),
});

/** How the settings call the phone's surprises. */
export function surprisesOf({ phone }: Pick<DeviceSettings, 'phone'>): Surprises {
  const { slow_page, cookie_banner, sponsored, dialog } = phone;
  return { slowPage: slow_page, cookieBanner: cookie_banner, sponsored, dialog };
}

export const DeviceSettings = z.object({
  backend: z
    .enum(['phone', 'browser', 'webdriver'])
    .default('phone')
    .describe(
      'devices to use: the embedded phone, pages in a locally installed Chromium (docs/browser.md), or phones behind Appium, Selenium Grid or a device farm (docs/webdriver.md)',
    ),
  count: z.int().min(1).max(1024).default(64).describe('devices used in parallel'),
  deadline_ms: z.int().min(1).max(DAY).default(30_000).describe('time limit of a call to a device, in milliseconds'),
  grace_ms: z
    .int()
    .min(0)
    .max(DAY)
    .default(POOL_DEFAULTS.graceMs)
    .describe('milliseconds after the deadline at which a device that has not answered counts as hung and is replaced'),
  open_ms: z
    .int()
    .min(1)
    .max(DAY)
    .default(POOL_DEFAULTS.openMs)
    .describe('time limit for opening a device, in milliseconds'),
  close_ms: z
    .int()
    .min(1)
    .max(DAY)
    .default(POOL_DEFAULTS.closeMs)
    .describe('time limit for closing a device, in milliseconds; after that it is abandoned'),
  attempts: z
    .int()
    .min(1)
    .max(100)
    .default(3)
    .describe(
      'attempts at an episode before it is lost; when a device fails, the episode starts over on another one (docs/devices.md)',
    ),
  rest_ms: z
    .int()
    .min(0)
    .max(DAY)
    .default(POOL_DEFAULTS.restMs)
    .describe(
      'longest wait before a failed device is replaced, in milliseconds; doubles with each further failure in a row',
    ),
  longest_rest_ms: z
    .int()
    .min(0)
    .max(DAY)
    .default(POOL_DEFAULTS.longestRestMs)
    .describe('upper limit of that wait, in milliseconds'),
  give_up_after: z
    .int()
    .min(1)
    .max(1000)
    .default(POOL_DEFAULTS.giveUpAfter)
    .describe('consecutive failures of a device and its replacements after which it is no longer replaced'),
  phone: PhoneSettings.prefault({}),
  browser: BrowserSettings.prefault({}),
  webdriver: WebDriverSettings.prefault({}),
});

export const TaskSettings = z.object({
  set: z
    .enum(['webshop', 'general', 'all', 'shop-hard', 'general-hard'])
    .default('webshop')
    .describe(
      'tasks of the embedded phone: shopping in its browser, its settings and clock, or both; the hard sets are longer, and their demonstrations lack skills (docs/phone.md)',
    ),
  train_file: z
    .string()
    .default('')
    .describe(
      "training tasks: a .jsonl file with one task per line, or a text file for devices that need no goal; empty: the embedded phone's own",
    ),
  test_file: z
    .string()
    .default('')
    .describe(
      "test tasks: a text or .jsonl file with one task per line, in the order of the protocol; empty: the embedded phone's own",
    ),
  max_steps: z
    .int()
    .min(1)
    .default(20)
    .describe('maximum actions per episode (10 for AitW General, 20 for Web Shopping; docs/algorithms.md §0)'),
  rows: z.int().min(4).max(99).default(24).describe('rows of the grid that demonstrated taps snap to'),
  columns: z.int().min(4).max(99).default(12).describe('columns of that grid'),
});

export const ModelSettings = z.object({
  policy: z
    .string()
    .default('')
    .describe(
      'folder of an Auto-UI checkpoint (config.json, model.safetensors or pytorch_model.bin, tokenizer.json) to use as `policy/base`; empty: `sft` trains one',
    ),
  image: z
    .string()
    .default('')
    .describe(
      "folder of a BLIP-2 checkpoint whose vision tower computes the image vectors; empty: the pocket policy's own tower, or none with `models.policy`, which is enough to train on imported data but not to act",
    ),
  text: z
    .string()
    .default('')
    .describe(
      "folder of a RoBERTa checkpoint with its tokenizer, the critic's text tower; empty: a new one (`critic.text_width`, ...)",
    ),
  vlm: z
    .string()
    .default('')
    .describe(
      'VLM that computes the representations: its folder, or its name on a server; empty: `vlm` trains the pocket VLM',
    ),
  value: z
    .string()
    .default('')
    .describe(
      'value model of VEM on an OpenAI-compatible server (`value.url`): the folder of its merged weights, or its name there; empty: `value` trains the pocket value model (docs/vem.md)',
    )
    .meta({ added: true }),
});

export const TrainingSettings = z.object({
  keep_state: z
    .boolean()
    .default(true)
    .describe(
      'keep what a training needs to go on from its end with more iterations, in `.spare` of the run folder: the weights, target networks and two moments of the optimizer, about 3 times the size of a policy and 4 times that of a critic; without it, more iterations start over and need --redo. `critiq gc --spare` removes it',
    ),
});

export type TrainingSettings = z.infer<typeof TrainingSettings>;
export type ModelSettings = z.infer<typeof ModelSettings>;
export type DeviceSettings = z.infer<typeof DeviceSettings>;
export type TaskSettings = z.infer<typeof TaskSettings>;
