/** Damaged inputs, stages that would eat their own input, and files of strangers in the way of writers. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { exportAgent } from '../../pipelines/commands/export-agent.js';
import { registry as stages } from '../../pipelines/index.js';
import { ImageStore } from '../../src/data/images.js';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { committedShards } from '../../src/data/store/manifest.js';
import { sealed, readSealed } from '../../src/data/store/sealed.js';
import { UserError } from '../../src/errors.js';
import type { Runtime } from '../../src/graph/runtime.js';
import { openRun } from '../../src/library/run.js';
import { Random } from '../../src/random.js';
import { verifyInputs } from '../../src/runner/inputs.js';
import { inspectRun } from '../../src/runner/inspect.js';
import { datasetFolder, Instance } from '../../src/runner/instance.js';
import { loadRegistry, type LoadedRegistry } from '../../src/runner/registry.js';
import { runStage } from '../../src/runner/run.js';
import { loadSettings } from '../../src/settings/settings.js';
import { PictureCache } from '../../src/viewer/picture-cache.js';
import { Pictures } from '../../src/viewer/pictures.js';
import { wholeFiles } from '../../src/viewer/run-files.js';
import { fixture } from '../rigs/files.js';
import { contents, emptyFolder } from '../rigs/process.js';
import { registry as rig } from '../rigs/stages.js';

const IMAGES = ['f83a151e8ee7375893dca10c63dc28c9', '37d246a509ac2ff29c285a4c2dcb058e'];
const SETTINGS = JSON.parse(readFileSync(fixture('run-v1', 'settings.json'), 'utf8')) as string[];

/** A screenshot of the recorded run. */
const SCREEN = 'f83a151e8ee7375893dca10c63dc28c9';

function configOf(loaded: LoadedRegistry, data: string, ...overrides: string[]) {
  const file = loaded.stages.has('collect') ? stages.defaultConfig : undefined;
  return loadSettings(loaded.schema, { file, overrides: [`data=${data}`, ...overrides], aliases: loaded.aliases });
}

/** A finished run of the real stages with tiny settings. */
function recordedRun(t: TestContext): string {
  const data = emptyFolder(t);
  cpSync(fixture('run-v1', 'run'), join(data, 'pocket'), { recursive: true });
  return data;
}

function userError(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, pattern);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

test('one flipped bit anywhere in an input is named by the stage that would read it', async (t) => {
  const data = recordedRun(t);
  const loaded = await loadRegistry(stages);
  const config = configOf(loaded, data, ...SETTINGS);
  const inputs = new Map<string, { instance: Instance; record: { bytes: number } }>();
  for (const stage of loaded.stages.values()) {
    const instance = new Instance(stage, config);
    for (const name of instance.inputs) {
      const folder = datasetFolder(config, name);
      for (const { files } of committedShards(folder, '').values())
        for (const record of files) inputs.set(join(folder, record.file), { instance, record });
    }
  }
  const kinds = new Set([...inputs.keys()].map((path) => path.slice(path.lastIndexOf('.'))));
  assert.ok(
    ['.safetensors', '.json', '.arrow', '.parquet'].every((kind) => kinds.has(kind)),
    [...kinds].join(),
  );
  const random = new Random(1, 'flips');
  const paths = [...inputs.keys()].filter((path) => inputs.get(path)!.record.bytes > 0);
  for (let n = 0; n < 200; n++) {
    const path = paths[n % paths.length];
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad[random.int(bad.length)] ^= 1 << random.int(8);
    writeFileSync(path, bad);
    const found = verifyInputs(inputs.get(path)!.instance, [{ id: 'all' }]);
    await assert.rejects(found, userError(/damaged: expected crc32/), path);
    writeFileSync(path, good);
  }
});

