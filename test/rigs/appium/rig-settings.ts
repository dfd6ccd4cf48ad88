import { WebDriverSettings } from '../../../src/devices/webdriver/settings.js';
import type { Rig } from './rig.js';

/** Settings of the webdriver backend for a rig's phones: capabilities, and how episodes start and are judged. */
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
      // the phone already has the server, and needs neither the settings app nor a log
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
    // some of its pages are mostly white
    blank_ms: 500,
    tap_ms: 10,
    swipe_ms: 50,
    ...others,
  });
}
