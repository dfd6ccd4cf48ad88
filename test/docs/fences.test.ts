/** The blocks of README and the docs that are not commands: settings load, JSON parses, TypeScript type-checks and runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mistakeInBlock, typeMistakes } from '../rigs/docs/languages.js';
import { parsePage, testedPages } from '../rigs/docs/markdown.js';
import { HOW_TO_MARK, kindOf, planOf, python } from '../rigs/docs/marks.js';
import { simpleCommands } from '../rigs/docs/commands.js';
import { commandsOf, unitsOf } from '../rigs/docs/units.js';

const pages = testedPages();
const blocks = pages.flatMap(({ fences }) => fences).map((fence) => ({ fence, plan: planOf(fence) }));
const ofKind = (...kinds: string[]) => blocks.filter(({ fence, plan }) => kinds.includes(kindOf(fence, plan)));

test('every mark stands before a block', () => {
  const stray = pages.flatMap(({ path, strayMarks }) => strayMarks.map(({ line }) => `${path}:${line}`));
  assert.deepEqual(stray, [], 'marks without a block');
});

test('blocks that show output hold no commands', () => {
  const programs = ['critiq', 'make', 'npm', 'npx', 'node', 'git', 'pip', 'python', 'python3', 'docker', 'adb', 'apt'];
  const hidden = ofKind('output').flatMap(({ fence }) =>
    fence.text.split('\n').flatMap((line, i) => {
      const [first] = simpleCommands(line.replace(/^\s*\$ /, ''));
      // critiq's own messages begin with its name, too
      return programs.includes(first?.[0] ?? '') ? [`${fence.page}:${fence.line + 1 + i}: ${line}`] : [];
    }),
  );
  assert.deepEqual(hidden, [], `commands in a block of output: label it \`\`\`sh\n${HOW_TO_MARK}`);
});

test('settings, JSON, JavaScript and Python of the docs are right', async (t) => {
  const found = python();
  const others = blocks.filter(
    ({ fence, plan }) => !['shell', 'output', 'ts', 'typescript'].includes(kindOf(fence, plan)),
  );
  if (found === undefined && others.some(({ fence }) => /^py/.test(fence.language)))
    t.diagnostic('PYTHON BLOCKS NOT COMPILED: there is no python3');
  const mistakes: string[] = [];
  for (const { fence, plan } of others) {
    const mistake = await mistakeInBlock(fence, plan, found);
    if (mistake !== undefined) mistakes.push(`${fence.page}:${fence.line}: ${mistake}`);
  }
  assert.deepEqual(mistakes, [], `${mistakes.join('\n')}\n${HOW_TO_MARK}`);
});

test('TypeScript of the docs type-checks', () => {
  const mistakes = [...typeMistakes(ofKind('ts', 'typescript')).values()].flat();
  assert.deepEqual(mistakes, [], `${mistakes.join('\n')}\n${PRELUDE}`);
});

const PRELUDE = `
Names that a reader knows but the block does not define are declared before it, out of sight:
  <!-- test: prelude
  import { Device } from 'critiq/devices';
  declare const phone: Device;
  -->
A block without such declarations is run as well, in a folder with a finished run in data/pocket.`;

test('a fence, its marks and its commands are found', () => {
  const page = parsePage(
    'page.md',
    [
      '# A page, with `code`',
      '<!-- test: needs=gpu for="make gpu" -->',
      '<!-- test: sequence=one exit=2 -->',
      '',
      '```sh',
      'make gpu',
      'critiq eval \\',
      '  run=a   # a comment',
      "cat <<'END'",
      'critiq nothing',
      'END',
      '```',
      '',
      '<!-- test: output -->',
      'text [link](other.md#there)',
      '## A page, with code',
    ].join('\n'),
  );
  assert.deepEqual(
    page.headings.map(({ slug }) => slug),
    ['a-page-with-code', 'a-page-with-code-1'],
  );
  assert.deepEqual(page.links, [{ line: 15, target: 'other.md#there' }]);
  assert.deepEqual(
    page.strayMarks.map(({ line }) => line),
    [14],
  );
  const [fence] = page.fences;
  const plan = planOf(fence, () => true);
  assert.equal(plan.exit, 2);
  assert.equal(plan.sequence, 'one');
  assert.deepEqual(
    commandsOf(fence, plan).map(({ line, text, lacks }) => [line, text.split('\n').length, lacks]),
    [
      [6, 1, ['gpu']],
      [7, 2, []],
      [9, 3, []],
    ],
  );
  assert.deepEqual(
    unitsOf(page).map(({ name }) => name),
    ['one'],
  );
  assert.deepEqual(simpleCommands(`A=1 make "b c" 'd'e > f 2>&1 | tee -a g && h # i`), [
    ['A=1', 'make', 'b c', 'de'],
    ['tee', '-a', 'g'],
    ['h'],
  ]);
});

test('a block that is wrong is refused', async (t) => {
  const mistake = async (language: string, text: string, mark = '') => {
    const [fence] = parsePage('page.md', `${mark}\n\`\`\`${language}\n${text}\n\`\`\`\n`).fences;
    const plan = planOf(fence);
    return language === 'ts'
      ? typeMistakes([{ fence, plan }]).get(fence)?.join('\n')
      : await mistakeInBlock(fence, plan, python());
  };
  assert.match((await mistake('yaml', 'eval: { epsiodes: 3 }'))!, /unknown setting eval\.epsiodes/);
  assert.equal(await mistake('yaml', 'extends: pocket\neval: { episodes: 3 }'), undefined);
  assert.match((await mistake('yaml', 'user: 3', '<!-- test: as=template -->'))!, /user/);
  assert.match((await mistake('json', '{"a": 1,}'))!, /JSON/);
  assert.equal(await mistake('json', '{"a": 1}\n{"a": 2}'), undefined);
  assert.match((await mistake('json', '{"id": "a b", "text": "x"}', '<!-- test: as=task -->'))!, /letters, digits/);
  assert.match((await mistake('js', 'export const = 1;'))!, /SyntaxError/);
  assert.match((await mistake('cobol', 'STOP RUN.'))!, /no test knows the language cobol/);
  assert.match((await mistake('ts', "import { openRun } from 'critiq';\nopenRun(3);"))!, /^page\.md:4: .*number/);
  const prelude = '<!-- test: prelude\ndeclare const folder: string;\n-->';
  assert.equal(await mistake('ts', "import { openRun } from 'critiq';\nawait openRun(folder);", prelude), undefined);
  if (python() === undefined) t.diagnostic('PYTHON BLOCKS NOT COMPILED: there is no python3');
  else assert.match((await mistake('python', 'def f(:'))!, /SyntaxError/);
});

test('a mark that is wrong is refused, saying how it is written', () => {
  for (const [mark, message] of [
    ['needs=magic', /page\.md:1: unknown needs=magic[^]*needs=gpu/],
    ['runs', /unknown mark runs/],
    ['output=yes', /output: expected no value/],
    ['needs', /needs: expected a value/],
    ['for="make"', /for= needs a needs=/],
  ] as const) {
    const [fence] = parsePage('page.md', `<!-- test: ${mark} -->\n\`\`\`sh\nmake\n\`\`\`\n`).fences;
    assert.throws(() => planOf(fence), message, mark);
  }
});
