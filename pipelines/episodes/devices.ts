import { isDeepStrictEqual } from 'node:util';
import { loadHook } from '../../src/devices/browser/hook.js';
import { BrowserProcess } from '../../src/devices/browser/process.js';
import { BrowserDevice } from '../../src/devices/browser/browser.js';
import type { Device } from '../../src/devices/device.js';
import { DEFAULT_SURPRISES, Phone } from '../../src/devices/phone/index.js';
import { WebDriverFleet } from '../../src/devices/webdriver/fleet.js';
import { webdriverInfluence } from '../../src/devices/webdriver/settings.js';
import type { Config } from '../../src/settings/settings.js';
import { extensions, influenceOf, settingsOf } from '../plugins/extensions.js';
import { surprisesOf, type DeviceSettings } from '../sections.js';

/** Opens the device of a slot, ready for a reset. Slots count from 0; when a device dies, its slot gets a new one. */
export type DeviceFactory = (slot: number) => Promise<Device>;

/** The factory of the configured backend. @throws UserError if its settings cannot work */
export function deviceFactory(config: Config): DeviceFactory {
  const { backend, browser, webdriver } = config.device as DeviceSettings;
  const own = extensions().devices.get(backend);
  if (own) return async (slot) => own.open(slot, settingsOf(config.device, backend));
  switch (backend) {
    case 'phone':
      return async (slot) => new Phone(`phone-${slot}`, { surprises: surprisesOf(config.device as DeviceSettings) });
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
 * Device settings that affect the outcome of an episode, for the fingerprints of stages that run episodes. The number of
 * devices and the time limits do not. Empty for the embedded phone with its usual surprises: runs from before there were
 * other backends stay valid.
 */
export function deviceInfluence(config: Config): Readonly<Record<string, unknown>> {
  const { backend, phone, browser, webdriver } = config.device as DeviceSettings;
  const own = extensions().devices.get(backend);
  if (own) return { device: { backend, ...influenceOf(own, config.device, backend) } };
  switch (backend) {
    case 'phone':
      return isDeepStrictEqual(surprisesOf({ phone }), DEFAULT_SURPRISES) ? {} : { device: { backend, phone } };
    case 'browser':
      return { device: { backend, browser } };
    case 'webdriver':
      return { device: { backend, webdriver: webdriverInfluence(webdriver) } };
  }
}

/**
 * Parallel shards of stages that run episodes: one, unless the devices live in this process. Each shard has a pool of its
 * own, and two pools would open the same slots.
 */
export function deviceWorkers(config: Config): number | undefined {
  const { backend } = config.device as DeviceSettings;
  return backend === 'phone' || extensions().devices.get(backend)?.parallel ? undefined : 1;
}

/** Number of parallel devices: `device.count`, or fewer if the backend has fewer. */
export function deviceCount(config: Config): number {
  const { backend, count, webdriver } = config.device as DeviceSettings;
  const own = extensions().devices.get(backend);
  if (own) return Math.min(count, own.count?.(settingsOf(config.device, backend)) ?? count);
  const { length: listed } = webdriver.udids;
  return backend === 'webdriver' && listed > 0 ? Math.min(count, listed) : count;
}

/** Name and address of the devices' server, for messages; '' without one. @throws UserError if it cannot be reached */
export async function deviceServer(config: Config): Promise<string> {
  const { backend, webdriver } = config.device as DeviceSettings;
  if (backend !== 'webdriver') return '';
  const { name, ready } = await new WebDriverFleet(webdriver).status();
  return `${name} at ${webdriver.url}${ready ? '' : ' (reports not ready)'}: `;
}
