/** The embedded phone's surprises are settings: the usual ones leave fingerprints as they were, others are part of a run. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../../pipelines/index.js';
import { deviceFactory, deviceInfluence } from '../../../pipelines/episodes/devices.js';
import { playedEpisodes } from '../../../pipelines/episodes/played.js';
import { Phone, phoneTasks } from '../../../src/devices/phone/index.js';
import { Output } from '../../../src/runner/outputs.js';
import { loadRegistry } from '../../../src/runner/registry.js';
import { loadSettings } from '../../../src/settings/settings.js';
import { emptyFolder } from '../../rigs/process.js';

const loaded = await loadRegistry(registry);
const settings = (...overrides: string[]) => loadSettings(loaded.schema, { overrides, aliases: loaded.aliases });

test('the usual surprises are not in the fingerprint, others are', () => {
  assert.deepEqual(deviceInfluence(settings()), {});
  assert.deepEqual(deviceInfluence(settings('device.phone.dialog=0.5')), {
    device: { backend: 'phone', phone: { slow_page: 0.2, cookie_banner: 0.45, sponsored: 0.5, dialog: 0.5 } },
  });
});

test('phones have the configured surprises', async () => {
  const [task] = phoneTasks({ set: 'webshop', split: 'train', count: 1, seed: 1 });
  const dialogs = async (chance: number) => {
    const phone = (await deviceFactory(settings(`device.phone.dialog=${chance}`))(0)) as Phone;
    return Array.from({ length: 10 }, (_, seed) => {
      phone.begin(task, seed);
      return phone.world.dialog;
    });
  };
  assert.ok((await dialogs(1)).every((asked) => asked));
  assert.ok((await dialogs(0)).every((asked) => !asked));
});

test('a replay has the surprises with which the episodes were played', async (t) => {
  const config = settings('device.phone.cookie_banner=1');
  const folder = join(emptyFolder(t), 'trajectories');
  const played = async (device: object) => {
    const plan = { stage: 'collect', instance: 'collect', shards: [], finished: true };
    await new Output('trajectories', folder).writePlan({
      ...plan,
      settings: { seed: 0, tasks: config.tasks, ...device },
    });
    return playedEpisodes(folder, settings())(2).surprises;
  };
  assert.equal((await played(deviceInfluence(config)))?.cookieBanner, 1);
  assert.equal((await played({}))?.cookieBanner, 0.45);
});
