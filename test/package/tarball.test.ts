/** What `npm pack` puts into the package, and that npm installs it with nothing but its registry. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../src/package.js';
import { LICENSES, licenses } from '../../packaging/licenses.js';
import { readLock, withScripts } from '../../packaging/lock.js';
import { npm, packageTest } from '../rigs/package.js';
import { emptyFolder } from '../rigs/process.js';

/** Folder of onnxruntime-node's libraries for this platform, in critiq's own modules or beside it. */
function libraries(modules: string): string {
  const places = [join(modules, 'critiq', 'node_modules'), modules].map((place) => join(place, 'onnxruntime-node'));
  const found = places.find((place) => existsSync(place));
  assert.ok(found, 'onnxruntime-node is installed');
  return join(found, 'bin', 'napi-v6', process.platform, process.arch);
}

packageTest('the package holds a fresh build, its documents, and nothing else', async ({ tarball }) => {
  const names = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  const files = new Set(names.map((name) => name.replace(/^package\//, '')));
  for (const wanted of [
    ...['dist/src/cli/main.js', 'dist/src/cli/main.d.ts', 'dist/pipelines/index.js', 'dist/pipelines/index.d.ts'],
    ...['dist/src/runner/shard-worker.js', 'dist/viewer/index.html', 'configs/pocket.yaml', 'docs/settings.md'],
    ...['examples/web/tasks.jsonl', 'packaging/preinstall.cjs', 'package.json', 'README.md', 'CHANGELOG.md'],
    ...['LICENSE', 'THIRD_PARTY_LICENSES.md'],
  ])
    assert.ok(files.has(wanted), wanted);
  const allowed =
    /^(dist\/(src|pipelines|viewer)\/|configs\/|docs\/(?!api\/|\.)|examples\/|packaging\/preinstall\.cjs$|(package\.json|README\.md|CHANGELOG\.md|LICENSE|THIRD_PARTY_LICENSES\.md)$)/;
  assert.deepEqual(
    [...files].filter((name) => !allowed.test(name) || /\.map$|\.test\.|\.tsbuildinfo$|\.stamp$/.test(name)),
    [],
  );
  // no script names a source map that is not there, and every one comes from a source of today
  for (const name of [...files].filter((name) => /^dist\/(src|pipelines)\/.*\.js$/.test(name))) {
    assert.ok(
      existsSync(join(packageRoot(), name.replace('dist/', '').replace(/\.js$/, '.ts'))),
      `${name} has a source`,
    );
    assert.ok(files.has(name.replace(/\.js$/, '.d.ts')), `${name} has types`);
  }
  const script = execFileSync('tar', ['xzOf', tarball, 'package/dist/src/cli/main.js'], { encoding: 'utf8' });
  assert.doesNotMatch(script, /sourceMappingURL/);
});

packageTest('package.json says where critiq is at home, and what it needs', async ({ folder }) => {
  const file = join(folder, 'node_modules', 'critiq', 'package.json');
  const about = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown> & { engines: { node: string } };
  for (const key of ['description', 'license', 'author', 'repository', 'homepage', 'bugs', 'keywords', 'bin', 'files'])
    assert.ok(about[key], key);
  assert.match(about.engines.node, /^>=20/);
});

packageTest('npm install asks nobody but the registry', async ({ folder }) => {
  const names = readdirSync(libraries(join(folder, 'node_modules')));
  assert.ok(names.some((name) => /onnxruntime/.test(name)));
  assert.deepEqual(
    names.filter((name) => /cuda|tensorrt/.test(name)),
    [],
  );
});

packageTest('npm install -g gives the command critiq, and asks nobody but the registry', async ({ tarball }, t) => {
  const prefix = emptyFolder(t);
  await npm(['install', '-g', '--prefix', prefix, tarball], prefix);
  const bin = join(prefix, 'bin', 'critiq');
  assert.match(execFileSync(bin, ['--version'], { encoding: 'utf8', cwd: prefix }), /^\d+\.\d+\.\d+\n$/);
  assert.deepEqual(
    readdirSync(libraries(join(prefix, 'lib', 'node_modules'))).filter((name) => /cuda|tensorrt/.test(name)),
    [],
  );
});

for (const [where, modules] of [
  ['below critiq, as in a global installation', 'node_modules/critiq/node_modules'],
  ['beside critiq, as in a project', 'node_modules'],
]) {
  test(`the install script of onnxruntime-node ${where}, runs on request only`, (t) => {
    const folder = emptyFolder(t);
    const packaging = join(folder, 'node_modules/critiq/packaging');
    const script = join(folder, modules, 'onnxruntime-node/script/install.js');
    mkdirSync(packaging, { recursive: true });
    mkdirSync(dirname(script), { recursive: true });
    copyFileSync(join(packageRoot(), 'packaging/preinstall.cjs'), join(packaging, 'preinstall.cjs'));
    writeFileSync(script, "'use strict';\nconsole.log('downloads');\n");
    const node = (file: string, env: NodeJS.ProcessEnv = {}): string =>
      execFileSync(process.execPath, [file], { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } });
    assert.equal(node(script), 'downloads\n');
    node(join(packaging, 'preinstall.cjs'));
    const guarded = readFileSync(script, 'utf8');
    assert.equal(node(script), '');
    assert.equal(node(script, { ONNXRUNTIME_NODE_INSTALL: 'cuda12' }), 'downloads\n');
    assert.equal(node(script, { npm_config_onnxruntime_node_install: 'cuda12' }), 'downloads\n');
    node(join(packaging, 'preinstall.cjs'));
    assert.equal(readFileSync(script, 'utf8'), guarded, 'once is enough');
  });
}

test('the lock file has no package whose install script npm would run', () => {
  assert.deepEqual(withScripts(readLock()), [], 'npm run lock takes the marks off');
});

test('THIRD_PARTY_LICENSES.md is that of the locked packages', () => {
  assert.equal(readFileSync(LICENSES, 'utf8'), licenses(), 'npm run licenses makes it anew');
});
