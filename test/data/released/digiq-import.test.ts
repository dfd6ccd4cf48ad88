import assert from 'node:assert/strict';
import { createCanvas, type Canvas } from '@napi-rs/canvas';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { IMPORTED, importDigiq, type DigiqImport } from '../../../src/data/released/digiq-import.js';
import { layoutOf, stacked } from '../../../src/data/released/frames.js';
import { namesOf, openPictures } from '../../../src/data/released/pictures.js';
import { pictureType } from '../../../src/data/formats/picture.js';
import { encodePng } from '../../../src/data/formats/png.js';
import { ImageStore } from '../../../src/data/images.js';
import { ImageVectors } from '../../../src/data/image-vectors.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { Representations } from '../../../src/data/representations.js';
import { readTable } from '../../../src/data/tables.js';
import { CANDIDATES, INVALID, TRANSITIONS } from '../../../src/data/transitions.js';
import { UserError } from '../../../src/errors.js';
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
          mcReturn: success ? 0.95 ** (length - 1 - j) : 0,
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

test('files with one frame a step are stacked, in whatever types their fields are', async (t) => {
  const plain = tempFolder(t);
  const done = await importDigiq(fixture('golden', 'released/trajectories.pt'), plain, options);
  assert.deepEqual([done.images, done.screens, done.imageDim, done.empty], ['single', 'before', 6, 0]);
  const { transitions: rows, candidates } = await imported(plain);
  for (const [i, row] of rows.entries()) {
    assert.equal(row.prevImage, row.step === 0 ? row.image : rows[i - 1].image);
    assert.equal(row.nextPrevImage, row.image);
    if (!row.done) assert.equal(row.nextImage, rows[i + 1].image);
  }
  for (const name of ['released-odd.pt', 'released-tuple.pt']) {
    const folder = tempFolder(t);
    const odd = await importDigiq(fixture('torch', name), folder, options);
    assert.deepEqual([odd.trajectories, odd.empty, odd.imageDim, odd.representationDim], [4, 3, 6, 10]);
    const other = await imported(folder);
    assert.deepEqual(other.candidates, candidates);
    other.transitions.forEach((row, i) => {
      const trajectory = `episode ${rows[i].trajectory}é`;
      // without a next frame it is that of the next step, and at the end the step's own
      const nextImage = row.done ? row.image : rows[i].nextImage;
      assert.deepEqual(row, { ...rows[i], trajectory, nextImage });
    });
  }
});

test('returns are computed from the rewards at the given discount, not those of the file', async (t) => {
  const returns = async (gamma?: number) => {
    const folder = tempFolder(t);
    await importDigiq(fixture('golden', 'released/trajectories.pt'), folder, { ...options, gamma });
    return (await imported(folder)).transitions.map(({ mcReturn }) => mcReturn);
  };
  const expected = (gamma: number) => [gamma ** 2, gamma, 1, 0, gamma ** 3, gamma ** 2, gamma, 1, 0, 0];
  assert.deepEqual((await returns(0.9)).map((x) => +x.toFixed(9)), expected(0.9).map((x) => +x.toFixed(9)));
  assert.deepEqual((await returns()).map((x) => +x.toFixed(9)), expected(0.95).map((x) => +x.toFixed(9)));
});

test('a collected file has its screens shifted, and no candidates yet', async (t) => {
  const folder = tempFolder(t);
  const done = await importDigiq(fixture('golden', 'released/trajectories_eval.pt'), folder, options);
  assert.deepEqual([done.screens, done.candidates, done.representationDim], ['after', false, 0]);
  assert.equal(existsSync(join(folder, 'candidates/_manifest.jsonl')), false);
  const set = await openDataset(join(folder, 'trajectories'), { verify: 'full' });
  const rows = (await Promise.all(set.files().map((file) => readTable(file, TRANSITIONS)))).flat();
  assert.deepEqual(
    rows.slice(0, 4).map(({ imagePath }) => imagePath),
    ['0_0.png', '0_1.png', '0_2.png', '1_0.png'].map((name) => `/home/someone/images/${name}`),
  );
});

test('each shard has all vectors of its transitions', async (t) => {
  const folder = tempFolder(t);
  await importDigiq(fixture('golden', 'released/trajectories.pt'), folder, { ...options, shardSize: 1 });
  const [vectors, tables] = await Promise.all(['image-vectors', 'trajectories'].map((name) => openDataset(join(folder, name))));
  for (const [i, file] of tables.files().entries()) {
    const own = ImageVectors.open([vectors.files()[i]]);
    for (const row of await readTable(file, TRANSITIONS)) {
      for (const id of [row.image, row.prevImage, row.nextImage, row.nextPrevImage]) assert.ok(own.has(id));
    }
    own.close();
  }
});

test('a vector is never cut in two by its width: pairs are told by their content, or by the settings', async (t) => {
  const file = fixture('torch', 'digiq-one.pt');
  const widths = async (images?: DigiqImport['images']) => {
    const done = await importDigiq(file, tempFolder(t), { ...options, images });
    return [done.images, done.imageDim];
  };
  assert.deepEqual(await widths(), ['pair', 2]);
  assert.deepEqual(await widths('single'), ['single', 4]);
  const pair = (current: number[], next?: number[]) => ({
    current: Float32Array.from(current),
    next: next && Float32Array.from(next),
    fault: (what: string) => new UserError(what),
  });
  assert.equal(layoutOf([pair([1, 1]), pair([1, 2]), pair([2, 3])]), 'pair');
  assert.equal(layoutOf([pair([1, 1]), pair([1, 2]), pair([3, 3])]), 'single');
  assert.equal(layoutOf([pair([1, 2]), pair([2, 3])]), 'single');
  assert.equal(layoutOf([pair([1, 1, 1])]), 'single');
  const [only] = stacked([pair([1, 1])], 'pair');
  assert.deepEqual(Object.values(only).map((vector: Float32Array) => [...vector]), [[1], [1], [1], [1]]);
  await rejectsWithLine(() => stacked([pair([1, 1, 1])], 'pair'), /expected two frames of the same width, got 3 floats/);
  await rejectsWithLine(() => stacked([pair([1, 1], [1])], 'single'), /next_image_features: expected 2 floats/);
});

