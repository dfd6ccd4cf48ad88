/**
 * Trains a critic with the critic stage on a synthetic data set with the released widths (1408-float images, 4096-float
 * representations, 64 actions per state). Prints the peak memory and the time to read a minibatch, to compare with a step at
 * the real sizes (critic-step.ts).
 *
 *   npm run bench -- replay -- [--gigabytes N] [--folder FOLDER] [--batch N]
 *
 * The heads are small, so that the memory is mostly that of the data.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { registry } from '../pipelines/index.js';
import { CriticData, CriticInputs } from '../pipelines/training/critic-data.js';
import { TokenFeeds } from '../src/agents/critic/critic-feeds.js';
import { TextTokenizer } from '../src/agents/text/tokenizer.js';
import { MinibatchSampler } from '../src/data/replay.js';
import { main } from '../src/cli/main.js';
import { writePocketTokenizer } from '../src/models/pocket/tokenizer.js';
import type { StageContext } from '../src/runner/stage.js';
import { makeReplay, RELEASED } from './make/replay.js';

const { values: options } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '5' },
    folder: { type: 'string', default: join(tmpdir(), 'critiq-bench') },
    batch: { type: 'string', default: '32' },
    // set in the child process, which trains
    train: { type: 'boolean', default: false },
  },
});
const { folder } = options;
const run = join(folder, 'replay');
const tokenizer = join(folder, 'tokenizer');
const WIDTH = 32;

/** One pass of the critic stage. Prints the peak resident memory in GiB. */
async function train(): Promise<void> {
  const settings = [
    ...['run=replay', `data=${folder}`, `critic.tokenizer=${tokenizer}`, 'critic.validation=0.2'],
    ...['critic.iterations=1', 'critic.epochs=1', `critic.batch_size=${options.batch}`, 'critic.grad_accum_steps=1'],
    ...[`critic.text_width=${WIDTH}`, 'critic.text_layers=1', 'critic.text_heads=2', 'critic.text_tokens=32'],
    ...['critic.q_hidden=[64]', 'critic.v_hidden=[64]', 'critic.state_rep=false', 'critic.train_text_tower=true'],
  ];
  const code = await main(['critic', '--force', '--quiet', ...settings], registry);
  if (code !== 0) process.exit(code);
  console.log(JSON.stringify({ gib: process.resourceUsage().maxRSS / 2 ** 20 }));
}

/** Milliseconds to read a minibatch from disk into typed arrays: both states, the action taken and a backup action. */
async function reading(): Promise<number[]> {
  const data = await CriticData.open({ dataset: (name: string) => join(run, name) } as StageContext<unknown>);
  const text = TextTokenizer.load(tokenizer);
  const inputs = new CriticInputs(data, new TokenFeeds(text, { type: 8, action: 32, goal: 32 }), 0);
  const batch = Number(options.batch);
  const sampler = new MinibatchSampler(data.transitions.length, batch, 0, 'bench');
  const took: number[] = [];
  for (let n = -5; n < 60; n++) {
    const rows = [...sampler.indices(n + 5)];
    const start = performance.now();
    inputs.state('s_', rows, false);
    inputs.state('n_', rows, true);
    for (const candidate of [0, 1]) {
      inputs.action(
        'a_',
        rows,
        rows.map(() => candidate),
      );
    }
    if (n >= 0) took.push(performance.now() - start);
  }
  data.close();
  return took;
}

async function compare(): Promise<void> {
  const gigabytes = Number(options.gigabytes);
  if (!existsSync(tokenizer)) {
    mkdirSync(tokenizer, { recursive: true });
    const words = ['Go', 'to', 'search', 'for', 'item', 'shop'];
    await writePocketTokenizer(tokenizer, { pieces: ['.com'], words, grid: { rows: 24, columns: 12 } });
  }
  const transitions = await makeReplay(run, { ...RELEASED, gigabytes });
  const child = spawnSync(process.execPath, [...process.argv.slice(1), '--train'], { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`training: exit code ${child.status}: ${child.stderr.trim()}`);
  const { gib } = JSON.parse(child.stdout.trim().split('\n').at(-1)!) as { gib: number };
  const took = (await reading()).sort((a, b) => a - b);
  const median = took[Math.floor(took.length / 2)];
  console.log(
    `${transitions} transitions with ${RELEASED.candidates} actions each, ${gigabytes} GB of representations`,
  );
  console.log(`training: peak ${gib.toFixed(2)} GiB resident, including small heads and their optimizer`);
  console.log(
    `a minibatch of ${options.batch}: ${median.toFixed(1)} ms to read (${took[0].toFixed(1)} to ${took.at(-1)!.toFixed(1)})`,
  );
  rmSync(join(run, 'critic'), { recursive: true, force: true });
}

if (options.train) await train();
else await compare();
