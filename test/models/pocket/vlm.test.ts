/** The pocket VLM's representation: which hidden states are kept, and how well the tokens agree with the predictions. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Forward, input, openRuntime, Parameters } from '../../../src/graph/index.js';
import { decode, encode, head } from '../../../src/models/autoui/autoui.js';
import { autoUISpecs, type AutoUIConfig } from '../../../src/models/autoui/config.js';
import { pocketVlm, pocketVlmDim, SLOTS, type PocketVlmConfig } from '../../../src/models/pocket/vlm.js';
import { Random } from '../../../src/random.js';

const autoui: AutoUIConfig = {
  vocabulary: 11,
  width: 8,
  headWidth: 4,
  heads: 2,
  feedForward: 12,
  encoderLayers: 1,
  decoderLayers: 1,
  buckets: 8,
  maxDistance: 20,
  gated: false,
  epsilon: 1e-6,
  image: 5,
  tied: true,
  pad: 0,
  eos: 1,
  start: 0,
};
const config: PocketVlmConfig = { model_type: 'critiq-pocket-vlm', autoui, yes: 3, no: 4 };
const params = Parameters.init(autoUISpecs(autoui), 3);
const runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

const [STATES, ROWS, PROMPT, ACTION] = [2, 3, 4, 5];
const random = new Random(1, 'pocket vlm');
const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
const actions = [
  [5, 6, 7, 1],
  [8, 1],
  [9, 2, 1],
];
const owners = [0, 1, 1];
const prompts = [
  [2, 3, 4, 5],
  [6, 7, 1, 0],
];
const promptMask = [
  [1, 1, 1, 1],
  [1, 1, 1, 0],
];
const images = normal(ROWS * autoui.image);
const padded = actions.flatMap((ids) => [...ids, ...Array<number>(ACTION - ids.length).fill(0)]);

test("the representation is the kept hidden states, their mean, and each token's surplus over the expected token", async () => {
  const { representation, logit } = await new Forward<null>(runtime, params, (w) => {
    const x = {
      ids: input('ids', [STATES, PROMPT], 'int64'),
      mask: input('mask', [STATES, PROMPT]),
      state: input('state', [ROWS], 'int64'),
      image: input('image', [ROWS, autoui.image]),
      action: input('action', [ROWS, ACTION], 'int64'),
      slots: input('slots', [ROWS, SLOTS], 'int64'),
      actionMask: input('action_mask', [ROWS, ACTION]),
    };
    return { ...pocketVlm(w, config, x) };
  }).run(null, {
    ids: BigInt64Array.from(prompts.flat(), BigInt),
    mask: Float32Array.from(promptMask.flat()),
    state: BigInt64Array.from(owners, BigInt),
    image: images,
    action: BigInt64Array.from(padded, BigInt),
    slots: BigInt64Array.from(
      actions.flatMap((ids, r) => [1, 2, ids.length].map((at) => r * ACTION + Math.min(at, ids.length))),
      BigInt,
    ),
    action_mask: Float32Array.from(
      actions.flatMap((ids) => Array.from({ length: ACTION }, (_, t) => (t <= ids.length ? 1 : 0))),
    ),
  });

  // the same from the policy's own graph, where each row has its own copy of the prompt
  const policy = new Forward<null>(runtime, params, (w) => {
    const mask = input('mask', [ROWS, PROMPT]);
    const memory = encode(w, autoui, input('ids', [ROWS, PROMPT], 'int64'), mask, input('image', [ROWS, autoui.image]));
    const hidden = decode(w, autoui, memory, mask, input('action', [ROWS, ACTION], 'int64'));
    return { hidden, logits: head(w, autoui, hidden) };
  });
  const { hidden, logits } = (await policy.run(null, {
    ids: BigInt64Array.from(
      owners.flatMap((s) => prompts[s]),
      BigInt,
    ),
    mask: Float32Array.from(owners.flatMap((s) => promptMask[s])),
    image: images,
    action: BigInt64Array.from(padded, BigInt),
  })) as Record<string, Float32Array>;

  const { width, vocabulary } = autoui;
  const dim = pocketVlmDim(config);
  assert.equal(representation.length, ROWS * dim);
  const table = params.get('shared.weight').data;
  const close = (got: number, want: number, what: string) =>
    assert.ok(Math.abs(got - want) < 1e-4 * Math.max(1, Math.abs(want)), `${what}: expected ${want}, got ${got}`);
  for (const [r, ids] of actions.entries()) {
    const part = (n: number) =>
      (representation as Float32Array).subarray(r * dim + n * width, r * dim + (n + 1) * width);
    const at = (t: number) => hidden.subarray((r * ACTION + t) * width, (r * ACTION + t + 1) * width);
    const kept = [1, 2, ids.length].map((t) => Math.min(t, ids.length));
    for (let i = 0; i < width; i++) {
      kept.forEach((t, slot) => close(part(slot)[i], at(t)[i], `row ${r}, slot ${slot}`));
      let mean = 0;
      for (let t = 0; t <= ids.length; t++) mean += at(t)[i] / (ids.length + 1);
      close(part(SLOTS)[i], mean, `row ${r}, mean`);
    }
    let surplus = 0;
    for (const [t, token] of ids.entries()) {
      const scores = logits.subarray((r * ACTION + t) * vocabulary, (r * ACTION + t + 1) * vocabulary);
      const most = Math.max(...scores);
      const weights = Array.from(scores, (score) => Math.exp(score - most));
      const total = weights.reduce((a, b) => a + b);
      surplus += scores[token] - weights.reduce((sum, weight, v) => sum + (weight / total) * scores[v], 0);
    }
    close(
      part(SLOTS + 1).reduce((a, b) => a + b),
      surplus * width ** 0.5,
      `row ${r}, agreement`,
    );
    const answer = (token: number) =>
      at(ids.length).reduce((sum, h, i) => sum + h * table[token * width + i], 0) * width ** -0.5;
    close(Number(logit[r]), answer(config.yes) - answer(config.no), `row ${r}, answer`);
  }
});
