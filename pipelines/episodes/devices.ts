import { loadHook } from '../../src/devices/browser/hook.js';
import { BrowserProcess } from '../../src/devices/browser/process.js';
import { BrowserDevice } from '../../src/devices/browser/browser.js';
import type { Device } from '../../src/devices/device.js';
import { Phone } from '../../src/devices/phone/index.js';
import { WebDriverFleet } from '../../src/devices/webdriver/fleet.js';
import { webdriverInfluence } from '../../src/devices/webdriver/settings.js';
import type { Config } from '../../src/settings/settings.js';
import type { DeviceSettings } from '../sections.js';

/** Makes the device of a slot, ready for a reset. Slots count from 0; a slot may be filled again after its device has died. */
export type DeviceFactory = (slot: number) => Promise<Device>;

/** The factory of the configured backend. @throws UserError where its settings cannot work */
export function deviceFactory(config: Config): DeviceFactory {
  const { backend, browser, webdriver } = config.device as DeviceSettings;
  switch (backend) {
    case 'phone':
      return async (slot) => new Phone(`phone-${slot}`);
    case 'browser': {
      const shared = new BrowserProcess(browser);
      return async (slot) => {
        const hook = browser.hook === '' ? {} : await loadHook(browser.hook);
        return new BrowserDevice(`browser-${slot}`, shared, browser, hook);
      };
    }
    case 'webdriver': {
      const fleet = new WebDriverFleet(webdriver);
      return (slot) => fleet.open(slot);
    }
  }
}

/**
 * What of the devices decides what comes of an episode, for the fingerprints of stages that run some: nothing for the
 * embedded phone, which was all there was once; how many there are and how patient the pool is decide nothing.
 */
export function deviceInfluence(config: Config): Readonly<Record<string, unknown>> {
  const { backend, browser, webdriver } = config.device as DeviceSettings;
  switch (backend) {
    case 'phone':
      return {};
    case 'browser':
      return { device: { backend, browser } };
    case 'webdriver':
      return { device: { backend, webdriver: webdriverInfluence(webdriver) } };
  }
}

/**
 * Shards at the same time for stages that run episodes: one, unless the devices live in the process. Each shard has a pool
 * of its own, and two would open the same slots.
 */
export function deviceWorkers(config: Config): number | undefined {
  return (config.device as DeviceSettings).backend === 'phone' ? undefined : 1;
}

/** How many devices there are for `device.count` to work on: those that are listed, if any are. */
export function deviceCount(config: Config): number {
  const { backend, count, webdriver } = config.device as DeviceSettings;
  const { length: listed } = webdriver.udids;
  return backend === 'webdriver' && listed > 0 ? Math.min(count, listed) : count;
}

/** What the server of the devices says that it is, for people; '' where there is none. @throws UserError where it is not there */
export async function deviceServer(config: Config): Promise<string> {
  const { backend, webdriver } = config.device as DeviceSettings;
  if (backend !== 'webdriver') return '';
  const { name, ready } = await new WebDriverFleet(webdriver).status();
  return `${name} at ${webdriver.url}${ready ? '' : ' (not ready, it says)'}: `;
}
