/**
 * Text and image vectors at the released sizes with random weights: roberta-base (a batch of 32 texts of 64 tokens) and the
 * vision tower of blip2-opt-2.7b (ViT-g, 986 million parameters; a batch of 2 images), compared with transformers.
 *
 *   npm run bench -- towers -- [--only roberta|blip2] [--layers N] [--steps N] [--rounds N] [--threads N] [--python PATH]
 */
import { parseArgs } from 'node:util';
import { Forward, input, openRuntime } from '../src/graph/index.js';
import { blip2Pooled, blip2VisionSpecs } from '../src/models/blip2/blip2.js';
import { robertaPooled, robertaSpecs } from '../src/models/roberta/roberta.js';
import { BLIP2_VISION, ROBERTA_BASE } from './real-sizes.js';
import {
  lastLine,
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
    only: { type: 'string' },
    // number of layers of each tower, for a quick run; 0: all
    layers: { type: 'string', default: '0' },
    steps: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string' },
    measure: { type: 'string' },
  },
});
const [threads, steps, layers] = [options.threads, options.steps, options.layers].map(Number);
const sized = <C extends { num_hidden_layers: number }>(config: C): C =>
  layers > 0 ? { ...config, num_hidden_layers: layers } : config;
const [TEXTS, TOKENS, PICTURES] = [32, 64, 2];

const TOWERS = {
  roberta: {
    what: `roberta-base, ${TEXTS} texts of ${TOKENS} tokens`,
    config: sized(ROBERTA_BASE),
    measure: async () => {
      const config = sized(ROBERTA_BASE);
      const forward = new Forward<null>(await openRuntime({ threads }), tiledParameters(robertaSpecs(config)), (p) => ({
        pooled: robertaPooled(p, config, input('ids', [TEXTS, TOKENS], 'int64'), input('mask', [TEXTS, TOKENS])),
      }));
      const feeds = {
        ids: BigInt64Array.from({ length: TEXTS * TOKENS }, (_, i) => BigInt(3 + ((i * 7) % 1000))),
        mask: new Float32Array(TEXTS * TOKENS).fill(1),
      };
      return timed(steps, () => forward.run(null, feeds));
    },
    torch: `
from transformers import RobertaConfig, RobertaModel
model = RobertaModel(RobertaConfig(**settings['config'])).eval()
ids = (torch.arange(${TEXTS * TOKENS}) * 7 % 1000 + 3).reshape(${TEXTS}, ${TOKENS})
run = lambda step: model(ids, attention_mask=torch.ones_like(ids)).pooler_output
`,
  },
  blip2: {
    what: `BLIP-2's vision tower, ${PICTURES} images`,
    config: sized(BLIP2_VISION),
    measure: async () => {
      const config = sized(BLIP2_VISION);
      const { image_size: side } = config;
      const runtime = await openRuntime({ threads });
      const forward = new Forward<null>(runtime, tiledParameters(blip2VisionSpecs(config)), (p) => ({
        pooled: blip2Pooled(p, config, input('pixels', [PICTURES, 3, side, side])),
      }));
      const pixels = Float32Array.from({ length: PICTURES * 3 * side * side }, (_, i) => Math.sin(i));
      return timed(steps, () => forward.run(null, { pixels }));
    },
    torch: `
from transformers import Blip2VisionConfig, Blip2VisionModel
model = Blip2VisionModel(Blip2VisionConfig(**settings['config'])).eval()
pixels = torch.sin(torch.arange(${PICTURES} * 3 * 224 * 224)).reshape(${PICTURES}, 3, 224, 224)
run = lambda step: model(pixels).pooler_output
`,
  },
} as const;
type Name = keyof typeof TOWERS;

if (options.measure) console.log(JSON.stringify(await TOWERS[options.measure as Name].measure()));
else {
  const python = pythonWithTorch(options.python);
  if (!python) console.log('PyTorch skipped: no Python with torch and transformers found; set one with --python PATH');
  for (const [name, { what, config, torch }] of Object.entries(TOWERS)) {
    if (options.only !== undefined && options.only !== name) continue;
    const [ours, theirs]: [Timing[], Timing[]] = [[], []];
    for (let round = 0; round < Number(options.rounds); round++) {
      ours.push(ownMeasurement('--measure', name));
      const settings = JSON.stringify({ config, threads });
      if (!python) continue;
      const program = `${TORCH_TIMED}${torch}\nwith torch.no_grad(): timed(${steps}, run)`;
      theirs.push(lastLine(python, ['-c', program, settings]));
    }
    console.log(`${what}, ${threads} threads`);
    console.log(timingLine('critiq', ours));
    if (theirs.length === 0) continue;
    console.log(timingLine('transformers', theirs));
    console.log(speedLine(ours, theirs, 'transformers'));
  }
}
