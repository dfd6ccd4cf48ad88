/** VEM on the embedded phone: labels, value model, policy, evaluation; in this process, with tiny settings. */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { exportValue } from '../../../pipelines/value/export.js';
import type { LabelQuality } from '../../../src/data/label-quality.js';
import type { ValueQuality } from '../../../src/report/rating-quality.js';
import { readMetrics } from '../../../src/data/metrics.js';
import { Display } from '../../../src/runner/display.js';
import { contents, emptyFolder } from '../../rigs/process.js';
import { configOf, files, run } from '../../rigs/tiny-runs.js';
import { TINY_DEMO, TINY_TASKS } from '../../rigs/tiny-settings.js';

let made: string;
const SETTINGS = [
  'label.from=state',
  'value.batch=8',
  'value.epochs=4',
  'value.history=2',
  'value.hidden=8',
  'value.validation=0.3',
  'vem.batch_size=4',
  'vem.grad_accum_steps=2',
  'vem.epochs=1',
  'vem.lr=1e-3',
  'vem.max_grad_norm=1',
  'vem.validation=0.2',
];
/** @param data holds the task list, too */
const all = (data: string): string[] => [
  ...TINY_DEMO.map((setting) => setting.replace('tasks.jsonl', join(data, 'tasks.jsonl'))),
  'collect.temperature=1',
  ...SETTINGS,
];

before(async () => {
  made = emptyFolder({ after: (fn) => process.once('exit', fn) });
  writeFileSync(join(made, 'tasks.jsonl'), TINY_TASKS);
  await run(made, 'value', all(made));
});

function copied(t: TestContext): string {
  const data = emptyFolder(t);
  cpSync(made, data, { recursive: true });
  return data;
}

const stage = (data: string, name: string, ...more: string[]) => run(data, name, [...all(made), ...more]);
const metrics = (data: string, name: string) => readMetrics(join(data, 'pocket/metrics', `${name}.jsonl`));

test('the value model is measured on held-out trajectories, against the labels and the state', () => {
  const quality = JSON.parse(readFileSync(join(made, 'pocket/value/quality.json'), 'utf8')) as ValueQuality;
  assert.ok(quality.labels && quality.state);
  // the labels are those of the state here
  assert.deepEqual(quality.labels, quality.state);
  const { steps, trajectories, accuracy, ci95, bins } = quality.labels;
  assert.ok(steps >= trajectories && trajectories === 7, `${steps} steps of ${trajectories} trajectories`);
  assert.ok(ci95[0] <= accuracy && accuracy <= ci95[1]);
  assert.equal(
    bins.reduce((sum, { count }) => sum + count, 0),
    steps,
  );
  const { validation_accuracy } = metrics(made, 'value').at(-1)! as unknown as { validation_accuracy: number };
  assert.ok(Math.abs(validation_accuracy - accuracy) < 1e-9);
});

test('log π is that of the whole sampled text: with weight 1 for all, the loss is its mean over the sampled actions', async (t) => {
  const data = copied(t);
  await stage(data, 'vem', 'vem.weights=[1, 1]', 'vem.log_prob_clamp=null', 'vem.log_every=1');
  const lines = metrics(data, 'vem') as unknown as { loss: number; log_prob: number; invalid: number }[];
  assert.ok(lines.length >= 3);
  for (const { loss, log_prob, invalid } of lines) {
    // the sampler sums over every token that it drew; the loss must be about the same text, and skip the invalid ones
    const expected = -(1 - invalid) * log_prob;
    assert.ok(Math.abs(loss - expected) < 1e-3 * Math.max(1, expected), `loss ${loss}, expected ${expected}`);
  }
  assert.ok(lines.some(({ invalid }) => invalid < 1));
});

test('an evaluation plays the trained policy, not the one it started from', async (t) => {
  const data = copied(t);
  // so large a step that the policy forgets how to write actions
  const broken = ['vem.weights=[1, 1]', 'vem.lr=10', 'vem.epochs=2'];
  await stage(data, 'vem', ...broken);
  const base = join(data, 'pocket/policy/base/model.safetensors');
  assert.notDeepEqual(readFileSync(join(data, 'pocket/policy/vem/model.safetensors')), readFileSync(base));
  const rate = async (policy: string) => {
    await stage(data, 'eval', ...broken, `eval.policy=${policy}`, 'eval.temperature=0');
    const file = join(data, `pocket/eval/${policy}-test-greedy/_result.json`);
    return JSON.parse(readFileSync(file, 'utf8')) as { invalid_steps: number; policy: string };
  };
  assert.equal((await rate('base')).invalid_steps, 0);
  const trained = await rate('vem');
  assert.equal(trained.policy, 'vem');
  assert.ok(trained.invalid_steps > 0);
});

