/**
 * A training step of Auto-UI at T5-base size (12 + 12 layers, batch 4, prompts of 128 and actions of 64 tokens): forward,
 * backward, clipping, Adam. It is compared with PyTorch on transformers' T5 of the same size, with Adam and fused Adam.
 *
 *   npm run bench -- actor-step -- [--steps N] [--rounds N] [--threads N] [--python PATH]
 */
import { parseArgs } from 'node:util';
import { sft } from '../src/algorithms/digiq.js';
import {
  chain,
  clipByGlobalNorm,
  input,
  openRuntime,
  scaleByAdam,
  scaleByLearningRate,
  sum,
  Trainer,
} from '../src/graph/index.js';
import { decodeTeacherForced, encode, logProb } from '../src/models/autoui/autoui.js';
import { autoUISpecs } from '../src/models/autoui/config.js';
import { AUTOUI_BASE, autoUIBaseJson } from './real-sizes.js';
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
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string' },
    measure: { type: 'boolean', default: false },
  },
});
const threads = Number(options.threads);
const [BATCH, PROMPT, ACTION] = [4, 128, 64];

async function measure(): Promise<Timing> {
  const config = AUTOUI_BASE;
  const trainer = new Trainer<null>({
    runtime: await openRuntime({ kind: 'auto', threads }),
    params: tiledParameters(autoUISpecs(config)),
    optimizer: chain(clipByGlobalNorm(0.01), scaleByAdam(), scaleByLearningRate()),
    loss: (p) => {
      const labels = input('labels', [BATCH, ACTION], 'int64');
      const mask = input('mask', [BATCH, PROMPT]);
      const memory = encode(
        p,
        config,
        input('ids', [BATCH, PROMPT], 'int64'),
        mask,
        input('image', [BATCH, config.image]),
      );
      const logs = logProb(
        decodeTeacherForced(p, config, memory, mask, labels),
        labels,
        input('label_mask', [BATCH, ACTION]),
      );
      return { loss: sft(sum(logs, [1])) };
    },
  });
  const ids = (count: number) => BigInt64Array.from({ length: count }, (_, i) => BigInt(3 + ((i * 7) % 1000)));
  const feeds = {
    ids: ids(BATCH * PROMPT),
    mask: new Float32Array(BATCH * PROMPT).fill(1),
    image: new Float32Array(BATCH * config.image).fill(0.1),
    labels: ids(BATCH * ACTION),
    label_mask: new Float32Array(BATCH * ACTION).fill(1),
  };
  return timed(Number(options.steps), async () => {
    await trainer.accumulate(null, feeds);
    await trainer.apply(1e-4, 1);
  });
}

const TORCH = `${TORCH_TIMED}
from transformers import T5Config, T5ForConditionalGeneration
model = T5ForConditionalGeneration(T5Config(**settings['config'], decoder_start_token_id=0, dropout_rate=0.0))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=settings['fused'])
ids = (torch.arange(settings['batch'] * settings['prompt']) * 7 % 1000 + 3).reshape(settings['batch'], -1)
labels = (torch.arange(settings['batch'] * settings['action']) * 7 % 1000 + 3).reshape(settings['batch'], -1)
mask = torch.ones_like(ids)
def run(step):
    optimizer.zero_grad()
    logits = model(input_ids=ids, attention_mask=mask, labels=labels).logits
    logs = torch.log_softmax(logits, -1).gather(2, labels[:, :, None]).sum()
    (-logs / settings['batch']).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    optimizer.step()
timed(settings['steps'], run)
`;

if (options.measure) console.log(JSON.stringify(await measure()));
else {
  const python = pythonWithTorch(options.python);
  const ours: Timing[] = [];
  const theirs: Record<string, Timing[]> = { 'PyTorch, Adam': [], 'PyTorch, fused Adam': [] };
  for (let round = 0; round < Number(options.rounds); round++) {
    ours.push(ownMeasurement('--measure'));
    for (const [name, timings] of python ? Object.entries(theirs) : []) {
      const sizes = { batch: BATCH, prompt: PROMPT, action: ACTION };
      const settings = {
        ...sizes,
        config: autoUIBaseJson(),
        threads,
        steps: Number(options.steps),
        fused: name.includes('fused'),
      };
      timings.push(lastLine(python!, ['-c', TORCH, JSON.stringify(settings)]));
    }
  }
  console.log(
    `Auto-UI at T5-base size, batch ${BATCH}, prompts of ${PROMPT}, actions of ${ACTION} tokens, ${threads} threads`,
  );
  console.log(timingLine('critiq, per step', ours));
  for (const [name, timings] of Object.entries(theirs)) {
    if (timings.length === 0) continue;
    console.log(timingLine(name, timings));
    console.log(speedLine(ours, timings, name));
  }
  if (!python) console.log('PyTorch skipped: no Python with torch and transformers found; set one with --python PATH');
}
