import { after, test, type TestContext } from 'node:test';
import { WebDriverSettings } from '../src/devices/webdriver-settings.js';
import type { Rig } from './rig/rig.js';
import { findTools } from './rig/tools.js';

/** Why the tests that need Appium, adb and Grid are left out; false where they are there, or where none may be left out. */
function missing(): string | false {
  try {
    findTools();
    return false;
  } catch (error) {
    if (process.env.CRITIQ_NO_SKIP === '1') return false;
    const reason = `NO APPIUM, NOT TESTED: ${(error as Error).message}; make test-appium installs what is missing`;
    console.error(`\n*** ${reason} ***\n`);
    return reason;
  }
}

const skip = missing();

/** A test that needs Appium and what goes with it. */
export function appiumTest(name: string, body: (t: TestContext) => Promise<void>): void {
  test(name, { skip, timeout: 300_000 }, body);
}

/** Something that all tests of a file share: made when it is first asked for, closed after the last. */
export function shared<T extends { close(): Promise<void> }>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  after(async () => (await made)?.close());
  return () => (made ??= make());
}

/** What an Appium is to know of the phones of a rig, and how critiq begins and judges episodes on them. */
export function rigSettings(rig: Rig, url: string, more: Readonly<Record<string, unknown>> = {}): WebDriverSettings {
  const shell = (command: string, ...args: string[]) => ({ script: 'mobile: shell', args: { command, args } });
  const { capabilities, ...others } = more as { capabilities?: object };
  return WebDriverSettings.parse({
    url,
    udids: rig.udids,
    capabilities: {
      platformName: 'Android',
      'appium:automationName': 'UiAutomator2',
      'appium:adbPort': rig.adbPort,
      'appium:newCommandTimeout': 60,
      // the phone has the server, and needs neither the settings app nor a log
      'appium:skipServerInstallation': true,
      'appium:skipDeviceInitialization': true,
      'appium:skipUnlock': true,
      'appium:skipLogcatCapture': true,
      ...capabilities,
    },
    prepare: [
      shell('am', 'start', '-n', 'critiq.phone/.Main', '--es', 'goal', '{task.goal|sh}', '--es', 'seed', '{seed|sh}'),
    ],
    reward: { ...shell('settings', 'get', 'global', 'critiq_achieved'), success: '^1' },
    // the phone moves only when it is touched
    settle_ms: 0,
    tap_ms: 10,
    swipe_ms: 50,
    ...others,
  });
}
