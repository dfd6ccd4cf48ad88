/** Every shell command of README and the docs: run on tiny settings, or marked with what it needs and at least parsed. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { mistakeIn, simpleCommands } from '../rigs/docs/commands.js';
import { GIVEN } from '../rigs/docs/given.js';
import { testedPages } from '../rigs/docs/markdown.js';
import { HOW_TO_MARK, NEEDS } from '../rigs/docs/marks.js';
import { prepareRun, unitFolder } from '../rigs/docs/prepared.js';
import { runUnit } from '../rigs/docs/shell.js';
import { unitsOf, type Unit } from '../rigs/docs/units.js';
import { standIn } from '../rigs/docs/stand-in.js';

/** `DOCS=docs/online.md node --test dist/test/docs/commands.test.js` looks at some pages alone. */
const only = process.env.DOCS?.split(',');
const pages = testedPages().filter(({ path }) => only === undefined || only.includes(path));
const units = pages.flatMap(unitsOf);

test('every command of the docs is one that there is, with its options and settings', async () => {
  const mistakes: string[] = [];
  for (const { page, steps } of units) {
    for (const { commands } of steps) {
      for (const { line, text } of commands) {
        for (const words of simpleCommands(text)) {
          const mistake = await mistakeIn(words);
          if (mistake !== undefined) mistakes.push(`${page}:${line}: ${words.join(' ')}\n    ${mistake}`);
        }
      }
    }
  }
  assert.deepEqual(mistakes, [], mistakes.join('\n'));
});

test('every command of the docs that a test machine can run ends as the page says', { concurrency: 2 }, async (t) => {
  const runnable = units.filter(({ steps }) =>
    steps.some(({ commands }) => commands.some(({ lacks }) => !lacks.length)),
  );
  let prepared: { data: string; remove: () => void } | undefined;
  if (runnable.some((unit) => !startsFresh(unit))) prepared = await prepareRun();
  after(() => prepared?.remove());
  await Promise.all(
    runnable.map((unit) =>
      t.test(`${unit.page}: ${unit.name}`, async (t) => {
        const folder = unitFolder(startsFresh(unit) ? undefined : prepared?.data);
        t.after(() => rmSync(folder.parent, { recursive: true, force: true }));
        for (const name of unit.steps.flatMap(({ plan }) => plan.given)) {
          assert.ok(Object.hasOwn(GIVEN, name), `${unit.page}: given=${name}: expected one of ${Object.keys(GIVEN)}`);
          await GIVEN[name](folder);
        }
        const { failure } = await runUnit(unit, folder, await standIn(t, unit));
        if (failure !== undefined) assert.fail(`${failure}\n${HOW_TO_MARK}`);
      }),
    ),
  );
});

test('what is not run is told', (t) => {
  const lacking = new Map<string, number>();
  for (const { lacks } of units.flatMap(({ steps }) => steps.flatMap(({ commands }) => commands))) {
    for (const name of lacks) lacking.set(name, (lacking.get(name) ?? 0) + 1);
  }
  for (const [name, count] of lacking) t.diagnostic(`${count} commands NOT RUN: they need ${NEEDS[name].reason}`);
  const all = units.flatMap(({ steps }) => steps.flatMap(({ commands }) => commands));
  assert.ok(only !== undefined || all.filter(({ lacks }) => lacks.length === 0).length >= 20, 'hardly anything is run');
});

function startsFresh({ steps }: Unit): boolean {
  return steps.some(({ plan }) => plan.fresh);
}
