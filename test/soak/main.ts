/**
 * `make soak`: kills (SIGKILL) at random moments of all stages, of growing and replacing results, of forks and sweeps. Each
 * command is started again until it ends, and the bytes are compared with those of an undisturbed run.
 *
 *   make soak ARGS="--kills 500 --seed 1 --only growing"
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '../../src/random.js';
import { SCENARIOS } from './scenarios.js';
import { killed, undisturbed } from './soak.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
});
const chosen = SCENARIOS.filter(({ name }) => name.startsWith(values.only));
const kills = Number(values.kills);
if (chosen.length === 0 || !Number.isInteger(kills) || kills < 1) {
  console.error(`soak: expected --kills N, and --only with one of ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const root = mkdtempSync(join(tmpdir(), 'critiq-soak-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const times = new Map<string, number[]>();
for (const scenario of chosen)
  times.set(scenario.name, await undisturbed(scenario, join(root, `calm ${scenario.name}`)));
let [done, lost, differing] = [0, 0, 0];
const random = new Random(Number(values.seed), 'soak');
for (let round = 1; done < kills; round++) {
  for (const scenario of chosen) {
    if (done >= kills) break;
    const calm = join(root, `calm ${scenario.name}`);
    const most = Math.min(kills - done, 4 * scenario.commands.length);
    const result = await killed(scenario, {
      calm,
      times: times.get(scenario.name)!,
      cwd: join(root, 'killed'),
      most,
      random,
    });
    done += result.kills;
    lost += result.lost.length;
    differing += result.differing.length;
    const what = [
      ...result.differing.map((file) => `  differs: ${file}`),
      ...result.lost.map((file) => `  lost: ${file}`),
    ];
    console.log([`round ${round}, ${scenario.name}: ${result.kills} kills (${done} of ${kills})`, ...what].join('\n'));
    if (result.kills === 0) {
      console.log('  never killed: its commands end too soon');
      process.exit(1);
    }
  }
}
console.log(`${done} kills: ${lost} lost, ${differing} differing`);
process.exit(lost + differing > 0 ? 1 : 0);
