/**
 * The whole pipeline with checkpoints of the released sizes and random weights (T5-base Auto-UI, roberta-base, BLIP-2's
 * ViT-g; the VLM is the tests' stand-in for a vLLM server, with 4096 floats), on the embedded phone with a few steps of each
 * stage. Prints the time and peak memory of each stage.
 *
 *   npm run bench -- full-size -- [--folder FOLDER] [--config FILE] [--keep]
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { blip2VisionSpecs } from '../src/models/blip2/blip2.js';
import { VllmServer } from '../test/rigs/vlm/server.js';
import { makeAutoUI, makeCheckpoint, makeRoberta } from './make/checkpoints.js';
import { BLIP2_VISION } from './real-sizes.js';

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string', default: 'data/full-size' },
    config: { type: 'string', default: 'configs/aitw-webshop.yaml' },
    keep: { type: 'boolean', default: false },
  },
});
const folder = resolve(options.folder);
const models = { policy: join(folder, 'auto-ui'), image: join(folder, 'blip2'), text: join(folder, 'roberta') };

const WORDS = {
  pieces: ['.com'],
  words: ['go', 'to', 'search', 'for', 'and', 'open', 'the', 'first', 'entry'],
  grid: { rows: 24, columns: 12 },
};

/** Runs a stage in its own process and monitors its memory. */
function stage(name: string, settings: readonly string[]): Promise<{ seconds: number; gib: number }> {
  const start = performance.now();
  const child = spawn(
    process.execPath,
    ['dist/src/cli/main.js', name, '--quiet', '--no-deps', '--config', options.config, ...settings],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  let gib = 0;
  const watch = setInterval(() => {
    try {
      // the kernel's peak value (proc(5)), which disappears with the process
      const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
      gib = Math.max(gib, Number(peak?.[1] ?? 0) / 2 ** 20);
    } catch {
      // The process has just ended.
    }
  }, 200);
  return new Promise((done, failed) => {
    child.on('exit', (code) => {
      clearInterval(watch);
      if (code === 0) done({ seconds: (performance.now() - start) / 1000, gib });
      else failed(new Error(`critiq ${name}: exit code ${code}`));
    });
  });
}

mkdirSync(folder, { recursive: true });
await makeAutoUI(models.policy, WORDS, 64);
await makeRoberta(models.text, WORDS);
await makeCheckpoint(
  models.image,
  { model_type: 'blip_2_vision_model', ...BLIP2_VISION },
  blip2VisionSpecs(BLIP2_VISION),
);

const server = await VllmServer.start({ after: () => undefined }, { model: 'stand-in', dim: 4096 });
const settings = [
  `data=${join(folder, 'runs')}`,
  ...Object.entries(models).map(([key, path]) => `models.${key}=${path}`),
  'models.vlm=stand-in',
  `represent.url=${server.url}`,
  // a few steps of each stage; sizes of models and batches are those of the settings file
  ...['tasks.max_steps=3', 'device.count=2', 'collect.episodes=4', 'candidates.retries=0'],
  ...['critic.iterations=1', 'critic.epochs=1', 'critic.grad_accum_steps=1', 'critic.batch_size=4'],
  // Random weights generate no valid actions, so there is no best action to imitate; use the policy gradient.
  ...['actor.loss=pg', 'actor.iterations=1', 'actor.epochs=1', 'actor.grad_accum_steps=2'],
  ...['eval.protocol=all', 'eval.episodes=2', 'eval.policy=digiq'],
];
if (!options.keep) rmSync(join(folder, 'runs'), { recursive: true, force: true });
let most = 0;
for (const name of ['sft', 'collect', 'candidates', 'vlm', 'represent', 'critic', 'actor', 'eval']) {
  const { seconds, gib } = await stage(name, settings);
  most = Math.max(most, gib);
  console.log(`${name.padEnd(10)} ${seconds.toFixed(0).padStart(5)} s   peak ${gib.toFixed(2).padStart(5)} GiB`);
}
await server.kill();
console.log(`largest peak of a stage: ${most.toFixed(2)} GiB`);
process.exit(0);
