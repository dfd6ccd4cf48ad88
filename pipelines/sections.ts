import { z } from 'zod';
import { BrowserSettings } from '../src/devices/browser/settings.js';
import { POOL_DEFAULTS } from '../src/devices/pool/pool.js';
import { WebDriverSettings } from '../src/devices/webdriver/settings.js';

/** Sections of the settings that several stages share. */

/** Milliseconds; timers hold 24 days. */
const DAY = 86_400_000;

export const DeviceSettings = z.object({
  backend: z
    .enum(['phone', 'browser', 'webdriver'])
    .default('phone')
    .describe(
      'what is driven: the embedded phone, pages in a Chromium that is installed here (docs/browser.md), or phones behind Appium, Selenium Grid or a farm (docs/webdriver.md)',
    ),
  count: z.int().min(1).max(1024).default(64).describe('devices at work at the same time'),
  deadline_ms: z.int().min(1).max(DAY).default(30_000).describe('milliseconds a call to a device may take'),
  grace_ms: z
    .int()
    .min(0)
    .max(DAY)
    .default(POOL_DEFAULTS.graceMs)
    .describe('milliseconds after the deadline at which a device that has not answered is taken for hung and replaced'),
  open_ms: z
    .int()
    .min(1)
    .max(DAY)
    .default(POOL_DEFAULTS.openMs)
    .describe('milliseconds that it may take to open a device'),
  close_ms: z
    .int()
    .min(1)
    .max(DAY)
    .default(POOL_DEFAULTS.closeMs)
    .describe('milliseconds that it may take to close one; then it is left to itself'),
  attempts: z
    .int()
    .min(1)
    .max(100)
    .default(3)
    .describe(
      'how often an episode is begun before it is lost: where a device fails, it is begun anew on another (docs/devices.md)',
    ),
  rest_ms: z
    .int()
    .min(0)
    .max(DAY)
    .default(POOL_DEFAULTS.restMs)
    .describe('milliseconds at most until a failed device is replaced; doubled with each further failure in a row'),
  longest_rest_ms: z
    .int()
    .min(0)
    .max(DAY)
    .default(POOL_DEFAULTS.longestRestMs)
    .describe('the longest of these waits, in milliseconds'),
  give_up_after: z
    .int()
    .min(1)
    .max(1000)
    .default(POOL_DEFAULTS.giveUpAfter)
    .describe('failures of a device and its replacements in a row after which it is not replaced any more'),
  browser: BrowserSettings.prefault({}),
  webdriver: WebDriverSettings.prefault({}),
});

export const TaskSettings = z.object({
  set: z
    .enum(['webshop', 'general', 'all'])
    .default('webshop')
    .describe('which tasks of the phone: shops in the browser, settings and clock, or both'),
  train_file: z
    .string()
    .default('')
    .describe(
      "text file with a training task on each line, or for browsers and WebDriver a .jsonl file of tasks; empty: the embedded phone's own tasks",
    ),
  test_file: z
    .string()
    .default('')
    .describe(
      "text or .jsonl file with a test task on each line, in the order of the protocol; empty: the phone's own",
    ),
  max_steps: z
    .int()
    .min(1)
    .default(20)
    .describe(
      'an episode ends after this many actions (10 for AitW General, 20 for Web Shopping; docs/algorithms.md §0)',
    ),
  rows: z.int().min(4).max(99).default(24).describe('rows of the grid that demonstrated taps are snapped to'),
  columns: z.int().min(4).max(99).default(12).describe('columns of that grid'),
});

export const ModelSettings = z.object({
  policy: z
    .string()
    .default('')
    .describe(
      'folder of an Auto-UI checkpoint (config.json, model.safetensors or pytorch_model.bin, tokenizer.json) that becomes `policy/base`; empty: `sft` trains one',
    ),
  image: z
    .string()
    .default('')
    .describe(
      "folder of a BLIP-2 checkpoint whose vision tower makes the image vectors; empty: the policy's own pocket tower, or with `models.policy` none: enough to train on imported data, not to act",
    ),
  text: z
    .string()
    .default('')
    .describe(
      "folder of a RoBERTa checkpoint with its tokenizer: the critic's text tower; empty: a fresh one (`critic.text_width`, ...)",
    ),
  vlm: z
    .string()
    .default('')
    .describe(
      'the VLM that makes representations: a folder of it, or the name under which a server has it; empty: `vlm` trains the pocket VLM',
    ),
});

export type ModelSettings = z.infer<typeof ModelSettings>;
export type DeviceSettings = z.infer<typeof DeviceSettings>;
export type TaskSettings = z.infer<typeof TaskSettings>;
