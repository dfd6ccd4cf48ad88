/** Writers and removers stay in their folder: no name and no link leads them out of it. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { appendLine, encodeLine } from '../../../src/data/formats/jsonl.js';
import { copyWhole } from '../../../src/data/store/file.js';
import { linkOrCopy, ownPath, removeInside } from '../../../src/data/store/inside.js';
import { addLine } from '../../../src/runner/log/lines.js';
import { Metrics } from '../../../src/runner/metrics.js';
import { Output } from '../../../src/runner/outputs.js';
import { Trash } from '../../../src/runner/trash.js';
import { rejectsWithLine, tempFolder } from '../../rigs/files.js';

/** A run folder, and beside it a file that nobody may touch. */
function place(t: TestContext): { run: string; precious: string; unharmed: () => void } {
  const folder = tempFolder(t);
  const run = join(folder, 'run');
  mkdirSync(join(run, 'set'), { recursive: true });
  mkdirSync(join(folder, 'precious'));
  const precious = join(folder, 'precious', 'thesis.txt');
  writeFileSync(precious, 'thesis');
  return { run, precious, unharmed: () => assert.equal(readFileSync(precious, 'utf8'), 'thesis') };
}

const line = (file: string) => ({ shard: 'a', files: [{ file, bytes: 6, crc32: 1 }], inputs: '', settings: '' });

for (const [what, file, link] of [
  ['a name', '../../precious/thesis.txt', false],
  ['an absolute name', '/precious/thesis.txt', false],
  ['a link', 'linked/thesis.txt', true],
] as const) {
  test(`${what} in a manifest leads no removal out of the folder`, async (t) => {
    const { run, precious, unharmed } = place(t);
    if (link) symlinkSync(join(precious, '..'), join(run, 'set', 'linked'));
    writeFileSync(join(run, 'set', '_manifest.jsonl'), encodeLine(line(file)));
    await rejectsWithLine(() => new Output('set', join(run, 'set')).retain(new Set()), /_manifest\.jsonl: .*outside of/);
    await rejectsWithLine(() => removeInside(join(run, 'set'), file, 'x'), /x: .*outside of/);
    unharmed();
  });

  test(`${what} in the trash leads no file out of the folder`, async (t) => {
    const { run, precious, unharmed } = place(t);
    if (link) symlinkSync(join(precious, '..'), join(run, 'set', 'linked'));
    const entry = { id: '0001-set', instance: 'set', why: '', sets: [{ name: 'set', plan: null, lines: [line(file)] }] };
    mkdirSync(join(run, '.trash', entry.id, '0', 'linked'), { recursive: true });
    writeFileSync(join(run, '.trash', entry.id, '0', 'linked', 'thesis.txt'), 'other!');
    const file_ = join(run, '.trash', entry.id, 'entry.json');
    writeFileSync(file_, JSON.stringify({ ...entry, complete: false }));
    await rejectsWithLine(() => new Trash(run).finish(), /entry\.json: .*outside of/);
    writeFileSync(file_, JSON.stringify({ ...entry, complete: true }));
    await rejectsWithLine(() => new Trash(run).restore(entry.id), /entry\.json: .*outside of/);
    unharmed();
  });
}

test('an entry of the trash names data sets and instances of its own run only', async (t) => {
  const { run, unharmed } = place(t);
  const good = { id: '1', instance: 'set', why: '', sets: [{ name: 'set', plan: null, lines: [line('a')] }], complete: true };
  mkdirSync(join(run, '.trash', '1'), { recursive: true });
  const file = join(run, '.trash', '1', 'entry.json');
  for (const [entry, wrong] of [
    [{ ...good, sets: [{ ...good.sets[0], name: '../precious' }] }, /damaged/],
    [{ ...good, instance: '../../precious/thesis.txt' }, /outside of it/],
    [{ ...good, sets: [null] }, /damaged/],
    [{ ...good, sets: [{ ...good.sets[0], lines: [{}] }] }, /damaged/],
    [{ ...good, sets: [{ ...good.sets[0], plan: {} }] }, /damaged/],
    [null, /damaged/],
  ] as const) {
    writeFileSync(file, JSON.stringify(entry));
    await rejectsWithLine(() => new Trash(run).list(), wrong, /entry\.json/);
  }
  writeFileSync(file, JSON.stringify(good));
  assert.equal(new Trash(run).list().length, 1);
  unharmed();
});

test('nothing is written through a link in the place of a file', async (t) => {
  const { run, precious, unharmed } = place(t);
  mkdirSync(join(run, 'metrics'));
  const linked = (...names: string[]): string => {
    symlinkSync(precious, join(run, ...names));
    return join(run, ...names);
  };
  linked('metrics', 'critic.jsonl.tmp');
  const metrics = new Metrics(run, 'critic', () => true);
  metrics.shard('a').write(1, { loss: 1 });
  metrics.close();
  assert.match(readFileSync(join(run, 'metrics', 'critic.jsonl'), 'utf8'), /"loss":1/);
  writeFileSync(join(run, 'from'), 'copied');
  for (const [name, copy] of [
    ['copy', copyWhole],
    ['link', linkOrCopy],
  ] as const) {
    linked('set', `.${name}.tmp`);
    copy(join(run, 'from'), join(run, 'set', name));
    assert.equal(readFileSync(join(run, 'set', name), 'utf8'), 'copied');
    assert.ok(!existsSync(join(run, 'set', `.${name}.tmp`)));
  }
  await rejectsWithLine(() => addLine(linked('commands.jsonl'), { a: 1 }), /commands\.jsonl: is a link/);
  await rejectsWithLine(() => appendLine(linked('manifest.jsonl'), { a: 1 }), /manifest\.jsonl: is a link/);
  unharmed();
});

test('a folder that is a link itself may be written to', (t) => {
  const { run, precious } = place(t);
  symlinkSync(join(precious, '..'), join(run, 'elsewhere'));
  assert.equal(ownPath(join(run, 'elsewhere'), 'new/file', 'x'), join(run, 'elsewhere', 'new/file'));
});