/** A zip with all files of a folder, below another folder and with a note. */
function zipped(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(png|jpe?g|webp)$/i.test(name));
  const entries = names.map((name) => [`download/${name}`, readFileSync(join(folder, name))] as const);
  const zip = `${folder}.zip`;
  writeFileSync(zip, storedZip({ ...Object.fromEntries(entries), 'download/README.txt': Buffer.from('screens') }));
  return zip;
}

for (const [where, wrapped] of [
  ['a folder', (folder: string) => folder],
  ['a zip', zipped],
] as const) {
  test(`the screenshots of ${where} are stored under the ids of their vectors`, async (t) => {
    const screens = tempFolder(t);
    mkdirSync(join(screens, 'images'));
    const colour = (i: number, j: number) => ({ width: 1, height: 1, rgba: new Uint8ClampedArray([i, j, 0, 255]) });
    // the last screen of trajectory 0 is not there
    const lengths = [2, 1, 4, 2];
    for (const [i, length] of lengths.entries()) {
      for (let j = 0; j <= length; j++) writeFileSync(join(screens, 'images', `${i}_${j}.png`), await encodePng(colour(i, j)));
    }
    for (const name of ['trajectories.pt', 'trajectories_eval.pt']) {
      const folder = tempFolder(t);
      const pictures = await openPictures(wrapped(screens));
      const done = await importDigiq(fixture('golden', `released/${name}`), folder, { ...options, pictures });
      pictures.close();
      assert.deepEqual(done.pictures, { stored: 13, missing: 1 });
      const set = await openDataset(join(folder, 'trajectories'));
      const store = new ImageStore(join(folder, 'images'));
      for (const row of await readTable(set.files()[1], TRANSITIONS)) {
        assert.deepEqual([...(await store.get(row.image)).rgba.slice(0, 2)], [Number(row.imagePath.at(-7)), row.step]);
        assert.deepEqual((await store.get(row.nextImage)).rgba[1], row.step + 1);
      }
      // another picture under this id is still refused
      const [row] = await readTable(set.files()[1], TRANSITIONS);
      writeFileSync(store.path(row.image), await encodePng(colour(9, 9)));
      await rejectsWithLine(() => store.get(row.image), /expected the image/);
    }
    const none = await openPictures(wrapped(tempFolder(t)));
    await rejectsWithLine(
      () => importDigiq(fixture('golden', 'released/trajectories.pt'), tempFolder(t), { ...options, pictures: none }),
      /has no screenshot of the first trajectory, for example <path_to_images>\/0_0\.png/,
    );
    none.close();
  });
}

test('screenshots in JPEG and WebP are stored too: the content says the format, and the name may end as another', async (t) => {
  const screens = tempFolder(t);
  const formats = [
    { end: '.png', encode: (canvas: Canvas) => canvas.encode('jpeg', 95) },
    { end: '.webp', encode: (canvas: Canvas) => canvas.encode('webp', 95) },
    { end: '.JPG', encode: (canvas: Canvas) => canvas.encode('jpeg', 95) },
    { end: '.jpeg', encode: (canvas: Canvas) => canvas.encode('png') },
  ];
  const shade = (i: number, j: number) => 20 + 50 * i + 9 * j;
  for (const [i, length] of [2, 1, 4, 2].entries()) {
    for (let j = 0; j <= length; j++) {
      const canvas = createCanvas(8, 8);
      const context = canvas.getContext('2d');
      context.fillStyle = `rgb(${shade(i, j)}, 100, 100)`;
      context.fillRect(0, 0, 8, 8);
      const { end, encode } = formats[(i + j) % formats.length];
      writeFileSync(join(screens, `${i}_${j}${end}`), await encode(canvas));
    }
  }
  for (const from of [screens, zipped(screens)]) {
    const folder = tempFolder(t);
    const pictures = await openPictures(from);
    const done = await importDigiq(fixture('golden', 'released/trajectories.pt'), folder, { ...options, pictures });
    pictures.close();
    assert.deepEqual(done.pictures, { stored: 13, missing: 1 });
    const set = await openDataset(join(folder, 'trajectories'));
    const store = new ImageStore(join(folder, 'images'));
    for (const row of await readTable(set.files()[1], TRANSITIONS)) {
      const { width, height, rgba } = await store.get(row.image);
      assert.deepEqual([width, height], [8, 8]);
      assert.ok(Math.abs(rgba[0] - shade(Number(row.imagePath.at(-7)), row.step)) <= 3, `${row.imagePath}: ${rgba[0]}`);
      assert.equal(pictureType(readFileSync(store.path(row.image))), 'image/png', 'stored as all screenshots of a run');
    }
  }
});

test('paths in the file are names below the folder, never outside of it', () => {
  assert.deepEqual(namesOf('<path_to_images>/3_0.png'), ['3_0.png']);
  assert.deepEqual(namesOf('/some/where/3_0.png'), ['some/where/3_0.png', 'where/3_0.png', '3_0.png']);
  assert.deepEqual(namesOf('C:\\images\\3_0.png'), ['images/3_0.png', '3_0.png']);
  assert.deepEqual(namesOf('<path_to_images>/../../etc/passwd'), []);
});
