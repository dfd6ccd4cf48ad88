/** Fine-tuning with another trainer: `critiq vlm export` and `critiq vlm import`. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { parseAction } from '../../../src/agents/grammar.js';
import { vlmPrompt } from '../../../src/agents/representers/vlm-prompt.js';
import { ImageStore } from '../../../src/data/images.js';
import { decodePng } from '../../../src/data/formats/png.js';
import { readTable } from '../../../src/data/tables.js';
import { TRANSITIONS, type Transition } from '../../../src/data/transitions.js';
import { isTap } from '../../../src/data/action.js';
import { frameWithCursor } from '../../../src/models/cursor.js';
import { screenChange } from '../../../src/data/screen-change.js';
import { contents, critiq, emptyFolder, failedInOneLine, start, succeed, until } from '../../rigs/process.js';
import { program, smallRun } from '../../rigs/vlm/run.js';
import { VllmServer } from '../../rigs/vlm/server.js';

const MODEL = fileURLToPath(new URL('../../../../test/fixtures/vlm-onnx', import.meta.url));

const made = mkdtempSync(join(tmpdir(), 'critiq-handover-'));
before(async () => {
  await smallRun(made);
});
after(() => rmSync(made, { recursive: true, force: true }));

function copied(t: { after(fn: () => void): void }): string {
  const cwd = emptyFolder(t);
  cpSync(join(made, 'data'), join(cwd, 'data'), { recursive: true });
  return cwd;
}

const json = <T>(...path: string[]): T => JSON.parse(readFileSync(join(...path), 'utf8')) as T;

interface Llava {
  id: string;
  image: string;
  conversations: { from: string; value: string }[];
}
interface Sharegpt {
  messages: { role: string; content: string }[];
  images: string[];
}

test('each transition becomes a question with a picture and an answer from the pixels, split by trajectory', async (t) => {
  const cwd = copied(t);
  const { stderr } = await succeed(['vlm', 'export', 'out', 'vlm.threshold=20'], { cwd, program });
  const run = join(cwd, 'data/pocket');
  const out = join(cwd, 'out');
  const store = new ImageStore(join(run, 'images'));
  const rows = new Map<string, Transition>();
  for (const name of readdirSync(join(run, 'trajectories')).filter((file) => file.endsWith('.parquet'))) {
    for (const row of await readTable(join(run, 'trajectories', name), TRANSITIONS)) rows.set(String(row.tid), row);
  }
  const train = json<Llava[]>(out, 'llava/train.json');
  const validation = json<Llava[]>(out, 'llava/validation.json');
  assert.deepEqual(new Set([...train, ...validation].map(({ id }) => id)), new Set(rows.keys()));
  const trajectories = (list: Llava[]) => new Set(list.map(({ id }) => rows.get(id)!.trajectory));
  assert.equal(new Set([...trajectories(train), ...trajectories(validation)]).size, 5);
  assert.ok([...trajectories(validation)].every((id) => !trajectories(train).has(id)));
  assert.equal(trajectories(validation).size, 1);

  let [taps, yes] = [0, 0];
  for (const { id, image, conversations } of [...train, ...validation]) {
    const row = rows.get(id)!;
    const { text, cursor } = vlmPrompt(row.goal, row.action);
    const frame = await store.get(row.image);
    const changed = screenChange(frame, await store.get(row.nextImage)) > 20;
    assert.deepEqual(conversations, [
      { from: 'human', value: `<image>\n${text}` },
      { from: 'gpt', value: changed ? 'Yes' : 'No' },
    ]);
    const picture = decodePng(readFileSync(join(out, 'images', image)));
    assert.deepEqual(picture.rgba, (cursor ? frameWithCursor(frame, cursor) : frame).rgba);
    const parsed = parseAction(row.action);
    assert.equal(cursor !== undefined, !('invalid' in parsed) && isTap(parsed.action));
    taps += cursor ? 1 : 0;
    yes += changed ? 1 : 0;
  }
  assert.ok(taps > 5 && yes > 5 && yes < rows.size, `${taps} taps, ${yes} Yes of ${rows.size}`);
  const pictures = new Set([...train, ...validation].map(({ image }) => image));
  assert.deepEqual(new Set(readdirSync(join(out, 'images'))), pictures, 'each distinct picture once, and no others');
  const told = json<{ train: { examples: number; yes: number }; validation: { yes: number } }>(
    out,
    'critiq-export.json',
  );
  assert.deepEqual([told.train.examples, told.train.yes + told.validation.yes], [train.length, yes]);
  assert.match(
    stderr,
    new RegExp(`${train.length} training examples \\([\\d.]+ % Yes\\), .* ${pictures.size} pictures`),
  );

  const sharegpt = json<Sharegpt[]>(out, 'llamafactory/train.json');
  assert.deepEqual(
    sharegpt,
    train.map(({ image, conversations: [question, answer] }) => ({
      messages: [
        { role: 'user', content: question.value.replace('<image>\n', '<image>') },
        { role: 'assistant', content: answer.value },
      ],
      images: [image],
    })),
  );
  for (const { messages, images } of sharegpt)
    assert.equal(messages[0].content.split('<image>').length - 1, images.length);
  const info = json<Record<string, { file_name: string; columns: object }>>(out, 'llamafactory/dataset_info.json');
  const yaml = parse(readFileSync(join(out, 'llamafactory/train-qwen2_vl.yaml'), 'utf8')) as Record<string, string>;
  assert.deepEqual(info[yaml.dataset].columns, { messages: 'messages', images: 'images' });
  assert.equal(info[yaml.dataset].file_name, 'train.json');
  assert.equal(info[yaml.eval_dataset].file_name, 'validation.json');
  assert.deepEqual([yaml.dataset_dir, yaml.media_dir, yaml.template], ['llamafactory', 'images', 'qwen2_vl']);
});

test('a killed export resumes; a repeated one gives the same bytes; other settings leave nothing old', async (t) => {
  const cwd = copied(t);
  const args = (out: string, ...more: string[]) => ['vlm', 'export', out, ...more];
  await succeed(args('calm'), { cwd, program });
  const images = join(cwd, 'out/images');
  for (const enough of [2, 9]) {
    const { child, ended } = start(args('out'), { cwd, program });
    await until(() => existsSync(images) && readdirSync(images).length >= enough, `${enough} pictures`);
    child.kill('SIGKILL');
    assert.equal((await ended).killed, 'SIGKILL', 'killed before it was done');
  }
  await succeed(args('out'), { cwd, program });
  assert.deepEqual(contents(join(cwd, 'out')), contents(join(cwd, 'calm')));
  await succeed(args('out', '--format', 'llava', 'vlm.transitions=8'), { cwd, program });
  assert.equal(
    json<Llava[]>(cwd, 'out/llava/train.json').length + json<Llava[]>(cwd, 'out/llava/validation.json').length,
    8,
  );
  assert.ok(readdirSync(join(cwd, 'out/images')).length <= 8);
  assert.deepEqual(readdirSync(join(cwd, 'out')).sort(), ['critiq-export.json', 'images', 'llava']);
});

test('a folder with other files is rejected', async (t) => {
  const cwd = copied(t);
  mkdirSync(join(cwd, 'mine/images'), { recursive: true });
  writeFileSync(join(cwd, 'mine/images/cat.png'), 'cat');
  const refused = () => critiq(['vlm', 'export', 'mine', '--quiet'], { cwd, program });
  failedInOneLine(
    await refused(),
    2,
    /mine: holds images, which no `critiq vlm export` wrote; choose a new or empty folder/,
  );
  writeFileSync(join(cwd, 'mine/critiq-export.json'), '{}');
  failedInOneLine(await refused(), 2, /mine: holds cat\.png, which no/);
  assert.deepEqual(readdirSync(join(cwd, 'mine')).sort(), ['critiq-export.json', 'images']);
  const empty = await critiq(['vlm', 'export', 'out', 'run=none', '--quiet'], { cwd, program });
  failedInOneLine(empty, 2, /trajectories: no transitions; run `critiq collect` first/);
  failedInOneLine(
    await critiq(['vlm', 'export', 'o', '--format', 'xml'], { cwd, program }),
    2,
    /--format: expected llava or/,
  );
});

test('an imported model is recorded by the hashes of its files, and changes are noticed before use', async (t) => {
  const cwd = copied(t);
  const server = await VllmServer.start(t, { model: 'tuned', dim: 16 });
  cpSync(MODEL, join(cwd, 'merged'), { recursive: true });
  mkdirSync(join(cwd, 'merged/.cache'));
  writeFileSync(join(cwd, 'merged/.cache/lock'), '');
  const into = ['vlm', 'import', 'merged', '--name', 'tuned'];
  const { stderr } = await succeed(into, { cwd, program });
  const files = readdirSync(MODEL).length;
  assert.match(stderr, new RegExp(`vlm import: tuned \\(${files} files, fingerprint [0-9a-f]{32}\\)`));
  const config = json<{ name: string; folder: string; files: { file: string; bytes: number; sha256: string }[] }>(
    cwd,
    'data/pocket/vlm/config.json',
  );
  assert.deepEqual([config.name, config.folder], ['tuned', join(cwd, 'merged')]);
  for (const { file, sha256 } of config.files) {
    const bytes = readFileSync(join(cwd, 'merged', file));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256);
  }
  assert.deepEqual(
    config.files.map(({ file }) => file),
    readdirSync(MODEL).sort(),
  );

  const use = ['represent', 'represent.backend=vllm', `represent.url=${server.url}`, '--quiet'];
  await succeed(use, { cwd, program });
  assert.ok(server.asked.length > 20, 'critiq vlm does not build another');
  appendFileSync(join(cwd, 'merged/model.onnx'), 'x');
  const changed = await critiq([...use, '--force'], { cwd, program });
  failedInOneLine(
    changed,
    2,
    /merged\/model\.onnx: has \d+ bytes, expected the registered file of \d+ bytes; restore it, or/,
  );
  const before = server.asked.length;
  await succeed(into, { cwd, program });
  await succeed([...use, '--redo'], { cwd, program });
  assert.equal(server.asked.length, 2 * before, 'a new model is asked everything again');
});

test('an import is rejected if the folder holds no model, or if it would replace the output of a stage', async (t) => {
  const cwd = copied(t);
  const into = (folder: string, ...more: string[]) => ['vlm', 'import', folder, '--name', 'tuned', ...more];
  failedInOneLine(
    await critiq(into('nowhere'), { cwd, program }),
    2,
    /nowhere: no such folder; expected the folder of the fine-tuned/,
  );
  failedInOneLine(
    await critiq(into('data'), { cwd, program }),
    2,
    /data: expected the folder of a VLM, with config\.json and/,
  );
  failedInOneLine(await critiq(['vlm', 'import', MODEL], { cwd, program }), 2, /required option '--name <name>'/);
  await succeed(['vlm', 'models.vlm=base'], { cwd, program });
  failedInOneLine(
    await critiq(into(MODEL, '--quiet'), { cwd, program }),
    2,
    /vlm: built by `critiq vlm`; import into another/,
  );
  await succeed(into(MODEL, '--force'), { cwd, program });
  assert.equal(json<{ name: string }>(cwd, 'data/pocket/vlm/config.json').name, 'tuned');
  failedInOneLine(
    await critiq(['vlm', 'models.vlm=base', '--quiet'], { cwd, program }),
    2,
    /holds data that `critiq vlm` did not/,
  );
});
