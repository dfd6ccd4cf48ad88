/** Settings: files that extend others, overrides, aliases, and one line per mistake. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { registry } from '../../pipelines/index.js';
import { packageRoot } from '../../src/package.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { composeSettings, loadSettings, settingsToYaml } from '../../src/settings/settings.js';
import { settingsReference } from '../../src/settings/reference.js';
import { emptyFolder } from '../rigs/process.js';

const schema = composeSettings({
  critic: z.object({
    lr: z.number().positive().default(1e-4).describe('learning rate'),
    gamma: z.number().min(0).max(1).default(0.95).describe('discount'),
    loss: z.enum(['td', 'mc']).default('td').describe('kind of targets'),
    layers: z.array(z.int()).default([64, 64]).describe('widths'),
    name: z.string().default('main').describe('name'),
    ablation: z.object({ text: z.boolean().default(false).describe('no text') }).prefault({}),
    weights: z.record(z.string(), z.number()).default({}).describe('weight by family'),
    limit: z
      .union([z.int(), z.literal('all')])
      .default('all')
      .describe('how many'),
    note: z.string().nullable().default(null).describe('a note'),
  }),
  actor: z.object({ lr: z.number().default(1e-3).describe('learning rate') }),
});
const aliases = { critic_lr: 'critic.lr', gamma: 'critic.gamma', lm_lr: 'actor.lr', gone: 'nothing.here' };

type Critic = {
  lr: number;
  gamma: number;
  loss: string;
  layers: number[];
  name: string;
  ablation: { text: boolean };
  weights: Record<string, number>;
  limit: unknown;
  note: unknown;
};

function critic(overrides: string[], file?: string): Critic {
  return loadSettings(schema, { file, overrides, aliases }).critic as Critic;
}

/** Writes files into an empty folder. Returns their paths relative to the working directory, as messages show them. */
function write(t: TestContext, files: Record<string, string>): Record<string, string> {
  const folder = emptyFolder(t);
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => {
      const path = join(folder, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, text);
      return [name, relative('', path)];
    }),
  );
}

function refuses(overrides: string[], message: string | RegExp, file?: string): void {
  assert.throws(() => critic(overrides, file), { name: 'UserError', message });
}

test('defaults fill in missing settings, and the result is frozen', () => {
  const config = loadSettings(schema, {});
  assert.equal(config.run, 'pocket');
  assert.deepEqual((config.critic as Critic).layers, [64, 64]);
  assert.throws(() => ((config.critic as Critic).lr = 1), TypeError);
});

test('overrides get the type of their setting', () => {
  const got = critic([
    'critic.lr=1e-5',
    'critic.layers=[8, 16]',
    'critic.name=007',
    'critic.ablation.text=true',
    'critic.weights.a=2',
    'critic.limit=5',
    'critic.loss=mc',
  ]);
  assert.equal(got.lr, 1e-5);
  assert.deepEqual(got.layers, [8, 16]);
  assert.equal(got.name, '007');
  assert.equal(got.ablation.text, true);
  assert.deepEqual(got.weights, { a: 2 });
  assert.equal(got.limit, 5);
  assert.equal(critic(['critic.limit=all']).limit, 'all');
  assert.equal(critic(['critic.name=a=b']).name, 'a=b');
  assert.equal(critic(['critic.name=true']).name, 'true');
  assert.equal(critic(['critic.note=null']).note, null);
  assert.deepEqual(critic(['critic={lr: 2, loss: mc}']).lr, 2);
});

test('aliases from the reference code work, in files too', (t) => {
  const { 'a.yaml': file } = write(t, { 'a.yaml': 'gamma: 0.5\ncritic_lr: 3.0e-3\n' });
  assert.deepEqual([critic([], file).gamma, critic([], file).lr], [0.5, 0.003]);
  assert.equal(critic(['gamma=0.25'], file).gamma, 0.25, 'the last one wins, under either name');
  refuses(['gone=1'], /unknown setting gone/);
});

