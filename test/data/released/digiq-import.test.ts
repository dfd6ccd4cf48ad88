import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { IMPORTED, importDigiq, type DigiqImport } from '../../../src/data/released/digiq-import.js';
import { ImageVectors } from '../../../src/data/image-vectors.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { Representations } from '../../../src/data/representations.js';
import { readTable } from '../../../src/data/tables.js';
import { CANDIDATES, INVALID, TRANSITIONS } from '../../../src/data/transitions.js';
import { fixture, ramp, rejectsWithLine, storedZip, tempFolder } from '../../rigs/files.js';
import { readFolder } from '../../rigs/folder-reader.js';

const NONE = { touchX: null, touchY: null, liftX: null, liftY: null, typedText: null };
const options: DigiqImport = {
  parse: (text) => ({ actionType: text.includes('0') ? 'PRESS_BACK' : INVALID, ...NONE }),
  shardSize: 2,
};

async function imported(folder: string) {
  const [vectors, representations, candidates, trajectories] = await Promise.all(
    IMPORTED.map((name) => openDataset(join(folder, name), { verify: 'full' })),
  );
  assert.equal((await readFolder(join(folder, 'trajectories'))).length, (await readFolder(join(folder, 'candidates'))).length);
  return {
    transitions: (await Promise.all(trajectories.files().map((file) => readTable(file, TRANSITIONS)))).flat(),
    candidates: (await Promise.all(candidates.files().map((file) => readTable(file, CANDIDATES)))).flat(),
    representations: Representations.open(representations.files()),
    images: ImageVectors.open(vectors.files()),
  };
}

for (const { name, lengths, rep, actions } of [
  { name: 'digiq-numpy.pt', lengths: [2, 1], rep: 1030, actions: 3 },
  { name: 'digiq-tensors.pt', lengths: [2, 1, 3], rep: 6, actions: 4 },
  { name: 'digiq-lists.pt', lengths: [2, 1, 3], rep: 6, actions: 4 },
]) {
  test(`${name}: all numbers and texts of the file are in the tables and shards`, async (t) => {
    const folder = tempFolder(t);
    const done = await importDigiq(fixture('torch', name), folder, options);
    assert.equal(done.trajectories, lengths.length);
    assert.deepEqual([done.imageDim, done.representationDim], [4, rep]);
    const { transitions, candidates, representations, images } = await imported(folder);
    const image = (id: string) => {
      const vector = new Float32Array(4);
      images.read(id, vector);
      return [...vector];
    };
    let tid = 0;
    lengths.forEach((length, i) => {
      for (let j = 0; j < length; j++, tid++) {
        const start = 100 * i + 10 * j;
        const success = i % 2;
        const { image: now, prevImage, nextImage, nextPrevImage, ...row } = transitions[tid];
        const named = (k: number) => `action ${i} ${j} é${k}`;
        assert.deepEqual(row, {
          tid,
          trajectory: String(i),
          step: j,
          task: `task ${i}`,
          goal: `task ${i}`,
          family: '',
          prompt: `Previous Actions: ${j} Goal: task ${i}</s>`,
          nextPrompt: `Previous Actions: ${j + 1} Goal: task ${i}</s>`,
          prevAction: j === 0 ? '' : `action ${i} ${j - 1} é0`,
          action: named(0),
          ...{ actionType: 'PRESS_BACK', ...NONE },
          ...{ policy: null, temperature: null },
          reward: success && j === length - 1 ? 1 : 0,
          done: j === length - 1,
          truncated: false,
          mcReturn: success ? 0.5 ** (length - 1 - j) : 0,
          trajectoryReward: success,
          imagePath: `images/${i}_${j}.png`,
        });
        assert.deepEqual(image(now), ramp(start, 4));
        assert.deepEqual(image(prevImage), ramp(j === 0 ? start : start - 10, 4));
        assert.deepEqual(image(nextPrevImage), ramp(start, 4));
        assert.deepEqual(image(nextImage), ramp(start + 10, 4));
        // The last entry of the list repeats the action taken, which is stored once with a count of 2.
        const distinct = actions - 1;
        assert.deepEqual(
          candidates[tid].actions,
          Array.from({ length: distinct }, (_, k) => named(k)),
        );
        assert.deepEqual(candidates[tid].counts, [2, ...new Array<number>(distinct - 1).fill(1)]);
        assert.deepEqual(
          candidates[tid].valid,
          candidates[tid].actions.map((text) => text.includes('0')),
        );
        assert.equal(representations.candidates(tid), distinct);
        const rows = new Float32Array(distinct * rep);
        representations.readRows(
          tid,
          Array.from({ length: distinct }, (_, k) => k),
          rows,
        );
        const expected = [
          ramp(start + 1, rep),
          ...Array.from({ length: distinct - 1 }, (_, k) => ramp(start + 3 + k, rep)),
        ];
        assert.deepEqual([...rows], expected.flat());
      }
    });
    assert.equal(transitions.length, tid);
  });
}

