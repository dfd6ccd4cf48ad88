/** A process with a browser, for tests that kill it: prints the browser's process id and waits. */
import { BrowserProcess } from '../../../src/devices/browser/process.js';
import { BrowserSettings } from '../../../src/devices/browser/settings.js';
import { BrowserDevice } from '../../../src/devices/browser/browser.js';
import { PATIENT, taskAt, WEB } from './rig.js';

const settings = BrowserSettings.parse({ folder: WEB });
const browser = new BrowserProcess(settings);
const device = new BrowserDevice('browser-0', browser, settings);
await device.reset('app', { task: taskAt('menu.html'), seed: 0, ...PATIENT });
console.log(browser.pid);
setInterval(() => undefined, 1000);
