/** However the rig ends, all its processes end too; other adb servers are left alone. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { appiumTest } from '../../rigs/appium/shared-rig.js';
import { freePort, until } from '../../rigs/appium/rig.js';
import { findTools } from '../../rigs/appium/tools.js';
import { emptyFolder } from '../../rigs/process.js';

const program = fileURLToPath(new URL('../../rigs/appium/main.js', import.meta.url));

interface Started {
  readonly url: string;
  readonly adb: string;
  readonly pids: readonly number[];
}

/** Ids of the running processes whose command line contains these words. */
function processesOf(words: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(words);
      } catch {
        return false;
      }
    });
}

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  appiumTest(`no process of a rig remains after ${signal}, and another adb server keeps running`, async (t) => {
    const { adb } = findTools();
    const port = String(await freePort());
    const env = { PATH: process.env.PATH, HOME: emptyFolder(t), ADB_LOCAL_TRANSPORT_MAX_PORT: '5553' };
    const other = spawn(adb, ['-P', port, 'nodaemon', 'server'], { env, stdio: 'ignore' });
    t.after(() => other.kill());

    const config = join(emptyFolder(t), 'phones.yaml');
    const child = spawn(process.execPath, [program, '--phones', '1', '--config', config], {
      env: { ...process.env, NODE_TEST_CONTEXT: '', TMPDIR: emptyFolder(t) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    const started = await new Promise<Started>((resolve, reject) => {
      child.stdout.once('data', (line: Buffer) => resolve(JSON.parse(String(line)) as Started));
      child.once('exit', () => reject(new Error('the rig has ended')));
    });
    const server = started.adb.replace(/^adb /, '');
    assert.equal(started.pids.length, 2);
    assert.ok(processesOf(server).length > 0);

    child.kill(signal);
    await until(
      'all processes gone',
      () => started.pids.every((pid) => processesOf('').indexOf(String(pid)) < 0),
      30_000,
    );
    await until('its adb server gone', () => processesOf(`${server} `).length === 0, 30_000);
    const listed = spawnSync(adb, ['-P', port, 'devices'], { env, encoding: 'utf8' });
    assert.match(listed.stdout, /^List of devices attached\s*$/, 'the other adb server never learned of the phones');
    assert.equal(other.exitCode, null);
  });
}
