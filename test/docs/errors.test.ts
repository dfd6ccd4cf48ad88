/** How the sources treat errors: none is swallowed without a reason, and what checks an input says so in a line for people. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { ESLint } from 'eslint';
import ts from 'typescript';
import { packageRoot } from '../../src/package.js';

const ROOT = packageRoot();

function* sources(): Generator<{ readonly name: string; readonly source: ts.SourceFile }> {
  for (const folder of ['src', 'pipelines']) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const name = relative(ROOT, path);
      // the page runs in a browser
      if (!/\.ts$/.test(name) || name.startsWith('src/viewer/page/')) continue;
      yield { name, source: ts.createSourceFile(name, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true) };
    }
  }
}

function* nodes(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  node.forEachChild((child) => void children.push(child));
  for (const child of children) yield* nodes(child);
}

function where(name: string, source: ts.SourceFile, node: ts.Node): string {
  return `${name}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}

/** What a try block may do for a catch to need no look at the error: it either parses a text or asks the system. */
const ASKS =
  /JSON\.parse|parseJson|decodeLine|parseYaml|new URL\(|URL\.canParse|decodeURIComponent|process\.kill|import\.meta|require\.resolve|new RegExp\(|execFileSync|accessSync/;

/** Whether a catch clause reports the error in a way, or says in a comment why there is nothing to report. */
function isReasoned({ tryBlock, catchClause }: ts.TryStatement): boolean {
  const { variableDeclaration: name, block } = catchClause!;
  const text = block.getText();
  if (name && new RegExp(`\\b${name.name.getText()}\\b`).test(text)) return true;
  return /\/\/|\/\*|\bthrow\b/.test(text) || ASKS.test(tryBlock.getText());
}

test('no error is swallowed without a reason', () => {
  const silent: string[] = [];
  let seen = 0;
  for (const { name, source } of sources()) {
    for (const node of nodes(source)) {
      if (ts.isTryStatement(node) && node.catchClause) {
        seen++;
        if (!isReasoned(node)) silent.push(where(name, source, node.catchClause));
      }
    }
  }
  assert.ok(seen > 100, String(seen));
  assert.deepEqual(silent, [], 'say in a comment why the error does not matter, or look at it');
});

/** Errors for people, and those that a caller of the same file or of json-server.ts turns into one. */
const FOR_PEOPLE =
  /^(?:UserError|RunError|\w*(?:Refused|WrongAnswer|Declined|Budget|Unavailable|Interrupted|LockLost|Unreadable)\w*)$/;
/** Layers whose callers add the name of the file, and those whose inputs are critiq's own. */
const INNER = /^src\/(?:data\/formats|graph|algorithms|yaml)/;

test('what checks an input throws errors for people', () => {
  const others: string[] = [];
  let seen = 0;
  for (const { name, source } of sources()) {
    if (INNER.test(name)) continue;
    for (const node of nodes(source)) {
      if (!(ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node))) continue;
      if (!/^(?:check|verify|refuse)/.test(node.name?.getText() ?? '')) continue;
      for (const part of nodes(node)) {
        if (!ts.isThrowStatement(part) || !ts.isNewExpression(part.expression)) continue;
        seen++;
        if (!FOR_PEOPLE.test(part.expression.expression.getText())) others.push(where(name, source, part));
      }
    }
  }
  assert.ok(seen > 20, String(seen));
  assert.deepEqual(others, []);
});

test('lint refuses writes and reads of files that go past the store', async () => {
  const eslint = new ESLint({ cwd: ROOT });
  const faults = async (path: string, code: string): Promise<number> => {
    const [{ messages }] = await eslint.lintText(code, { filePath: join(ROOT, path) });
    return messages.filter(({ ruleId }) => ruleId?.endsWith('no-restricted-imports')).length;
  };
  const writes = "import { rmSync } from 'node:fs';\nrmSync('a');\n";
  const reads = "import { readFile } from 'node:fs/promises';\nawait readFile('a');\n";
  assert.equal(await faults('src/runner/new.ts', writes), 1);
  assert.equal(await faults('pipelines/new.ts', writes), 1);
  assert.equal(await faults('src/data/store/new.ts', writes), 0);
  assert.equal(await faults('src/runner/trash.ts', writes), 0);
  assert.equal(await faults('src/viewer/new.ts', reads), 1);
  assert.equal(await faults('pipelines/new.ts', reads), 1);
  assert.equal(await faults('src/data/formats/new.ts', reads), 0);
});
