import { z } from 'zod';

/** Milliseconds; timers hold 24 days. */
const Milliseconds = z.int().min(0).max(86_400_000);

/** The name of an environment variable, or nothing. */
const Variable = z.string().regex(/^([A-Za-z_][A-Za-z0-9_]*)?$/, 'the name of an environment variable');

const Pattern = z.string().max(4096).refine(isPattern, 'a regular expression as JavaScript has them');

/** A regular expression that can be compiled. */
function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

const Arguments = z.record(z.string(), z.unknown());

/** A command of the driver's own, such as `mobile: deepLink`. */
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
      'where the server is, with its path: Appium 2 and 3 and Selenium Grid 4 have none, Appium 1, Grid 3 and most farms /wd/hub',
    ),
  user_env: Variable.default('').describe('environment variable with the user name for the server; empty: none'),
  key_env: Variable.default('').describe('environment variable with the password or access key for the server'),
  capabilities: Arguments.default({
    platformName: 'Android',
    'appium:automationName': 'UiAutomator2',
    'appium:newCommandTimeout': 300,
  }).describe(
    'capabilities of each session; {slot}, {slot+8200}, {udid} and ${ENV:NAME} stand for the number of the device, a port of its own, its udid and an environment variable',
  ),
  udids: z
    .array(z.string().min(1).max(256))
    .max(1024)
    .default([])
    .describe(
      'devices to use, as `adb devices` names them; each has one session at a time, whichever critiq opened it. Empty: the server chooses (farms, Grid)',
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
      'what the driver counts touches in: pixels of its screenshots (UiAutomator2), or units of its window (drivers that scale)',
    ),
  tap_ms: Milliseconds.default(80).describe('milliseconds that a tap holds the finger down'),
  swipe_ms: Milliseconds.default(500).describe('milliseconds that a swipe takes'),
  reset: z
    .enum(['app', 'snapshot', 'recreate'])
    .default('app')
    .describe(
      'what each episode begins with: apps stopped and started, an emulator snapshot loaded, or a new session (a new device on a farm)',
    ),
  app: z
    .string()
    .max(256)
    .default('')
    .describe('package of the app that each episode begins with, started anew; empty: the home screen'),
  clear: z.boolean().default(false).describe('delete the data of `app` at each reset'),
  stop: z
    .array(z.string().min(1).max(256))
    .max(64)
    .default([])
    .describe('packages of apps that are stopped at each reset, beside `app`'),
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
      'commands {script, args} at the end of each reset, in their order; {task}, {task.id}, {task.text}, {task.family}, {task.goal}, {task.goal.KEY}, {seed} and {slot} stand for those of the episode, {task.text|uri}, |sh and |base64 for them as parts of a URL, of a command of a shell, or in base64',
    ),
  ready: z
    .object({
      script: z
        .string()
        .max(65_536)
        .default('')
        .describe('command that is asked again and again after a reset; empty: none'),
      args: Arguments.default({}).describe('its arguments'),
      matches: Pattern.default('').describe('what its answer matches once the device is ready'),
    })
    .prefault({}),
  reward: z
    .object({
      script: z
        .string()
        .max(65_536)
        .default('')
        .describe(
          'command that is asked after each reset and action how the task stands; empty: the device does not know',
        ),
      args: Arguments.default({}).describe('its arguments, with the placeholders of `prepare`'),
      success: Pattern.default('^(true|1)$').describe('what its answer matches when the task is achieved'),
      done: Pattern.default('').describe('what its answer matches when the task is over by itself; empty: never'),
    })
    .prefault({}),
  settle_ms: Milliseconds.default(1000).describe(
    'milliseconds to wait at most, after an action, until two screenshots in a row are the same; 0: the first one is taken',
  ),
  blank_ms: Milliseconds.default(2000).describe(
    'milliseconds for which a screenshot of one colour is taken again; then it is believed',
  ),
  ready_ms: Milliseconds.default(30_000).describe(
    'milliseconds to wait at most for a device to be ready after a reset',
  ),
  command_ms: Milliseconds.min(1).default(30_000).describe('milliseconds that one command of a reset may take'),
  reset_ms: Milliseconds.min(1)
    .default(180_000)
    .describe('milliseconds that a whole reset may take, with a new session if one is needed'),
  session_ms: Milliseconds.min(1).default(120_000).describe('milliseconds that a new session may take'),
  server_ms: Milliseconds.default(15_000).describe('milliseconds to wait for a server that is not there, or restarts'),
  read_retries: z
    .int()
    .min(0)
    .max(100)
    .default(2)
    .describe('how often a screenshot that failed is asked for again, within its deadline; actions never are'),
  recording: z
    .enum(['none', 'media_projection', 'screenrecord'])
    .default('none')
    .describe(
      "how the device films itself: not at all (videos are made of screenshots), by Appium Settings' media projection, or by `screenrecord`",
    ),
});
export type WebDriverSettings = z.infer<typeof WebDriverSettings>;

/**
 * What of these settings decides what comes of an episode. Which server and which of several equal devices it is, how it is
 * signed in to and how patient one is, decide nothing.
 */
export function webdriverInfluence(settings: WebDriverSettings): Partial<WebDriverSettings> {
  const { typing, press, coordinates, tap_ms, swipe_ms, settle_ms, capabilities } = settings;
  const { reset, app, clear, stop, snapshot, prepare, ready, reward } = settings;
  return {
    capabilities,
    ...{ typing, press, coordinates, tap_ms, swipe_ms, settle_ms },
    ...{ reset, app, clear, stop, snapshot, prepare, ready, reward },
  };
}
