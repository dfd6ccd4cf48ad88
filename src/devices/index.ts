/**
 * Devices, and the pool that lends them to episodes.
 *
 * @module critiq/devices
 */
export {
  ACTION_TYPES,
  endsEpisode,
  isTap,
  tap,
  TAP_DISTANCE,
  type Action,
  type ActionType,
  type Point,
} from '../data/action.js';
export type { Frame } from '../data/formats/frame.js';
export { decodePng, encodePng } from '../data/formats/png.js';
export type { Task } from '../data/task.js';
export { readTaskList } from '../data/task-list.js';
export type { Applied, Deadline, Device, ResetLevel } from './device.js';
export { DevicePool, POOL_DEFAULTS, type PoolEvent, type PoolOptions, type PoolStatus } from './pool/pool.js';
export { Lease } from './pool/lease.js';
export { Phone, phoneTasks } from './phone/index.js';
export { BrowserProcess } from './browser/process.js';
export { BrowserDevice } from './browser/browser.js';
export { BrowserSettings } from './browser/settings.js';
export { WebDriverFleet } from './webdriver/fleet.js';
export { WebDriverSettings } from './webdriver/settings.js';