test('a file extends others; its own settings win, then the command line', (t) => {
  const files = write(t, {
    'base.yaml': 'seed: 3\ncritic:\n  lr: 0.1\n  gamma: 0.5\n  weights: {a: 1, b: 2}\n',
    'more.yaml': 'critic.loss: mc\n',
    'sub/mine.yaml': 'extends: [../base.yaml, ../more.yaml]\ncritic:\n  lr: 0.2\n  weights: {c: 3}\nactor:\n',
  });
  const config = loadSettings(schema, { file: files['sub/mine.yaml'], overrides: ['critic.weights.d=4'] });
  const { lr, gamma, loss, weights } = config.critic as Critic;
  assert.deepEqual(
    { seed: config.seed, lr, gamma, loss, weights },
    { seed: 3, lr: 0.2, gamma: 0.5, loss: 'mc', weights: { c: 3, d: 4 } },
  );
});

test('a cycle of extends, a missing file and a broken file are named', (t) => {
  const files = write(t, {
    'a.yaml': 'extends: b.yaml\n',
    'b.yaml': 'extends: ./a.yaml\n',
    'c.yaml': 'extends: nowhere.yaml\n',
    'd.yaml': 'critic: {lr: 1\n',
    'e.yaml': '- 1\n',
    'f.yaml': 'extends: 7\n',
    'g.yaml': 'seed: 1\nseed: 2\n',
  });
  const at = (name: string): string => files[name];
  refuses(
    [],
    `${at('a.yaml')}: extends itself: ${at('a.yaml')} -> ${at('b.yaml')} -> ${at('a.yaml')}; remove one of these extends lines`,
    at('a.yaml'),
  );
  refuses([], /nowhere\.yaml: no such settings file \(extended by .*c\.yaml\)$/, at('c.yaml'));
  refuses([], /d\.yaml:\d+:\d+: not valid YAML: [^\n]+$/, at('d.yaml'));
  refuses([], /e\.yaml: expected a map of settings, got \[1\] \(list\)$/, at('e.yaml'));
  refuses([], /f\.yaml: extends: expected a file name or a list of them, got 7 \(number\)$/, at('f.yaml'));
  refuses([], /g\.yaml:2:1: not valid YAML: Map keys must be unique$/, at('g.yaml'));
  refuses([], /zzz\.yaml: no such settings file$/, 'zzz.yaml');
});

test('an unknown setting is reported with its file and the nearest known setting', (t) => {
  const { 'a.yaml': file } = write(t, { 'a.yaml': 'critic:\n  gama: 0.5\n' });
  refuses([], `${file}: unknown setting critic.gama; did you mean critic.gamma?`, file);
  refuses(['critc.lr=1'], 'command line: unknown setting critc.lr; did you mean critic.lr?');
  refuses(['lr=1'], 'command line: unknown setting lr; did you mean critic.lr or actor.lr?');
  refuses(['xyzzy.plugh=1'], 'command line: unknown setting xyzzy.plugh; `critiq config` lists all settings');
  refuses(['x=1'], 'command line: unknown setting x; `critiq config` lists all settings');
  refuses(['lrr=1'], 'command line: unknown setting lrr; did you mean critic.lr?');
  refuses(['critic.lr.x=1'], /unknown setting critic\.lr\.x; did you mean critic\.lr\?/);
  refuses(['__proto__.x=1'], /unknown setting __proto__\.x/);
  refuses(['constructor=1'], /unknown setting constructor/);
});

test('wrong values are reported with what was expected and got, one line each', (t) => {
  const { 'a.yaml': file } = write(t, {
    'a.yaml': 'critic:\n  lr: fast\n  loss: dt\n  layers: [1, x]\n  weights: {a: b}\n',
  });
  refuses(
    ['critic.gamma=2', 'seed=-1', 'critic.limit=some'],
    [
      'command line: seed: expected integer >= 0, got -1 (number)',
      `${file}: critic.lr: expected number > 0, got "fast" (string)`,
      'command line: critic.gamma: expected number >= 0, <= 1, got 2 (number)',
      `${file}: critic.loss: expected "td" or "mc", got "dt" (string)`,
      `${file}: critic.layers.1: expected integer, got "x" (string)`,
      `${file}: critic.weights.a: expected number, got "b" (string)`,
      'command line: critic.limit: expected integer or "all", got "some" (string)',
    ].join('\n'),
    file,
  );
  refuses(['critic.layers.0=3'], /unknown setting critic\.layers\.0; did you mean critic\.layers\?/);
  refuses(['critic=3'], /critic is a section: set one of critic\.lr, \.gamma/);
  refuses(['seed'], 'command line: expected setting=value, got seed; write seed=VALUE');
  refuses(['run=../x'], /run: expected string \(a folder name: letters, digits, _ \. \+ -\), got "\.\.\/x" \(string\)/);
});

