import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { browserTest, runs, until } from '../../rigs/browser/rig.js';

const OWNER = fileURLToPath(new URL('../../rigs/browser/owner.js', import.meta.url));

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
  browserTest(`the browser ends when ${signal} ends its process`, async (t) => {
    const owner = spawn(process.execPath, [OWNER], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => owner.kill('SIGKILL'));
    const [line] = (await once(owner.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    assert.ok(pid > 0 && runs(pid));
    owner.kill(signal);
    await once(owner, 'exit');
    await until('the browser is gone', () => !runs(pid));
  });
}