test('one flipped bit in an image or a manifest is named, or changes nothing that is read', async (t) => {
  const run = join(recordedRun(t), 'pocket');
  const random = new Random(2, 'flips');
  const found = { images: 0, lines: 0 };
  for (let n = 0; n < 200; n++) {
    const [id, set] = [random.pick(IMAGES), random.pick(['demos', 'policy/base', 'representations', 'eval/base-test'])];
    const image = join(run, 'images', id.slice(0, 2), `${id}.png`);
    const manifest = join(run, set, 'manifest.jsonl');
    const whole = [...committedShards(join(run, set), '').values()];
    for (const path of [image, manifest]) {
      const good = readFileSync(path);
      const bad = Buffer.from(good);
      bad[random.int(bad.length)] ^= 1 << random.int(8);
      writeFileSync(path, bad);
      try {
        if (path === image) await new ImageStore(join(run, 'images')).get(id);
        else
          for (const line of committedShards(join(run, set), 'run it again').values())
            assert.ok(
              whole.some((one) => isDeepStrictEqual(one, line)),
              `${path}: a line that was never written`,
            );
      } catch (error) {
        assert.ok(userError(/\.png: |manifest\.jsonl, line \d+: /)(error));
        found[path === image ? 'images' : 'lines'] += 1;
      }
      writeFileSync(path, good);
    }
  }
  assert.equal(found.images, 200);
  // a line whose end is gone does not count: its shard is built again
  assert.ok(found.lines > 180, String(found.lines));
});

test('a stage does not start with a damaged input, and its old result stays', async (t) => {
  const data = emptyFolder(t);
  const loaded = await loadRegistry(rig);
  await runStage(loaded, 'total', configOf(loaded, data));
  const file = join(data, 'pocket/numbers/n3.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text.replace(/\d/, (digit) => String((Number(digit) + 1) % 10)),
  );
  const before = contents(join(data, 'pocket'));
  const again = runStage(loaded, 'squares', configOf(loaded, data, 'squares.power=3'), { redo: true });
  await assert.rejects(
    again,
    userError(/numbers\/n3\.json: damaged: .*delete .*numbers and run `critiq numbers` again/),
  );
  assert.deepEqual(contents(join(data, 'pocket')), before);
});

test('a stage that needs itself, or would replace its own input, is refused before anything is removed', async (t) => {
  const data = recordedRun(t);
  const loaded = await loadRegistry(stages);
  const before = contents(join(data, 'pocket'));
  const status = (...overrides: string[]) => inspectRun(loaded, configOf(loaded, data, ...SETTINGS, ...overrides));
  const run = (stage: string, deps: boolean, ...overrides: string[]) =>
    runStage(loaded, stage, configOf(loaded, data, ...SETTINGS, ...overrides), { deps, redo: true });
  for (const setting of ['collect.policy=digiq', 'vlm.policy=digiq', 'actor.from=digiq']) {
    await assert.rejects(status(setting), userError(/would be built from itself: .* needs .*second round/), setting);
  }
  await assert.rejects(run('collect', true, 'collect.policy=digiq'), userError(/would be built from itself/));
  await assert.rejects(run('actor', false, 'actor.name=base'), userError(/would read policy\/base and replace it/));
  const online = run('online', false, 'online.from=coso', 'online.entropy=causal', 'online.name=');
  await assert.rejects(online, userError(/would read policy\/coso and replace it/));
  for (const name of ['actor.name=../../evil', 'actor.name=a b', 'online.name=a/../../b']) {
    const stage = name.split('.')[0];
    await assert.rejects(run(stage, false, name), userError(/cannot be the name of a result/), name);
  }
  assert.deepEqual(contents(join(data, 'pocket')), before);
});

test('metadata of another shape is damage, not a crash', async (t) => {
  const data = recordedRun(t);
  const loaded = await loadRegistry(stages);
  const config = configOf(loaded, data, ...SETTINGS);
  const plan = join(data, 'pocket/eval/base-test/plan.json');
  const own = readFileSync(plan, 'utf8');
  // a setting that this version does not take
  writeFileSync(plan, own.replace(/"episodes": \d+/, '"episodes": "many"'));
  const rows = await inspectRun(loaded, configOf(loaded, data, ...SETTINGS, 'eval.name=other'));
  assert.equal(rows.find(({ instance }) => instance === 'eval/base-test')?.state, 'outdated');
  for (const text of ['null', '[]', '{"stage":"eval"}', '{"stage":"eval","instance":"x","settings":{},"shards":[1]}']) {
    writeFileSync(plan, text);
    await assert.rejects(
      inspectRun(loaded, config),
      userError(/plan\.json: (not a plan that critiq wrote|damaged: expected a JSON object); restore it/),
      text,
    );
  }
});

