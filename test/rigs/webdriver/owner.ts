/** A process that opens a device of a server, prints "open", and keeps it until it is killed. Arguments: URL, folder of leases, udid. */
import { join } from 'node:path';
import { WebDriverFleet } from '../../../src/devices/webdriver/fleet.js';
import { DeviceLeases } from '../../../src/devices/webdriver/leases.js';
import { SessionRecords } from '../../../src/devices/webdriver/records.js';
import { settingsOf } from './rig.js';

const [url, folder, udid] = process.argv.slice(2);
const leases = new DeviceLeases(join(folder, 'leases'));
const records = new SessionRecords(join(folder, 'sessions'));
const fleet = new WebDriverFleet(settingsOf({ url }, udid ? { udids: [udid] } : {}), { leases, records });
await fleet.open(0);
console.log('open');
setInterval(() => undefined, 1000);