test('more epochs go on from the end of fewer, with the same policy as at once; the weights are those of the settings', async (t) => {
  const [once, grown] = [copied(t), copied(t)];
  await stage(once, 'vem', 'vem.epochs=2');
  await stage(grown, 'vem', 'vem.epochs=1');
  const early = files(grown, 'policy/vem');
  const said = await stage(grown, 'vem', 'vem.epochs=2');
  assert.match(said, /going on from step \d+, where the shorter training ended/);
  assert.deepEqual(files(grown, 'policy/vem'), files(once, 'policy/vem'));
  assert.notDeepEqual(files(grown, 'policy/vem'), early);

  const other = copied(t);
  await stage(other, 'vem', 'vem.epochs=2', 'vem.weights=[0.5, 1]');
  assert.notDeepEqual(contents(join(other, 'pocket/policy/vem')), contents(join(once, 'pocket/policy/vem')));
});

interface Exported {
  ep_id: string;
  step_id: number;
  critic_inputs: { from: string; value: string }[];
  critic_images: string[];
  critic_output: string;
}

/** A value model that likes what it sees by the size of its picture's file. @returns its URL and the questions */
async function valueServer(t: TestContext): Promise<{ url: string; asked: { text: string; picture: Buffer }[] }> {
  const asked: { text: string; picture: Buffer }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      const { messages, model } = JSON.parse(body) as {
        model: string;
        messages: { content: [{ image_url: { url: string } }, { text: string }] }[];
      };
      const [{ image_url }, { text }] = messages[0].content;
      asked.push({ text, picture: Buffer.from(image_url.url.split(',')[1], 'base64') });
      const good = text.length % 2 === 0 ? 0.9 : 0.3;
      const top = [
        { token: '2', logprob: Math.log(good) },
        { token: '1', logprob: Math.log(1 - good) },
      ];
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          model,
          choices: [{ message: { content: 'x' }, logprobs: { content: [{ top_logprobs: top }] } }],
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked };
}

const silent = () => ({ display: new Display('quiet', { write: () => true }), signal: new AbortController().signal });

test('the hand-over: VEM’s columns, the published settings, and a served model that is asked exactly what it was trained on', async (t) => {
  const data = copied(t);
  const out = join(data, 'judged');
  const { train, validation, pictures } = await exportValue(out, configOf(data, all(data)), silent());
  const json = (name: string) => JSON.parse(readFileSync(join(out, 'llamafactory', name), 'utf8')) as Exported[];
  const held = json('validation.json');
  assert.equal(json('train.json').length, train.examples);
  assert.equal(held.length, validation.examples);
  assert.equal(readdirSync(join(out, 'images')).length, pictures);
  const trained = new Set(json('train.json').map(({ ep_id }) => ep_id));
  for (const { ep_id, step_id, critic_inputs, critic_images, critic_output } of held) {
    assert.ok(!trained.has(ep_id), 'split by trajectory');
    assert.deepEqual(
      critic_inputs.map(({ from }) => from),
      ['human', 'gpt'],
    );
    assert.match(critic_inputs[0].value, new RegExp(`^<image>You judge [^]*Current action:\nstep ${step_id}: `));
    assert.equal(critic_inputs[1].value, critic_output);
    assert.equal(critic_images.length, 1);
  }
  const recipe = parse(readFileSync(join(out, 'llamafactory/train-qwen2_vl.yaml'), 'utf8')) as Record<string, unknown>;
  for (const [name, value] of Object.entries({
    lora_target: 'all',
    cutoff_len: 2560,
    per_device_train_batch_size: 3,
    gradient_accumulation_steps: 2,
    learning_rate: 1e-5,
    lr_scheduler_type: 'cosine',
    warmup_ratio: 0.1,
    num_train_epochs: 20,
    bf16: true,
    image_max_pixels: 56_000,
  }))
    assert.equal(recipe[name], value, name);
  const merge = parse(readFileSync(join(out, 'llamafactory/merge-qwen2_5_vl.yaml'), 'utf8')) as Record<string, unknown>;
  assert.equal(merge.export_size, 2);

  const { url, asked } = await valueServer(t);
  const served = ['models.value=critiq-value', `value.url=${url}`, 'run=served', 'value.measured=1000'];
  for (const name of ['trajectories', 'images', 'image-vectors', 'labels', 'policy/base', 'demos'])
    cpSync(join(data, 'pocket', name), join(data, 'served', name), { recursive: true });
  await stage(data, 'value', ...served);
  const questions = new Map(
    held.map((row) => [row.critic_inputs[0].value.slice('<image>'.length), row.critic_images[0]]),
  );
  assert.ok(asked.length > 0 && asked.length <= held.length);
  for (const { text, picture } of asked) {
    const name = questions.get(text);
    assert.ok(name !== undefined, text);
    // several screens may have the same question
    const same = held.filter((row) => row.critic_inputs[0].value.endsWith(text)).map((row) => row.critic_images[0]);
    assert.ok(
      same.some((file) => readFileSync(join(out, 'images', file)).equals(picture)),
      'the picture is that of the export, byte by byte',
    );
  }
  const before = asked.length;
  await stage(data, 'vem', ...served, 'vem.epochs=2');
  assert.ok(asked.length > before);
  assert.ok(asked.every(({ text }) => text.includes('Current action:')));
  const known = asked.length;
  rmSync(join(data, 'served/policy/vem'), { recursive: true });
  await stage(data, 'vem', ...served, 'vem.epochs=2');
  assert.equal(asked.length, known, 'everything that was answered is known');
});