test('a settings file of a stranger is bounded: aliases, extends, sizes, devices and the number of mistakes', (t) => {
  // each file extends the next twice, so 2^30 layers
  const fans = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`e${i}.yaml`, `extends: [e${i + 1}.yaml, e${i + 1}.yaml]\n`]),
  );
  const deep = `${'['.repeat(100)}${']'.repeat(100)}`;
  const files = write(t, {
    ...fans,
    'e30.yaml': 'seed: 1\n',
    'self.yaml': 'critic: &a\n  weights: *a\n',
    'list.yaml': 'seed: &a [*a]\n',
    'bomb.yaml': `a: &a [1, 2]\n${Array.from({ length: 300 }, (_, i) => `b${i}: *a`).join('\n')}\n`,
    'deep.yaml': `critic: {note: ${deep}}\n`,
    'large.yaml': `# ${'x'.repeat(1 << 17)}\n`,
    'zero.yaml': 'extends: /dev/zero\n',
    'many.yaml': Array.from({ length: 3000 }, (_, i) => `key${i}: 1`).join('\n'),
  });
  refuses([], /self\.yaml: not valid YAML: an alias stands for something that it is a part of$/, files['self.yaml']);
  refuses([], /list\.yaml: not valid YAML: an alias stands for/, files['list.yaml']);
  refuses([], /bomb\.yaml: not valid YAML: its aliases repeat more than 100 values$/, files['bomb.yaml']);
  refuses([], /deep\.yaml: not valid YAML: nested more than 64 deep$/, files['deep.yaml']);
  refuses([], /large\.yaml: settings file of \d+ bytes, expected at most 131072$/, files['large.yaml']);
  refuses([], /zero: expected a settings file \(extended by .*zero\.yaml\), got a device or pipe$/, files['zero.yaml']);
  refuses([], /e\d+\.yaml: extended as more than the 100th file; merge some of them$/, files['e0.yaml']);
  refuses([], /^(.*unknown setting key\d+;.*\n){20}and 2980 more mistakes$/, files['many.yaml']);
  refuses(['seed=&a [*a]'], /seed: expected integer >= 0, got "&a \[\*a\]" \(string\)$/);
});

test('the resolved YAML resolves to itself', (t) => {
  const config = loadSettings(schema, {
    overrides: ['critic.weights.q=0.25', 'critic.name="1"', 'seed=9', 'critic.lr=1e-9'],
  });
  const { 'a.yaml': file } = write(t, { 'a.yaml': settingsToYaml(config) });
  assert.deepEqual(loadSettings(schema, { file }), config);
});

test('docs/settings.md matches the schemas (npm run docs:settings writes it)', async () => {
  const { schema: all, aliases: names } = await loadRegistry(registry);
  const file = join(packageRoot(), 'docs', 'settings.md');
  assert.ok(existsSync(file), `${file} is missing: npm run docs:settings`);
  // not assert.equal: its message would be two whole pages
  assert.ok(readFileSync(file, 'utf8') === settingsReference(all, names), 'outdated: npm run docs:settings');
});

test('every setting of every stage has a default and a description', async () => {
  const { schema: all } = await loadRegistry(registry);
  const page = settingsReference(all, {});
  assert.doesNotMatch(page, /^\| `[^|]+\| *\|[^|]*\|$/m, 'a row without a description');
  assert.ok(all.safeParse({}).success, 'defaults for all');
});

test('the reference lists every setting with its type, default and description', () => {
  const page = settingsReference(schema, aliases);
  assert.match(page, /\| `critic\.lr` \| number > 0 \| `0\.0001` \| learning rate \|/);
  assert.match(page, /\| `critic\.ablation\.text` \| boolean \| `false` \| no text \|/);
  assert.match(page, /\| `critic\.loss` \| "td" or "mc" \| `"td"` \|/);
  assert.match(page, /\| `critic_lr` \| `critic\.lr` \|/);
  assert.doesNotMatch(page, /gone/, 'an alias without a setting');
});
