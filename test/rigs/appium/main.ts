/**
 * node dist/test/rigs/appium/main.js [--phones N] [--grid] [--config FILE]: runs phones behind a real adb and Appium (or a Grid
 * with an Appium for each) until Ctrl-C, and writes settings for critiq (docs/appium-rig.md).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { phoneTasks } from '../../../src/devices/phone/index.js';
import { Rig } from './rig.js';
import { rigSettings } from './rig-settings.js';
import { HOME, ROOT } from './tools.js';

const { values: options } = parseArgs({
  options: {
    phones: { type: 'string', default: '2' },
    grid: { type: 'boolean', default: false },
    config: { type: 'string', default: join(HOME, 'phones.yaml') },
  },
});
const file = resolve(options.config);
const folder = dirname(file);
mkdirSync(folder, { recursive: true });

const rig = await Rig.start({ phones: Number(options.phones) });
let closing: Promise<void> | undefined;
const close = (): void => {
  closing ??= rig.close().then(() => process.exit(0));
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, close);

try {
  const url = options.grid ? await rig.grid() : (await rig.appium()).url;
  const webdriver = rigSettings(rig, url, options.grid ? { udids: [] } : {});
  const tasks: Record<string, string> = {};
  for (const split of ['train', 'test'] as const) {
    const list = phoneTasks({ set: 'webshop', split, count: 480, seed: 0 });
    tasks[`${split}_file`] = join(folder, `phones-${split}.jsonl`);
    writeFileSync(tasks[`${split}_file`], list.map((task) => `${JSON.stringify(task)}\n`).join(''));
  }
  const device = { backend: 'webdriver', count: rig.phones.length, webdriver };
  const extend = relative(folder, join(ROOT, 'configs', 'pocket.yaml'));
  // JSON is YAML too
  writeFileSync(file, `${JSON.stringify({ extends: extend, device, tasks }, null, 2)}\n`);
  console.log(
    JSON.stringify({ url, udids: rig.udids, adb: `adb -P ${rig.adbPort}`, config: file, pids: await rig.pids() }),
  );
} catch (error) {
  console.error(String(error));
  await rig.close();
  process.exit(1);
}