test('an export with other pictures into the same folder makes all of them again', async (t) => {
  const data = copied(t);
  const out = join(data, 'judged');
  const pictures = () => contents(join(out, 'images'));
  const large = await exportValue(out, configOf(data, all(data)), silent()).then(pictures);
  const small = [...all(data), 'value.max_pixels=4000'];
  await exportValue(out, configOf(data, small), silent());
  assert.notDeepEqual(pictures(), large);
  await exportValue(out, configOf(data, all(data)), silent());
  assert.deepEqual(pictures(), large);
});

test('labels of another run rate the trajectories of that run, and its screens are seen', async (t) => {
  const data = copied(t);
  await stage(data, 'value', 'run=other', 'value.labels=pocket:labels', 'value.policy=pocket:base');
  const quality = (name: string) => readFileSync(join(data, name, 'value/quality.json'), 'utf8');
  assert.equal(quality('other'), quality('pocket'));
});

test('the report has a section on the labels and one on the value model', async (t) => {
  const data = copied(t);
  await stage(data, 'report', 'report.evals=[]', 'report.sources=[labels, value]');
  const page = readFileSync(join(data, 'pocket/report.html'), 'utf8');
  const { labels } = JSON.parse(readFileSync(join(data, 'pocket/report.json'), 'utf8')) as { labels: LabelQuality };
  assert.equal(labels.good + labels.bad, labels.steps);
  assert.match(page, new RegExp(`${labels.steps} steps rated by state`));
  const { items, kappa } = labels.with_outcome!.all;
  assert.equal(items, labels.steps);
  assert.ok(
    page.includes('Labels beside the outcome of the trajectory') && page.includes(`<td>${kappa!.toFixed(2)}</td>`),
  );
  assert.ok(!page.includes('Labels beside the state of the phone'), 'they are those of the state');
  assert.ok(page.includes('Value model quality'));
});

test('a missing screenshot stops the export and is named; nothing shifts', async (t) => {
  const data = copied(t);
  const folder = join(data, 'pocket/images');
  const whole = join(data, 'whole');
  await exportValue(whole, configOf(data, all(data)), silent());
  const id = readdirSync(join(whole, 'images'))[0].slice(0, 32);
  rmSync(join(folder, id.slice(0, 2), `${id}.png`));
  await assert.rejects(
    exportValue(join(data, 'judged'), configOf(data, all(data)), silent()),
    new RegExp(`images/${id.slice(0, 2)}/${id}\\.png: the image is missing`),
  );
  const foreign = join(data, 'foreign');
  cpSync(folder, foreign, { recursive: true });
  await assert.rejects(
    exportValue(foreign, configOf(data, all(data)), silent()),
    /foreign: holds .*, which no `critiq value export` wrote/,
  );
  writeFileSync(join(whole, 'images/mine.png'), 'mine');
  await assert.rejects(
    exportValue(whole, configOf(data, all(data)), silent()),
    /whole: holds mine\.png, which no `critiq value export` wrote/,
  );
});