test('trajectories with a single step and files with a single trajectory are imported', async (t) => {
  const short = await importDigiq(fixture('torch', 'digiq-short.pt'), tempFolder(t), options);
  assert.deepEqual([short.trajectories, short.transitions], [40, 40]);
  const one = await importDigiq(fixture('torch', 'digiq-one.pt'), tempFolder(t), options);
  assert.deepEqual([one.trajectories, one.transitions], [1, 3]);
});

test('a stopped import resumes and gives the same files', async (t) => {
  const folder = tempFolder(t);
  const other = tempFolder(t);
  const file = fixture('torch', 'digiq-tensors.pt');
  await importDigiq(file, folder, options);
  cpSync(folder, other, { recursive: true });
  for (const name of ['trajectories', 'representations']) {
    const manifest = join(other, name, '_manifest.jsonl');
    const first = readFileSync(manifest, 'utf8').split('\n')[0];
    writeFileSync(manifest, `${first}\n{"shard":"00001","fil`);
  }
  rmSync(join(other, 'image-vectors'), { recursive: true });
  await importDigiq(file, other, options);
  for (const name of IMPORTED) {
    for (const entry of readdirSync(join(folder, name))) {
      assert.deepEqual(
        readFileSync(join(other, name, entry)),
        readFileSync(join(folder, name, entry)),
        `${name}/${entry}`,
      );
    }
  }
});

test('importing a shorter file over a longer one leaves nothing of the longer one', async (t) => {
  const folder = tempFolder(t);
  await importDigiq(fixture('torch', 'digiq-tensors.pt'), folder, options);
  await importDigiq(fixture('torch', 'digiq-one.pt'), folder, options);
  const { transitions, representations } = await imported(folder);
  assert.equal(transitions.length, 3);
  assert.deepEqual([...representations.tids()], [0, 1, 2]);
});

test('a missing field gives an error with its trajectory and step', async (t) => {
  await rejectsWithLine(
    () => importDigiq(fixture('torch', 'digiq-missing.pt'), tempFolder(t), options),
    /digiq-missing\.pt: trajectory 0, step 0: expected a field q_rep_out_list, got only observation, /,
  );
});

test('a file with another layout gives an error that says so', async (t) => {
  await rejectsWithLine(
    () => importDigiq(fixture('torch', 'state.bin'), tempFolder(t), options),
    /state\.bin: trajectory 0: expected a list of steps/,
  );
  const empty = join(tempFolder(t), 'empty.pt');
  writeFileSync(empty, storedZip({ 'x/data.pkl': Buffer.from('\x80\x02].', 'latin1') }));
  await rejectsWithLine(
    () => importDigiq(empty, tempFolder(t), options),
    /expected a list of trajectories, got an empty one/,
  );
});

test('with images: single, image vectors are not split', async (t) => {
  const folder = tempFolder(t);
  const file = fixture('torch', 'digiq-one.pt');
  const single = await importDigiq(file, folder, { ...options, images: 'single' });
  assert.equal(single.imageDim, 4);
  const { transitions } = await imported(folder);
  assert.equal(transitions[0].prevImage, '');
});
