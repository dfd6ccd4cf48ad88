import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ImageStore } from '../../../src/data/images.js';
import { Journal } from '../../../src/data/store/journal.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { Representations } from '../../../src/data/representations.js';
import { Random } from '../../../src/random.js';
import { tempFolder } from '../../rigs/files.js';

/** Runs the writer and kills it after some milliseconds if it still runs. @returns whether it completed */
async function write(folder: string, killAfter?: number): Promise<boolean> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../rigs/data-writer.js', import.meta.url)), folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('exit', (...how) => resolve(how)),
  );
  clearTimeout(timer);
  assert.ok(signal === 'SIGKILL' || code === 0, said);
  return code === 0;
}

/** All files below the folder with their bytes, except temporary ones. */
function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => !path.endsWith('.tmp'));
  return new Map(paths.sort().map((path) => [path.slice(folder.length), readFileSync(path, 'latin1')]));
}

test(
  'after kills at any moment and restarts, the files are byte-identical',
  { timeout: 120_000 },
  async (t) => {
    const undisturbed = tempFolder(t);
    const start = performance.now();
    assert.ok(await write(undisturbed));
    let whole = performance.now() - start;
    const expected = contents(undisturbed);
    assert.ok(expected.size > 100);

    const folder = tempFolder(t);
    const random = new Random(11, 'kill');
    let kills = 0;
    for (let done = false, attempt = 0; !done; attempt++) {
      // Kill at a random time within the duration of an undisturbed run; the last attempts run without a kill.
      done = await write(folder, kills === 0 || attempt < 12 ? whole * (0.2 + random.next() * 0.8) : undefined);
      if (!done) kills++;
      else if (kills === 0) {
        // The first run was slower than this one. Start again from nothing with earlier kills.
        rmSync(folder, { recursive: true });
        mkdirSync(folder);
        whole /= 2;
        done = false;
        continue;
      }
      // At any moment, committed files are complete and episodes in the journal have their screenshots.
      const set = await openDataset(join(folder, 'set'), { verify: 'full' });
      Representations.open(set.files('.arrow')).close();
      const images = new ImageStore(join(folder, 'images'));
      const last = Journal.open(join(folder, 'trajectories.jsonl')).episodes.at(-1);
      if (last) for (const step of last.steps) await images.get(step.image);
    }
    assert.ok(kills > 0, 'the writer was never killed');
    assert.deepEqual([...contents(folder).keys()], [...expected.keys()]);
    for (const [path, bytes] of contents(folder)) assert.ok(bytes === expected.get(path), path);
  },
);