test('a temporary file is never written through a link', async (t) => {
  const folder = emptyFolder(t);
  mkdirSync(join(folder, 'set'));
  writeFileSync(join(folder, 'precious'), 'thesis');
  symlinkSync(join(folder, 'precious'), join(folder, 'set/.model.bin.tmp'));
  await writeAtomic(join(folder, 'set/model.bin'), 'weights');
  assert.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'thesis');
  assert.equal(readFileSync(join(folder, 'set/model.bin'), 'utf8'), 'weights');
  assert.ok(!existsSync(join(folder, 'set/.model.bin.tmp')));
});

test('a sealed file notices every flipped bit; one without a seal is read as it is', async (t) => {
  const file = join(emptyFolder(t), 'result.json');
  const value = { rate: 0.5, list: [1, 2], text: 'a "crc32": 5', nested: { crc32: 1 } };
  const text = sealed(value);
  writeFileSync(file, text);
  assert.deepEqual(readSealed(file, 'make it again'), value);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length * 8; at++) {
    const bad = Buffer.from(bytes);
    bad[at >> 3] ^= 1 << (at & 7);
    writeFileSync(file, bad);
    let read: unknown;
    try {
      read = readSealed(file, 'make it again');
    } catch (error) {
      assert.ok(userError(/result\.json: .*; make it again$/)(error));
      continue;
    }
    // only white space after the object may change unseen
    assert.deepEqual(read, value, `bit ${at}`);
  }
  writeFileSync(file, JSON.stringify({ rate: 1 }));
  assert.deepEqual(readSealed(file, ''), { rate: 1 });
  for (const wrong of ['null', '[1]', '3', '{']) {
    writeFileSync(file, wrong);
    assert.throws(() => readSealed(file, 'make it again'), userError(/damaged/), wrong);
  }
});

test('what others than stages read is checked as well: the library, the viewer and the export', async (t) => {
  const data = recordedRun(t);
  const folder = join(data, 'pocket');
  const run = await openRun(folder);
  const config = configOf(await loadRegistry(stages), data, ...SETTINGS);
  const runtime = {} as Runtime;
  const pictures = new Pictures(new PictureCache(join(data, 'cache')));
  t.after(() => pictures.close());
  const readers: readonly [file: string, read: () => Promise<unknown>][] = [
    ['policy/base/model.safetensors', () => run.policy(runtime, 'base')],
    ['policy/base/tokenizer.json', () => run.policy(runtime, 'base')],
    ['policy/base/model.safetensors', () => exportAgent(join(data, 'out'), 'base', config)],
    ['critic/model.safetensors', () => run.critic(runtime)],
    ['critic/config.json', () => run.critic(runtime)],
    ['values/values.parquet', () => run.values()],
    ['candidates/candidates-00000.parquet', () => run.candidates()],
    ['trajectories/transitions-00000.parquet', () => run.transitions()],
    ['image-vectors/images-00000.arrow', () => run.imageVectors()],
    ['representations/representations-00000.arrow', () => run.representations()],
    ['image-vectors/images-00000.arrow', () => viewed('image-vectors', /\.arrow$/)],
    ['values/values.parquet', () => viewed('values', /\.parquet$/)],
    [`images/f8/${SCREEN}.png`, () => pictures.stored(folder, SCREEN, false)],
    [`images/f8/${SCREEN}.png`, () => run.images.get(SCREEN)],
  ];
  const viewed = async (set: string, wanted: RegExp): Promise<void> => {
    const { problems } = await wholeFiles(folder, set, wanted);
    if (problems.length > 0) throw new UserError(problems[0].message);
  };
  for (const [file, read] of readers) {
    const path = join(folder, file);
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad[bad.length >> 1] ^= 4;
    writeFileSync(path, bad);
    await assert.rejects(read(), userError(/damaged: expected crc32|damaged PNG: .* has a wrong CRC/), file);
    writeFileSync(path, good);
  }
});
