/** A tap meets the element that the screenshot shows at its pixel, however large the page is shown and wherever it is scrolled. */
import assert from 'node:assert/strict';
import { Random } from '../../../src/random.js';
import { browserTest, folderOf, openDevice, PATIENT, taskAt } from '../../rigs/browser/rig.js';

/** Cells whose colours are their numbers; the page keeps which cell was touched last. */
const cells = (viewport: string, width: number, side: number, count: number): string => `<!doctype html>
${viewport === '' ? '' : `<meta name="viewport" content="${viewport}">`}
<style>body{margin:0;width:${width}px;display:flex;flex-wrap:wrap}i{width:${side}px;height:${side}px}</style><body><script>
window.critiq = { reward: 0, done: false };
for (let n = 0; n < ${count}; n++) {
  const cell = document.createElement('i');
  cell.id = n;
  cell.style.background = 'rgb(' + [16 * (n % 16) + 8, 16 * ((n >> 4) % 16) + 8, 16 * (n >> 8) + 8] + ')';
  document.body.append(cell);
}
for (const kind of ['touchstart', 'click'])
  addEventListener(kind, (event) => (window[kind] = event.target.id), { passive: true });
</script>`;

const random = new Random(5, 'scales');
const VIEWPORTS = [
  '',
  'width=device-width',
  'width=1024',
  'width=device-width, initial-scale=2',
  'width=600, minimum-scale=0.2',
];
const pages = Object.fromEntries(
  VIEWPORTS.flatMap((viewport, i) =>
    [0, 1].map((n) => {
      const width = 300 + random.int(1300);
      return [`${i}-${n}.html`, cells(viewport, width, 40 + random.int(90), 2400)];
    }),
  ),
);
const folder = folderOf(pages);

browserTest('the element under the pixel of the screenshot gets the tap, at any scale and scroll', async (t) => {
  const scales = new Set<number>();
  let taps = 0;
  for (const [i, name] of Object.keys(pages).entries()) {
    const [width, height] = i % 3 === 0 ? [412, 915] : [240 + random.int(800), 300 + random.int(700)];
    const { device } = openDevice(t, { folder, width, height });
    await device.reset('app', { task: taskAt(name), seed: 0, ...PATIENT });
    const page = device['running']!.session.page;
    scales.add((await page.evaluate('visualViewport.scale')) as number);
    for (let n = 0; n < 6; n++) {
      const { rgba } = await device.screenshot(PATIENT);
      const [x, y] = [random.int(width), random.int(height)];
      const [r, g, b] = rgba.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
      const point = [(y + 0.5) / height, (x + 0.5) / width] as const;
      await page.evaluate('window.touchstart = window.click = ""');
      await device.act({ type: 'DUAL_POINT', touch: point, lift: point }, PATIENT);
      // a pixel that several cells share, or none, says nothing
      if ([r, g, b].every((part) => part % 16 === 8)) {
        const cell = String((r >> 4) + 16 * (g >> 4) + 256 * (b >> 4));
        const got = await page.evaluate('[touchstart, click]');
        assert.deepEqual(got, [cell, cell], `${name} at ${width} × ${height}, pixel ${x}, ${y}`);
        taps++;
      }
      const [from, to] = [0.3 + 0.4 * random.next(), 0.3 + 0.4 * random.next()];
      await device.act({ type: 'DUAL_POINT', touch: [from, 0.2 + 0.6 * random.next()], lift: [to, 0.5] }, PATIENT);
    }
    await device.close();
  }
  assert.ok(taps > 40, `${taps} taps on plain cells`);
  assert.ok([...scales].some((scale) => scale < 1) && [...scales].some((scale) => scale > 1), [...scales].join());
});
