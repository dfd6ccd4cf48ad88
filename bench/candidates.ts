/**
 * Sampling 63 more actions per state at T5-base size (prompts of 128 tokens, 60 new tokens each; weights are random, so few
 * prefixes are shared), compared with transformers' `generate` on 63 repeated rows.
 *
 *   npm run bench -- candidates -- [--states N] [--tokens N] [--steps N] [--rounds N] [--threads N] [--python PATH]
 */
import { parseArgs } from 'node:util';
import { Sampler } from '../src/agents/policy/sampler.js';
import { openRuntime } from '../src/graph/index.js';
import { autoUISpecs } from '../src/models/autoui/config.js';
import { AUTOUI_BASE, autoUIBaseJson } from './real-sizes.js';
import {
  lastLine,
  median,
  ownMeasurement,
  pythonWithTorch,
  speedLine,
  tiledParameters,
  timed,
  timingLine,
  TORCH_TIMED,
  type Timing,
} from './side-by-side.js';

const { values: options } = parseArgs({
  options: {
    // states sampled together
    states: { type: 'string', default: '4' },
    samples: { type: 'string', default: '63' },
    tokens: { type: 'string', default: '60' },
    prompt: { type: 'string', default: '128' },
    steps: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string' },
    measure: { type: 'boolean', default: false },
  },
});
const [states, samples, tokens, prompt] = [options.states, options.samples, options.tokens, options.prompt].map(Number);
const threads = Number(options.threads);

async function measure(): Promise<Timing> {
  const config = { ...AUTOUI_BASE, eos: AUTOUI_BASE.vocabulary - 1 };
  const runtime = await openRuntime({ kind: 'auto', threads });
  const sampler = new Sampler(runtime, tiledParameters(autoUISpecs(config)), config, { maxTokens: tokens });
  const asked = Array.from({ length: states }, (_, s) => ({
    key: String(s),
    ids: Array.from({ length: prompt }, (_, i) => 3 + ((i * 7 + s * 13) % 1000)),
    image: new Float32Array(config.image).fill(0.1 * s),
    count: samples,
  }));
  const timing = await timed(Number(options.steps), (step) =>
    sampler.sample(asked, { seed: step + 1, temperature: 1.2 }),
  );
  if (process.env.VERBOSE) console.error(sampler.cost);
  return timing;
}

const TORCH = `${TORCH_TIMED}
from transformers import T5Config, T5ForConditionalGeneration
model = T5ForConditionalGeneration(T5Config(**settings['config'], decoder_start_token_id=0)).eval()
ids = (torch.arange(settings['prompt']) * 7 % 1000 + 3).repeat(settings['samples'], 1)
mask = torch.ones_like(ids)
@torch.no_grad()
def run(step):
    out = model.generate(ids, attention_mask=mask, do_sample=True, temperature=1.2, top_k=0, max_new_tokens=settings['tokens'], min_new_tokens=settings['tokens'])
    assert out.shape == (settings['samples'], settings['tokens'] + 1), out.shape
timed(settings['steps'], run)
`;

if (options.measure) console.log(JSON.stringify(await measure()));
else {
  const python = pythonWithTorch(options.python);
  const [ours, theirs]: [Timing[], Timing[]] = [[], []];
  for (let round = 0; round < Number(options.rounds); round++) {
    // time per state
    const { ms, gib } = ownMeasurement('--measure');
    ours.push({ ms: ms.map((each) => each / states), gib });
    if (!python) continue;
    const settings = { config: autoUIBaseJson(), samples, tokens, prompt, threads, steps: Number(options.steps) };
    theirs.push(lastLine(python, ['-c', TORCH, JSON.stringify(settings)]));
  }
  const rate = (timings: readonly Timing[]) => (samples * tokens) / (median(timings.flatMap(({ ms }) => ms)) / 1000);
  console.log(`${samples} samples of ${tokens} tokens per state, ${states} states at a time, ${threads} threads`);
  console.log(`${timingLine('critiq, per state', ours)}   ${rate(ours).toFixed(0)} tokens/s`);
  if (theirs.length > 0) {
    console.log(`${timingLine('transformers generate, per state', theirs)}   ${rate(theirs).toFixed(0)} tokens/s`);
    console.log(speedLine(ours, theirs, 'generate on repeated rows'));
  } else console.log('PyTorch skipped: no Python with torch and transformers found; set one with --python PATH');
}
