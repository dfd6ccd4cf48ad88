/**
 * `make bench`: every benchmark, one after another, each in a process of its own.
 *
 *   npm run bench -- [NAME...] [-- OPTIONS OF EACH]
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCHMARKS: Readonly<Record<string, string>> = {
  'critic-step': "a training step of Digi-Q's critic at its real sizes, beside PyTorch",
  'actor-step': 'a training step of Auto-UI at T5-base size, beside PyTorch',
  towers: "RoBERTa's and BLIP-2's vectors at the released sizes, beside transformers",
  candidates: "63 more actions for a state at T5-base size, beside transformers' generate",
  replay: 'training on an imported data set of 5 GB: memory, and reading a minibatch beside a step',
  'full-size': 'the whole pipeline with checkpoints of the released sizes on random weights: memory of each stage',
  lanes: 'a training step of the pocket policy: threads within operations against micro-batches side by side',
  browser: 'steps a second of the browser backend, with one session and with four in one browser',
  appium:
    'steps a second of the phone in process, behind Appium and behind a Grid (skipped where make test-appium has installed none)',
  viewer: 'the viewer on 2,000 trajectories of 15 steps: first view, next page, memory (needs a Chromium)',
  gpu: 'the same training on the CPU and on a GPU: do the numbers agree, and what is it worth (skipped without one)',
};

const cut = process.argv.indexOf('--', 2);
const names = process.argv.slice(2, cut < 0 ? undefined : cut);
const options = cut < 0 ? [] : process.argv.slice(cut + 1);
const unknown = names.find((name) => !(name in BENCHMARKS));
if (unknown !== undefined) {
  console.error(`bench: ${unknown} is none of ${Object.keys(BENCHMARKS).join(', ')}`);
  process.exit(2);
}
for (const name of names.length > 0 ? names : Object.keys(BENCHMARKS)) {
  console.log(`--- ${name}: ${BENCHMARKS[name]}`);
  const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const { status } = spawnSync(process.execPath, [script, ...options], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
