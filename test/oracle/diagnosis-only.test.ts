/** True values are for diagnosis: nothing that trains, samples or evaluates may depend on them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../pipelines/index.js';
import { packageRoot } from '../../src/package.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { loadSettings } from '../../src/settings/settings.js';

/** What may know of them: what measures them, what shows them, and the lists of commands. */
const DIAGNOSIS =
  /^(src\/(oracle|report|viewer|cli|library)\/|pipelines\/(oracle|report|index|datasets)\.ts$|pipelines\/report\/|pipelines\/commands\/ranking\.ts$)/;

test('no stage but the report takes true values as an input, whatever the settings', async () => {
  const loaded = await loadRegistry(registry);
  const variants = [
    'pocket',
    'pocket-hard',
    'pocket-coso',
    'vem-eval',
    'aitw-general',
    'aitw-webshop',
    'aitw-digirl',
    'aitw-coso',
  ];
  for (const name of variants) {
    const config = loadSettings(loaded.schema, {
      file: join(registry.library!, `${name}.yaml`),
      overrides: [],
      aliases: loaded.aliases,
    });
    for (const [stage, { inputs, outputs }] of loaded.stages) {
      if (stage === 'report') continue;
      assert.ok(!inputs(config).some((input) => /(^|:)oracle$/.test(input)), `${name}: ${stage} reads the oracle`);
      if (stage !== 'oracle') assert.ok(!outputs(config).includes('oracle'), `${name}: ${stage} writes the oracle`);
    }
  }
});

test('no file of a training names the data set, its table or its module', () => {
  const root = packageRoot();
  const files = ['src', 'pipelines'].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.tsx?$/.test(file))
      .map((file) => relative(root, join(root, top, file)).replaceAll('\\', '/')),
  );
  assert.ok(files.length > 300);
  const naming = files.filter((file) =>
    /['"`/]oracle\b|\bORACLE\b|OracleRow/.test(readFileSync(join(root, file), 'utf8')),
  );
  assert.ok(naming.includes('pipelines/oracle.ts'));
  assert.deepEqual(
    naming.filter((file) => !DIAGNOSIS.test(file)),
    [],
  );
});
