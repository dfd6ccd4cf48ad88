/**
 * Damaged inputs of every kind: a result or one clean line, within bounds, and no stored file used that its checksum does not
 * fit. `make fuzz` judges many more.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture } from '../rigs/files.js';
import { emptyFolder } from '../rigs/process.js';
import { findingsIn, kindOfFinding } from './findings.js';
import { fuzz, isFault, replay, wholeInputs } from './fuzz.js';
import { inputOf, judged } from './input.js';
import { Used, type Kind } from './kind.js';
import { KINDS } from './kinds/index.js';
import { Judge } from './pool.js';

const SEED = 3;
const INPUTS = Number(process.env.CRITIQ_FUZZ_INPUTS ?? 500);

/** Whole inputs that readers refuse on purpose. */
const REFUSED =
  /the global "posix.system" is not allowed|expected a field q_rep_out_list|has spiece.model but no tokenizer.json|the model declined|answered 200 with an error|answered no candidates|answered without a list of embeddings/;

test('whole inputs of every kind are read', async (t) => {
  const wrong = await wholeInputs([...KINDS.values()], emptyFolder(t));
  assert.deepEqual(
    wrong.filter(({ said }) => !REFUSED.test(said)),
    [],
  );
});

test('damaged inputs give a result or one clean line', async (t) => {
  const folder = emptyFolder(t);
  const { findings, tallies } = await fuzz({
    kinds: [...KINDS.values()],
    seed: SEED,
    inputs: INPUTS,
    jobs: 2,
    scratch: join(folder, 'scratch'),
    save: join(folder, 'found'),
  });
  assert.deepEqual(
    findings.map(({ kind, n, outcome, said }) => `${kind} ${SEED}-${n}: ${outcome}: ${said}`),
    [],
  );
  const refused = tallies.reduce((sum, { counts }) => sum + counts.refused, 0);
  assert.ok(refused > INPUTS / 3, `only ${refused} of ${INPUTS} were damaged so that a reader noticed`);
});

test('inputs that once broke a reader break none', async (t) => {
  const folder = fixture('fuzz');
  const files = existsSync(folder) ? findingsIn(folder) : [];
  assert.ok(files.length > 0);
  const verdicts = await replay(files, kindOfFinding, emptyFolder(t));
  assert.equal(verdicts.size, files.length);
  for (const [file, verdict] of verdicts) assert.ok(!isFault(verdict), `${file}: ${verdict.outcome}: ${verdict.said}`);
});

test('an input depends on its number alone', async (t) => {
  const png = KINDS.get('png')!;
  const seeds = await png.seeds(emptyFolder(t));
  for (let n = 0; n < 50; n++)
    assert.ok(inputOf(png, seeds, 7, n).input.equals(inputOf(png, seeds, 7, n).input), String(n));
});

/** A kind whose reader does this. */
const reader = (read: Kind['read']): Kind => ({ name: 'x', seeds: () => [], mutate: (_, bytes) => bytes, read });
const verdictOf = async (read: Kind['read']): Promise<string> =>
  (await judged(reader(read), Buffer.alloc(0), { name: 's', bytes: Buffer.alloc(0) }, '')).outcome;

test('what a reader must not do is a fault', async () => {
  const fail = (name: string, message: string) => () => {
    throw Object.assign(new Error(message), { name });
  };
  assert.equal(await verdictOf(() => undefined), 'valid');
  assert.equal(await verdictOf(fail('UserError', 'a.png: truncated; make it again')), 'refused');
  assert.equal(await verdictOf(fail('TypeError', 'x is not a function')), 'bad');
  assert.equal(await verdictOf(fail('UserError', 'two\nlines')), 'bad');
  assert.equal(await verdictOf(fail('UserError', '')), 'bad');
  assert.equal(await verdictOf(fail('UserError', 'got [object Object]')), 'bad');
  assert.equal(await verdictOf(fail('UserError', 'x'.repeat(1e5))), 'bad');
  const used = (): never => {
    throw new Used('other numbers');
  };
  assert.equal(await verdictOf(used), 'silent');
});

test('a process that hangs or grows without end is ended, and its input is named', async (t) => {
  // kinds for this test alone, in the worker (kinds/index.ts)
  const judge = new Judge(join(emptyFolder(t), 'process'), 2);
  t.after(() => judge.close());
  const { verdicts } = await judge.judge({ kind: 'self-test', seed: 1, from: 0, to: 4 });
  assert.deepEqual(
    verdicts.map(({ n, outcome }) => [n, outcome]),
    [
      [0, 'valid'],
      [1, 'hang'],
      [2, 'memory'],
      [3, 'bad'],
    ],
  );
  assert.match(verdicts[3].said, /ended its process/);
});
