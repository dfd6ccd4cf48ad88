import assert from 'node:assert/strict';
import type { Frame } from '../../../src/data/formats/frame.js';
import type { BrowserDevice } from '../../../src/devices/browser/browser.js';
import {
  browserTest,
  folderOf,
  openDevice,
  page,
  PATIENT,
  SWIPE_UP,
  SWIPED,
  tapAt,
  taskAt,
} from '../../rigs/browser/rig.js';

const RED = [255, 0, 0];
const GREEN = [0, 128, 0];
const BLUE = [0, 0, 255];
const WHITE = [255, 255, 255];

/** A red box of 100 × 100 at the top left, with additional styles and attributes. */
const box = (style: string, more = '') =>
  `<div style="position:absolute;top:0;left:0;width:100px;height:100px;background:red;${style}" ${more}></div>`;

const folder = folderOf({
  'transition.html': page(
    `${box('transition:left 100s', 'id="box"')}<button style="margin-top:200px" onclick="box.style.left='300px'">go</button>`,
  ),
  'chain.html': page(
    `${box('transition:left 100s', 'id="box"')}<button style="margin-top:200px" onclick="box.style.left='300px'">go</button>
     <script>box.addEventListener('transitionend', () => (box.style.background = 'blue'));</script>`,
  ),
  'loops.html': page(
    `<style>@keyframes fade { from { background: blue } to { background: white } }</style>${box('background:green;animation:fade 1s infinite')}`,
  ),
  'paused.html': page(
    `${box('', 'id="box"')}<script>const moved = box.animate({ left: ['200px', '300px'] }, 100000); moved.pause();</script>`,
  ),
  'scrolled.html': page(
    `<style>@keyframes slide { from { left: 0 } to { left: 300px } }</style><div style="height:3000px"></div>
     ${box('position:fixed;animation:slide linear both;animation-timeline:scroll()')}`,
  ),
  'frame.html': page('<iframe src="inner.html" style="width:412px;height:300px;border:0"></iframe>'),
  'inner.html': page(
    `${box('', 'id="box"')}<script>box.animate({ left: ['0px', '300px'] }, { duration: 100000, fill: 'forwards' });</script>`,
  ),
  'shadow.html': page(
    `<div id="host"></div><script>
       const inside = host.attachShadow({ mode: 'closed' });
       inside.innerHTML = '${box('')}';
       inside.firstChild.animate({ left: ['0px', '300px'] }, { duration: 100000, fill: 'forwards' });
     </script>`,
  ),
  'caret.html': page(
    '<input autofocus style="position:absolute;top:0;left:0;width:400px;height:60px;border:0;outline:0;caret-color:red;padding:0">',
  ),
  'adopted.html': page(
    `<input autofocus style="position:absolute;top:0;left:0;width:400px;height:60px;border:0;outline:0;caret-color:red;padding:0">
     <script>document.adoptedStyleSheets = [];</script>`,
  ),
  'written.html': page(
    `<button style="border:0;background:white" onclick="open('').document.write('<body style=margin:0><input autofocus style=position:absolute;top:0;left:0;width:400px;height:60px;border:0;outline:0;padding:0>')"></button>`,
  ),
  'unwilling.html': page(`${box('')}<script>document.getAnimations = () => { throw new Error('no'); };</script>`),
  'pressed.html': page(
    '<style>button{background:red}button:active{background:blue}</style><button style="margin-top:200px;border:0">hold</button>',
  ),
  'later.html': page(
    `${box('', 'id="box"')}<button style="margin-top:200px" onclick="setTimeout(() => (box.style.background = 'blue'), 200)">go</button>`,
  ),
  'snap.html': page(
    `<style>html{scroll-snap-type:y mandatory}p{height:1000px;margin:0;scroll-snap-align:start;background:linear-gradient(red,blue)}</style>
     <p></p><p></p><p></p>`,
  ),
  'touched.html': page(
    `<div style="height:3000px"></div><script>
       const seen = [];
       for (const kind of ['touchstart', 'touchmove', 'touchend', 'pointercancel', 'pointerup'])
         addEventListener(kind, ({ touches, type }) => seen.push(touches?.[0] ? type + Math.round(touches[0].clientY) : type));
       window.critiq = { reward: () => (seen.join(' ') === 'touchstart732 touchmove712 pointercancel touchmove183 touchend' ? 1 : 0) };
     </script>`,
  ),
});

async function open(device: BrowserDevice, name: string): Promise<void> {
  await device.reset('app', { task: taskAt(name), seed: 0, ...PATIENT });
}

