import { z } from 'zod';
import { credentialIn } from '../../secrets/known.js';

/** Milliseconds; timers hold 24 days. */
const Milliseconds = z.int().min(0).max(86_400_000);

/** The name of an environment variable, or empty. */
const Variable = z.string().regex(/^([A-Za-z_][A-Za-z0-9_]*)?$/, 'the name of an environment variable');

const Pattern = z.string().max(4096).refine(isPattern, "a regular expression in JavaScript's syntax");

/** Whether a text compiles as a regular expression. */
function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

const Arguments = z.record(z.string(), z.unknown());

/** Arguments without keys, since settings are stored. */
const Capabilities = Arguments.refine((value) => credentialIn(value) === undefined, {
  error: ({ input }) =>
    `no key in the settings, which are stored: put ${credentialIn(input)} into an environment variable, and write "\${ENV:NAME}" in its place`,
});

/** One of the driver's own commands, such as `mobile: deepLink`. */
const Command = z.strictObject({
  script: z.string().min(1).max(65_536),
  args: Arguments.default({}),
});
export type Command = z.infer<typeof Command>;

/** Settings of the webdriver backend (`device.webdriver`); docs/webdriver.md has complete examples. */
export const WebDriverSettings = z.object({
  url: z
    .string()
    .regex(/^https?:\/\/[^\s@?#]+$/, 'http:// or https://, a host, and no password: see user_env and key_env')
    .default('http://127.0.0.1:4723')
    .describe(
      "the server's URL with its path: none for Appium 2 and 3 and Selenium Grid 4, /wd/hub for Appium 1, Grid 3 and most farms",
    ),
  user_env: Variable.default('').describe('environment variable with the user name for the server; empty: none'),
  key_env: Variable.default('').describe('environment variable with the password or access key for the server'),
  capabilities: Capabilities.default({
    platformName: 'Android',
    'appium:automationName': 'UiAutomator2',
    'appium:newCommandTimeout': 300,
  }).describe(
    "capabilities of each session; {slot}, {slot+8200}, {udid} and ${ENV:NAME} stand for the device's number, a port of its own, its udid and an environment variable",
  ),
  udids: z
    .array(z.string().min(1).max(256))
    .max(1024)
    .default([])
    .describe(
      'devices to use, as listed by `adb devices`; each has one session at a time, across all critiq processes. Empty: the server chooses (farms, Grid)',
    ),
  typing: z
    .enum(['active', 'type', 'keys'])
    .default('active')
    .describe(
      "how text is typed: into the focused element, by the driver's `mobile: type`, or key by key (W3C key actions)",
    ),
  press: z
    .enum(['mobile', 'press_keycode'])
    .default('mobile')
    .describe('how back, home and enter are pressed: by `mobile: pressKey`, or by the older press_keycode'),
  coordinates: z
    .enum(['screenshot', 'window'])
    .default('screenshot')
    .describe(
      'units of touch coordinates: pixels of the screenshots (UiAutomator2), or units of the window (drivers that scale)',
    ),
  tap_ms: Milliseconds.default(80).describe('milliseconds that a tap holds the finger down'),
  swipe_ms: Milliseconds.default(500).describe('duration of a swipe in milliseconds'),
  reset: z
    .enum(['app', 'snapshot', 'recreate'])
    .default('app')
    .describe(
      'how each episode starts: apps are stopped and started, an emulator snapshot is loaded, or a session is opened (on a farm, a new device)',
    ),
  app: z
    .string()
    .max(256)
    .default('')
    .describe('package of the app that is restarted for each episode; empty: each episode starts at the home screen'),
  clear: z.boolean().default(false).describe('delete the data of `app` at each reset'),
  stop: z
    .array(z.string().min(1).max(256))
    .max(64)
    .default([])
    .describe('packages of further apps to stop at each reset'),
  snapshot: z
    .string()
    .regex(/^[\w.+-]{0,100}$/, 'letters, digits, _ . + -')
    .default('')
    .describe('name of the emulator snapshot that reset=snapshot loads'),
  prepare: z
    .array(Command)
    .max(64)
    .default([])
    .describe(
      "commands {script, args} to run in order at the end of each reset; {task}, {task.id}, {task.text}, {task.family}, {task.goal}, {task.goal.KEY}, {seed} and {slot} stand for the episode's values; a filter such as {task.text|uri} escapes a value for a URL, |sh for a shell command, |base64 encodes it",
    ),
  ready: z
    .object({
      script: z
        .string()
        .max(65_536)
        .default('')
        .describe('command that is polled after a reset until its answer matches; empty: none'),
      args: Arguments.default({}).describe('arguments of `ready.script`'),
      matches: Pattern.default('').describe('regular expression that the answer matches once the device is ready'),
    })
    .prefault({}),
  reward: z
    .object({
      script: z
        .string()
        .max(65_536)
        .default('')
        .describe(
          "command that returns the task's state, called after each reset and each action; empty: the device does not know it",
        ),
      args: Arguments.default({}).describe('arguments of `reward.script`, with the placeholders of `prepare`'),
      success: Pattern.default('^(true|1)$').describe(
        'regular expression that the answer matches when the task is achieved',
      ),
      done: Pattern.default('').describe(
        'regular expression that the answer matches when the task has ended by itself; empty: never',
      ),
    })
    .prefault({}),
  settle_min_ms: Milliseconds.default(5000).describe(
    'milliseconds to wait at least after an action before a screenshot (published: 5 s), since until then two equal ones may both show the page before it; at most `settle_ms`',
  ),
  settle_ms: Milliseconds.default(10_000).describe(
    'milliseconds to wait at most after an action until two screenshots in a row are equal; 0: the first one is taken',
  ),
  blank_ms: Milliseconds.default(5000).describe(
    'milliseconds for which a screenshot of a single colour, or mostly white, is taken again after `settle_min_ms`; after that it is accepted',
  ),
  typing_min_ms: Milliseconds.default(4000).describe(
    'milliseconds between an action and typing at least (published: 4 s), for the field to get the focus and the keyboard to open; at most `settle_ms`',
  ),
  ready_ms: Milliseconds.default(30_000).describe(
    'longest wait in milliseconds for a device to become ready after a reset',
  ),
  command_ms: Milliseconds.min(1).default(30_000).describe('milliseconds that one command of a reset may take'),
  reset_ms: Milliseconds.min(1)
    .default(180_000)
    .describe('milliseconds that a whole reset may take, with a new session if one is needed'),
  session_ms: Milliseconds.min(1).default(120_000).describe('milliseconds that a new session may take'),
  server_ms: Milliseconds.default(15_000).describe(
    'milliseconds to wait for a server that does not answer or restarts',
  ),
  read_retries: z
    .int()
    .min(0)
    .max(100)
    .default(2)
    .describe('retries of a failed screenshot within its deadline; actions are never retried'),
  recording: z
    .enum(['none', 'media_projection', 'screenrecord'])
    .default('none')
    .describe(
      "how the device films itself: not at all (videos are made from screenshots), by Appium Settings' media projection, or by `screenrecord`",
    ),
});
export type WebDriverSettings = z.infer<typeof WebDriverSettings>;

/**
 * The settings that influence an episode's result. The server, the choice among equal devices, credentials and timeouts do
 * not.
 */
export function webdriverInfluence(settings: WebDriverSettings): Partial<WebDriverSettings> {
  const { typing, press, coordinates, tap_ms, swipe_ms, capabilities } = settings;
  const { settle_min_ms, settle_ms, blank_ms, typing_min_ms } = settings;
  const { reset, app, clear, stop, snapshot, prepare, ready, reward } = settings;
  return {
    capabilities,
    ...{ typing, press, coordinates, tap_ms, swipe_ms, settle_min_ms, settle_ms, blank_ms, typing_min_ms },
    ...{ reset, app, clear, stop, snapshot, prepare, ready, reward },
  };
}
