/** A phone that answers slowly: its old page for a while, then white, then the new page, which may move before it rests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePng } from '../../../src/data/formats/png.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { settledScreen } from '../../../src/devices/webdriver/screen.js';
import { WebDriverSettings } from '../../../src/devices/webdriver/settings.js';
import { FakeClock } from '../../rigs/fake-clock.js';
import { deviceOf, PATIENT, tapAt } from '../../rigs/webdriver/rig.js';
import { ScriptedServer } from '../../rigs/webdriver/server.js';

/** A page in one shade, with a bar of another on top: its name is the shade. */
function page(shade: number, bar = 3): Frame {
  const [width, height] = [20, 60];
  const rgba = new Uint8ClampedArray(4 * width * height).fill(shade);
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  for (let i = 0; i < 4 * width * bar; i++) if (i % 4 < 3) rgba[i] = 90;
  return { width, height, rgba };
}

const OLD = 10;
const NEW = 200;
/** White below a status bar: not of a single colour. */
const WHITE = 252;

type Shades = (ms: number) => number;

/**
 * The screen that critiq takes after an action at 0 ms, and when.
 * @param shades the page's shade by time
 */
async function taken(shades: Shades, settings: object, deadlineMs = 30_000) {
  const clock = new FakeClock();
  let shots = 0;
  const session = {
    // a screenshot takes 150 ms
    async read(): Promise<string> {
      shots++;
      const png = await encodePng(page(shades(clock.now())));
      await new Promise<void>((resolve) => clock.after(150, resolve));
      return png.toString('base64');
    },
  };
  const left = () => Math.max(1, deadlineMs - clock.now());
  const work = settledScreen(session, WebDriverSettings.parse(settings), 0, left, clock);
  const { rgba } = await patiently(clock, work);
  return { shade: rgba.at(-4), ms: clock.now(), shots };
}

/** Moves the clock until the work is over; encoding a picture takes real time, in which no timer may be due. */
async function patiently<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let over = false;
  const done = (): void => void (over = true);
  work.then(done, done);
  while (!over) {
    if (clock.pending > 0) await clock.advance(50);
    else await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return work;
}

/** The old page for 2 s, white for 2 s, then the new page, which rests 600 ms later. */
const slowly: Shades = (ms) =>
  ms < 2000 ? OLD : ms < 4000 ? WHITE : ms < 4600 ? NEW - 1 - Math.floor((ms - 4000) / 50) : NEW;

test('with the published wait the new page is taken, at rest', async () => {
  const { shade, ms, shots } = await taken(slowly, {});
  assert.equal(shade, NEW);
  assert.ok(ms >= 5000 && ms < 6000, `${ms}`);
  assert.equal(shots, 2);
});

test('two equal pictures of the old page do not end the wait, however often they are equal', async () => {
  const { shade } = await taken(slowly, { settle_min_ms: 2100 });
  assert.equal(shade, NEW, 'white is still, but not a page');
  const hasty = await taken(slowly, { settle_min_ms: 0 });
  assert.equal(hasty.shade, OLD, 'what the minimum is for');
});

test('a page that becomes white late is waited for, at most for blank_ms', async () => {
  const late: Shades = (ms) => (ms < 4900 ? OLD : ms < 8000 ? WHITE : NEW);
  assert.equal((await taken(late, {})).shade, NEW);
  const accepted = await taken(() => WHITE, {});
  assert.equal(accepted.shade, WHITE);
  assert.ok(accepted.ms >= 10_000 && accepted.ms < 11_000, `${accepted.ms}`);
  assert.ok((await taken(() => WHITE, { blank_ms: 0 })).ms < 6000);
});

test('a page that never rests is taken after settle_ms, or shortly before the deadline', async () => {
  const restless: Shades = (ms) => 100 + (Math.floor(ms / 50) % 100);
  const { ms } = await taken(restless, { settle_ms: 7000 });
  assert.ok(ms >= 7000 && ms < 8000, `${ms}`);
  const hurried = await taken(restless, {}, 6500);
  assert.ok(hurried.ms < 6500, `${hurried.ms}`);
  const short = await taken(slowly, {}, 3000);
  assert.ok(short.ms < 3000, `${short.ms}`);
});

test('settle_ms=0 takes the first screenshot; a shorter settle_ms also shortens the minimum', async () => {
  const first = await taken(slowly, { settle_ms: 0, blank_ms: 0 });
  assert.deepEqual([first.shots, first.shade], [1, OLD]);
  const { ms } = await taken(() => NEW, { settle_ms: 1000 });
  assert.ok(ms >= 1000 && ms < 1500, `${ms}`);
});

test('on a device: the screenshot after an action waits; typing waits for the focus', async (t) => {
  let tappedAt = Infinity;
  let looks = 0;
  const server = await ScriptedServer.start(t, {
    behave({ path, method }) {
      if (path === '/actions') tappedAt = performance.now();
      if (path === '/screenshot' && performance.now() < tappedAt + 400 && tappedAt < Infinity) return 'blank';
      // the field gets the focus late
      if (path === '/element/active' && method === 'GET' && looks++ < 2) return 'no focus';
      return 'well';
    },
  });
  const device = await deviceOf(t, server, { settle_min_ms: 500, settle_ms: 20_000, typing_min_ms: 0 });
  await device.act(tapAt(1, 584), PATIENT);
  const { rgba } = await device.screenshot(PATIENT);
  assert.ok(
    rgba.some((value) => value !== 255),
    'not the white page',
  );
  assert.ok(performance.now() - tappedAt >= 500);
  Object.assign(server.phones.get('emulator-5554')!.state, { focus: 'search' });
  const { applied } = await device.act({ type: 'TYPE', text: 'a' }, PATIENT);
  assert.equal(applied, 'yes');
  assert.equal(looks, 3);
});
