/**
 * Steps per second (a step is an action and a screenshot) on the static web tasks of examples/web, with several sessions
 * in one browser.
 *
 *   npm run bench -- browser -- [--steps N] [--rounds N]
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tap, type Action } from '../src/data/action.js';
import { BrowserProcess } from '../src/devices/browser/process.js';
import { BrowserSettings } from '../src/devices/browser/settings.js';
import { BrowserDevice } from '../src/devices/browser/browser.js';

const { values: options } = parseArgs({
  options: { steps: { type: 'string', default: '60' }, rounds: { type: 'string', default: '3' } },
});
const settings = BrowserSettings.parse({ folder: fileURLToPath(new URL('../../examples/web', import.meta.url)) });
const patient = { ...settings, await_release: true };
const browser = new BrowserProcess(settings);
const deadline = { deadlineMs: 30_000 };
/** Pages and actions of episodes of ten steps: taps that open a menu, taps and text in a form, swipes. */
const EPISODES: readonly { url: string; actions: readonly Action[] }[] = [
  { url: 'menu.html?seed={seed}', actions: [tap([0.03, 0.94]), tap([0.1, 0.7])] },
  { url: 'form.html?seed={seed}', actions: [tap([0.13, 0.5]), { type: 'TYPE', text: 'Ada' }] },
  { url: 'list.html?seed={seed}', actions: [{ type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.2, 0.5] }] },
];

/** Steps per second: `steps` without, `all` with the resets between episodes. */
async function rate(sessions: number, steps: number, own: BrowserSettings): Promise<{ steps: number; all: number }> {
  const devices = Array.from({ length: sessions }, (_, i) => new BrowserDevice(`browser-${i}`, browser, own));
  const begin = (device: BrowserDevice, episode: number) => {
    const { url } = EPISODES[episode % EPISODES.length];
    const task = { id: `bench-${episode}`, text: '', family: 'bench', goal: { url } };
    return device.reset('app', { task, seed: episode, ...deadline });
  };
  // Warm-up: start the browser and load the pages.
  await Promise.all(devices.map((device) => begin(device, 0)));
  let resetting = 0;
  const start = performance.now();
  await Promise.all(
    devices.map(async (device) => {
      for (let step = 0; step < steps; step++) {
        const episode = Math.floor(step / 10);
        if (step % 10 === 0) {
          const before = performance.now();
          await begin(device, episode);
          resetting += performance.now() - before;
        }
        const { actions } = EPISODES[episode % EPISODES.length];
        await device.act(actions[step % actions.length], deadline);
        await device.screenshot(deadline);
      }
    }),
  );
  const all = performance.now() - start;
  await Promise.all(devices.map((device) => device.close()));
  const per = (ms: number) => (1000 * sessions * steps) / ms;
  return { steps: per(all - resetting / sessions), all: per(all) };
}

for (let round = 0; round < Number(options.rounds); round++) {
  for (const sessions of [1, 2, 4]) {
    const { steps, all } = await rate(sessions, Number(options.steps), settings);
    const { steps: released } = await rate(sessions, Number(options.steps), patient);
    console.log(
      `${sessions} session${sessions > 1 ? 's' : ' '}  ${steps.toFixed(1).padStart(5)} steps/s, ${all.toFixed(1).padStart(5)} with resets, ` +
        `${released.toFixed(1).padStart(5)} with await_release`,
    );
  }
}
process.exit(0);
