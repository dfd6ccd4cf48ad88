/** Messages name documents by their paths; outside a checkout they give addresses. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../src/errors.js';
import { packageRoot, withPages } from '../../src/package.js';
import { emptyFolder } from '../rigs/process.js';

const HOME = 'https://github.com/critiq-ai/critiq/blob/main';

test('in a checkout a message keeps its paths, elsewhere it gets addresses', (t) => {
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(packageRoot());
  const message = 'broken; see docs/vlm.md, docs/decisions/README.md or examples/web/tasks.jsonl (docs/gpu.md)';
  assert.equal(withPages(message), message);
  process.chdir(emptyFolder(t));
  const there = `broken; see ${HOME}/docs/vlm.md, ${HOME}/docs/decisions/README.md or ${HOME}/examples/web/tasks.jsonl (${HOME}/docs/gpu.md)`;
  assert.equal(withPages(message), there);
  assert.equal(withPages(there), there, 'once is enough');
  assert.equal(new UserError('see docs/vlm.md.').message, `see ${HOME}/docs/vlm.md.`);
  const others = 'docs/mine.md, /srv/docs/vlm.md, ./docs/vlm.md, https://arrow.apache.org/docs/vlm.md';
  assert.equal(withPages(others), others, "the user's own files and other sites");
});

test('every document that the sources name is there', () => {
  let named = 0;
  for (const folder of ['src', 'pipelines', 'configs'])
    for (const name of readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(tsx?|yaml)$/.test(name)) continue;
      const text = readFileSync(join(packageRoot(), folder, name), 'utf8');
      for (const [page] of text.matchAll(/(?<![\w./-])(docs|examples)\/[\w/-]+(\.\w+)+/g)) {
        named++;
        assert.ok(existsSync(join(packageRoot(), page)), `${folder}/${name} names ${page}`);
      }
    }
  assert.ok(named > 20);
});
