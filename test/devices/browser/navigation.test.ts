import assert from 'node:assert/strict';
import { BrowserSettings } from '../../../src/devices/browser/settings.js';
import { BrowserDevice } from '../../../src/devices/browser/browser.js';
import { browserTest, folderOf, openDevice, page, PATIENT, taskAt, tapAt } from '../../rigs/browser/rig.js';

/** A page whose reward is its number. */
const numbered = (n: number, body: string) => page(`<script>critiq = { reward: ${n} }</script>${body}`);
const folder = folderOf({
  'one.html': numbered(1, '<a href="two.html">two</a><button onclick="window.open(\'three.html\')">three</button>'),
  'two.html': numbered(2, '<a href="one.html">one</a><a href="#part" onclick="critiq.reward = 2.5">part</a>'),
  'three.html': numbered(3, '<button onclick="window.close()">close</button>'),
  'storm.html': numbered(
    0,
    '<button onclick="for (let i = 0; i < 30; i++) window.open(\'three.html?\' + i)">storm</button>',
  ),
  'cookie.html': page(
    '<script>critiq = { reward: document.cookie === "" && !localStorage.seen ? 1 : 0 }; document.cookie = "a=1"; localStorage.seen = 1</script>',
  ),
  'random.html': page('<script>const x = Math.random(); critiq = { reward: () => x }</script>'),
  'dialogs.html': page(
    '<button onclick="alert(1); critiq.reward = confirm(2) ? 5 : prompt(3) === null ? 4 : 6">ask</button><script>critiq = { reward: 0 }; onbeforeunload = (event) => event.preventDefault()</script>',
  ),
  'wide.html':
    '<!doctype html><body style="margin:0"><button style="width:980px;height:300px" onclick="critiq.reward++">x</button><script>critiq = { reward: 0 }</script>',
  'refused.html': page(
    `<button onclick="navigator.geolocation.getCurrentPosition(() => critiq.reward = 9, (e) => critiq.reward = e.code)">where</button>
    <a href="data.bin" download>load</a><input type="file" style="display:block;width:412px;height:100px">
    <a href="file:///etc/passwd">file</a><script>critiq = { reward: 0 }</script>`,
  ),
  'data.bin': 'x'.repeat(1000),
});

async function at(device: BrowserDevice, url: string, seed = 0): Promise<void> {
  await device.reset('app', { task: taskAt(url), seed, ...PATIENT });
}

async function tapped(device: BrowserDevice, y: number): Promise<number | undefined> {
  await device.act(tapAt(200, y), PATIENT);
  return device.reward;
}

async function pressed(device: BrowserDevice, type: 'PRESS_BACK' | 'PRESS_HOME'): Promise<number | undefined> {
  assert.deepEqual(await device.act({ type }, PATIENT), { applied: 'yes' });
  return device.reward;
}

browserTest('a tapped link loads; BACK goes back as far as the start page; HOME opens the start page', async (t) => {
  const { device } = openDevice(t, { folder });
  await at(device, 'one.html');
  assert.equal(device.reward, 1);
  assert.equal(await tapped(device, 50), 2);
  assert.equal(await tapped(device, 150), 2.5, 'within the page');
  assert.equal(await pressed(device, 'PRESS_BACK'), 2.5);
  assert.equal(await pressed(device, 'PRESS_BACK'), 1);
  assert.equal(await pressed(device, 'PRESS_BACK'), 1, 'nothing is before the start page');
  assert.equal(await tapped(device, 50), 2);
  assert.equal(await pressed(device, 'PRESS_HOME'), 1);
});

browserTest('a pop-up is shown; BACK closes it, and so can the page', async (t) => {
  const { device } = openDevice(t, { folder });
  await at(device, 'one.html');
  assert.equal(await tapped(device, 150), 3);
  assert.equal(await pressed(device, 'PRESS_BACK'), 1);
  assert.equal(await tapped(device, 150), 3);
  assert.equal(await tapped(device, 50), 1);
  await at(device, 'storm.html');
  await tapped(device, 50);
  for (let i = 0; i < 8; i++) await pressed(device, 'PRESS_BACK');
  assert.equal(device.reward, 0, 'at most 8 pages are open');
});

browserTest('each episode has its own cookies and storage, and Math.random by its seed', async (t) => {
  const { device } = openDevice(t, { folder });
  for (let i = 0; i < 2; i++) {
    await at(device, 'cookie.html');
    assert.equal(device.reward, 1);
  }
  const drawn = [];
  for (const seed of [3, 3, 4]) {
    await at(device, 'random.html', seed);
    drawn.push(device.reward);
  }
  assert.equal(drawn[0], drawn[1]);
  assert.notEqual(drawn[0], drawn[2]);
});

browserTest('the reset URL is opened first, with seed and task', async (t) => {
  const { device } = openDevice(t, { folder, reset_url: 'cookie.html?{seed}-{task}', url: 'cookie.html' });
  await device.reset('app', { task: { id: 'a b', text: '', family: 'web' }, seed: 1, ...PATIENT });
  assert.equal(device.reward, 0, 'the reset URL has set the cookie');
  assert.equal(await pressed(device, 'PRESS_BACK'), 0);
});

browserTest('dialogs are dismissed or accepted by the settings, and never keep the agent on a page', async (t) => {
  for (const [dialogs, reward] of [
    ['dismiss', 4],
    ['accept', 5],
  ] as const) {
    const { device } = openDevice(t, { folder, dialogs });
    await at(device, 'dialogs.html');
    assert.equal(await tapped(device, 50), reward);
    assert.equal(await pressed(device, 'PRESS_HOME'), 0, 'beforeunload');
    await device.close();
  }
});

browserTest('permissions, downloads and files are refused', async (t) => {
  const { device } = openDevice(t, { folder });
  await at(device, 'refused.html');
  assert.equal(await tapped(device, 50), 1, 'PERMISSION_DENIED');
  const before = Buffer.from((await device.screenshot(PATIENT)).rgba);
  for (const y of [150, 250, 350]) assert.equal(await tapped(device, y), 1);
  assert.ok(before.length > 0 && (await device.health()) === 'ok');
});

browserTest(
  'on a page wider than the screen, a tap hits what is visible there, without a wait for a double tap',
  async (t) => {
    const { device } = openDevice(t, { folder });
    await at(device, 'wide.html');
    assert.equal(await tapped(device, 60), 1);
    await device.screenshot(PATIENT);
  },
);

browserTest('several devices share one browser but no state', async (t) => {
  const { device, browser } = openDevice(t, { folder });
  const others = [1, 2].map((i) => new BrowserDevice(`browser-${i}`, browser, BrowserSettings.parse({ folder })));
  await Promise.all([device, ...others].map((each) => at(each, 'cookie.html')));
  const { pid } = browser;
  assert.deepEqual(
    [device, ...others].map(({ reward }) => reward),
    [1, 1, 1],
  );
  await Promise.all(others.map((each) => each.close()));
  await at(device, 'one.html');
  assert.equal(browser.pid, pid);
});

browserTest('scale=2 gives two screenshot pixels for each CSS pixel', async (t) => {
  const { device } = openDevice(t, { folder, width: 300, height: 500, scale: 2 });
  await at(device, 'one.html');
  const { width, height } = await device.screenshot(PATIENT);
  assert.deepEqual({ width, height }, device.size);
  assert.deepEqual(device.size, { width: 600, height: 1000 });
});
