import type { Device } from '../src/devices/device.js';
import { Phone } from '../src/devices/phone/index.js';
import type { Config } from '../src/settings.js';
import type { DeviceSettings } from './sections.js';

/** Makes the device of a slot, ready for a reset. Slots count from 0; a slot may be filled again after its device has died. */
export type DeviceFactory = (slot: number) => Promise<Device>;

/** The factory of the configured backend. @throws UserError where its settings cannot work */
export function deviceFactory(config: Config): DeviceFactory {
  const { backend } = config.device as DeviceSettings;
  switch (backend) {
    case 'phone':
      return async (slot) => new Phone(`phone-${slot}`);
  }
}
