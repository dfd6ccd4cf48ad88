/**
 * `make bench`: all benchmarks but the rehearsal one after another, each in its own process.
 *
 *   npm run bench -- [NAME...] [-- OPTIONS FOR EACH]
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCHMARKS: Readonly<Record<string, string>> = {
  'critic-step': "a training step of Digi-Q's critic at its real sizes, compared with PyTorch",
  'actor-step': 'a training step of Auto-UI at T5-base size, compared with PyTorch',
  towers: 'RoBERTa and BLIP-2 vectors at the released sizes, compared with transformers',
  candidates: "63 more actions per state at T5-base size, compared with transformers' generate",
  replay: 'training on an imported data set of 5 GB: memory, and time to read a minibatch',
  'full-size': 'the whole pipeline with checkpoints of the released sizes and random weights: memory of each stage',
  rehearsal:
    'training on a made-up released file with the published settings: all 800 critic steps, 20 actor steps (hours; 30 GB of disk)',
  labels: '10,000 labels by a stand-in judge, with faults, kills and spent budgets: none lost, doubled or paid twice',
  lanes: 'a training step of the pocket policy: threads within operations compared with concurrent micro-batches',
  browser: 'steps per second of the browser backend with one, two and four sessions in one browser',
  appium: 'steps per second of the phone in process, behind Appium and behind a Grid (needs make test-appium)',
  viewer: 'the viewer on 2,000 trajectories of 15 steps: first view, next page, memory (needs a Chromium)',
  gpu: 'the same training on the CPU and on a GPU: numbers and speed (skipped without a GPU)',
};

const cut = process.argv.indexOf('--', 2);
const names = process.argv.slice(2, cut < 0 ? undefined : cut);
const options = cut < 0 ? [] : process.argv.slice(cut + 1);
const unknown = names.find((name) => !(name in BENCHMARKS));
if (unknown !== undefined) {
  console.error(`bench: expected ${Object.keys(BENCHMARKS).join(', ')}, got ${unknown}`);
  process.exit(2);
}
/** Takes hours, so it runs only by name. */
const LONG = ['rehearsal'];
const all = Object.keys(BENCHMARKS).filter((name) => !LONG.includes(name));
for (const name of names.length > 0 ? names : all) {
  console.log(`--- ${name}: ${BENCHMARKS[name]}`);
  const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const { status } = spawnSync(process.execPath, [script, ...options], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
