/**
 * Steps per second (a step is an action and a screenshot) of the embedded phone: in process; behind the real Appium,
 * UiAutomator2 driver and adb; and behind a Selenium Grid with one node per phone. `make test-appium` installs the tools.
 *
 *   npm run bench -- appium -- [--steps N] [--rounds N]
 */
import { parseArgs } from 'node:util';
import { tap, type Action } from '../src/data/action.js';
import type { Device } from '../src/devices/device.js';
import { createPhones, phoneTasks } from '../src/devices/phone/index.js';
import { WebDriverFleet } from '../src/devices/webdriver/fleet.js';
import { rigSettings } from '../test/rigs/appium/rig-settings.js';
import { Rig } from '../test/rigs/appium/rig.js';
import { findTools } from '../test/rigs/appium/tools.js';

const { values: options } = parseArgs({
  options: { steps: { type: 'string', default: '100' }, rounds: { type: 'string', default: '3' } },
});
try {
  findTools();
} catch (error) {
  console.log(`skipped: ${(error as Error).message}; install the tools with make test-appium`);
  process.exit(0);
}

const deadline = { deadlineMs: 30_000 };
const EPISODE = 10;
const tasks = phoneTasks({ set: 'webshop', split: 'train', count: 20, seed: 0 });
/** Opens the browser or another app, types, scrolls and goes back. */
const ACTIONS: readonly Action[] = [
  tap([0.6, 0.4]),
  tap([0.1, 0.5]),
  { type: 'TYPE', text: 'green lamp' },
  { type: 'PRESS_ENTER' },
  { type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.3, 0.5] },
  { type: 'PRESS_BACK' },
];

/** Steps per second: `steps` without, `all` with the resets between episodes. */
async function rate(devices: readonly Device[], steps: number): Promise<{ steps: number; all: number }> {
  const begin = (device: Device, i: number) =>
    device.reset('app', { task: tasks[i % tasks.length], seed: i, ...deadline });
  await Promise.all(devices.map((device) => begin(device, 0)));
  let resetting = 0;
  const start = performance.now();
  await Promise.all(
    devices.map(async (device) => {
      for (let step = 0; step < steps; step++) {
        if (step % EPISODE === 0) {
          const before = performance.now();
          await begin(device, step / EPISODE);
          resetting += performance.now() - before;
        }
        await device.act(ACTIONS[step % ACTIONS.length], deadline);
        await device.screenshot(deadline);
        // Phones in the same process take turns only if one yields.
        await new Promise((next) => setImmediate(next));
      }
    }),
  );
  const all = performance.now() - start;
  const per = (ms: number) => (1000 * devices.length * steps) / ms;
  return { steps: per(all - resetting / devices.length), all: per(all) };
}

const rig = await Rig.start({ phones: 2 });
try {
  const appium = new WebDriverFleet(rigSettings(rig, (await rig.appium()).url));
  const grid = new WebDriverFleet(rigSettings(rig, await rig.grid(), { udids: [] }));
  const paths: readonly [string, (slot: number) => Promise<Device>][] = [
    ['in process', async (slot) => createPhones(2)[slot]],
    ['Appium', (slot) => appium.open(slot)],
    ['Grid', (slot) => grid.open(slot)],
  ];
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const count of [1, 2]) {
      let alone = 0;
      for (const [name, open] of paths) {
        const opening = performance.now();
        const devices = await Promise.all(Array.from({ length: count }, (_, slot) => open(slot)));
        const opened = performance.now() - opening;
        // A step in process takes almost no time, so more steps are measured.
        const { steps, all } = await rate(devices, Number(options.steps) * (name === 'in process' ? 5 : 1));
        await Promise.all(devices.map((device) => device.close()));
        alone ||= steps;
        console.log(
          `${name.padEnd(10)} ${count} device${count > 1 ? 's' : ' '}  ${steps.toFixed(1).padStart(6)} steps/s ` +
            `(1/${(alone / steps).toFixed(1)} of in process), ${all.toFixed(1).padStart(6)} steps/s with resets, opened in ${(opened / 1000).toFixed(2)} s`,
        );
      }
    }
  }
} finally {
  await rig.close();
}