/** The colour of a pixel. */
function colourAt({ width, rgba }: Frame, x: number, y: number): number[] {
  return [...rgba.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)];
}

const GO = tapAt(200, 250);

browserTest('finite animations are captured at their end, including the effects of that end', async (t) => {
  const { device } = openDevice(t, { folder });
  for (const [name, colour] of [
    ['transition.html', RED],
    ['chain.html', BLUE],
  ] as const) {
    await open(device, name);
    assert.deepEqual(colourAt(await device.screenshot(PATIENT), 10, 10), RED);
    await device.act(GO, PATIENT);
    const frame = await device.screenshot(PATIENT);
    assert.deepEqual([colourAt(frame, 310, 10), colourAt(frame, 10, 10)], [colour, WHITE], name);
  }
});

browserTest('endless animations are removed; paused and scroll-driven ones stay as they are', async (t) => {
  const { device } = openDevice(t, { folder });
  await open(device, 'loops.html');
  assert.deepEqual(colourAt(await device.screenshot(PATIENT), 10, 10), GREEN);
  await open(device, 'paused.html');
  const paused = await device.screenshot(PATIENT);
  assert.deepEqual([colourAt(paused, 210, 10), colourAt(paused, 310, 10)], [RED, WHITE]);
  await open(device, 'scrolled.html');
  const top = await device.screenshot(PATIENT);
  assert.deepEqual([colourAt(top, 10, 10), colourAt(top, 310, 10)], [RED, WHITE]);
  await device.act(SWIPE_UP, PATIENT);
  const at = Math.round((300 * SWIPED) / (3000 - 915));
  const further = await device.screenshot(PATIENT);
  assert.deepEqual([colourAt(further, at + 50, 10), colourAt(further, at - 5, 10)], [RED, WHITE]);
});

browserTest('animations in frames and shadow trees are brought to rest too', async (t) => {
  const { device } = openDevice(t, { folder });
  for (const name of ['frame.html', 'shadow.html']) {
    await open(device, name);
    const frame = await device.screenshot(PATIENT);
    assert.deepEqual([colourAt(frame, 310, 10), colourAt(frame, 10, 10)], [RED, WHITE], name);
  }
});

browserTest('the caret is never visible, whatever the page does with its style sheets', async (t) => {
  const { device } = openDevice(t, { folder });
  for (const name of ['caret.html', 'adopted.html', 'written.html']) {
    await open(device, name);
    await device.act(tapAt(200, 30), PATIENT);
    for (let look = 0; look < 4; look++) {
      const { rgba } = await device.screenshot(PATIENT);
      assert.ok(
        rgba.every((value) => value === 255),
        name,
      );
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }
});

browserTest('a page that cannot be brought to rest is captured as it is', async (t) => {
  const { device } = openDevice(t, { folder });
  await open(device, 'unwilling.html');
  for (let look = 0; look < 2; look++) {
    assert.deepEqual(colourAt(await device.screenshot(PATIENT), 10, 10), RED);
    assert.deepEqual(await device.act(GO, PATIENT), { applied: 'yes' });
  }
});

browserTest('with await_release, no tapped element is captured as pressed', async (t) => {
  const { device } = openDevice(t, { folder, await_release: true });
  await open(device, 'pressed.html');
  for (let tap = 0; tap < 5; tap++) {
    await device.act(GO, PATIENT);
    assert.deepEqual(colourAt(await device.screenshot(PATIENT), 10, 205), RED);
  }
});

browserTest('a screenshot shows the page at the time of the request', async (t) => {
  const { device } = openDevice(t, { folder });
  await open(device, 'later.html');
  await device.screenshot(PATIENT);
  await device.act(GO, PATIENT);
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.deepEqual(colourAt(await device.screenshot(PATIENT), 10, 10), BLUE);
});

browserTest('content that snaps into place after a swipe is captured at rest', async (t) => {
  const { device } = openDevice(t, { folder });
  await open(device, 'snap.html');
  const before = await device.screenshot(PATIENT);
  for (let swipe = 0; swipe < 2; swipe++) {
    await device.act(SWIPE_UP, PATIENT);
    const frame = await device.screenshot(PATIENT);
    assert.notDeepEqual(frame.rgba, before.rgba);
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.deepEqual((await device.screenshot(PATIENT)).rgba, frame.rgba);
  }
});

browserTest('a page gets the same touch events from every swipe', async (t) => {
  const { device } = openDevice(t, { folder });
  for (let episode = 0; episode < 5; episode++) {
    await open(device, 'touched.html');
    await device.act(SWIPE_UP, PATIENT);
    assert.equal(device.reward, 1);
  }
});
