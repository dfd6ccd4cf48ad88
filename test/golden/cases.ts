import { join } from 'node:path';
import { z } from 'zod';
import { Sampler } from '../../src/agents/policy/sampler.js';
import { entropyBonus, holedTokens, influenceWeights, tokenEffects, withBonus } from '../../src/algorithms/coso.js';
import { targetValues, tdLoss, type CriticLoss } from '../../src/algorithms/digiq.js';
import { filteredImitation } from '../../src/algorithms/digirl.js';
import { UserError } from '../../src/errors.js';
import {
  Forward,
  Parameters,
  Trainer,
  chain,
  clipByGlobalNorm,
  grad,
  input,
  polyak,
  reshape,
  scaleByAdam,
  scaleByLearningRate,
  softmax,
  sum,
  type Runtime,
  type Tensor,
} from '../../src/graph/index.js';
import { decodeTeacherForced, encode, entropy, logProb } from '../../src/models/autoui/autoui.js';
import { readAutoUIConfig, type AutoUIConfig } from '../../src/models/autoui/config.js';
import { blip2Pooled, readBlip2VisionConfig } from '../../src/models/blip2/blip2.js';
import { causalLogits, crossEntropy, type CausalConfig } from '../../src/models/causal.js';
import { criticConfigOf, type CriticConfig } from '../../src/models/critic/critic.js';
import { readRobertaConfig, robertaPooled } from '../../src/models/roberta/roberta.js';
import { Comparison, Evaluation, ReferenceFile, readJsonAs } from './reference.js';

/** Auto-UI: forward, loss, gradients, and greedy decoding through the sampler's caches. */
export async function autoUICase(folder: string, runtime: Runtime): Promise<Comparison> {
  const model = new ReferenceFile(folder, 'model.safetensors');
  const data = new ReferenceFile(folder, 'case.safetensors');
  const grads = new ReferenceFile(folder, 'grads.safetensors');
  // transformers 5 may write tie_word_embeddings: true although there is a separate head; the checkpoint decides
  const config = { ...readAutoUIConfig(folder), tied: !model.tensors.has('lm_head.weight') };
  const graph = new Evaluation();
  const w = graph.weights(model);
  const [ids, image, labels] = ['input_ids', 'image', 'labels'].map((name) => graph.of(data, name));
  const mask = graph.of(data, 'attention_mask', { float: true });
  const labelMask = graph.of(data, 'label_mask');
  const logits = decodeTeacherForced(w, config, encode(w, config, ids, mask, image), mask, labels);
  const logProbs = logProb(logits, labels, labelMask);
  const entropies = entropy(logits);
  const policy = filteredImitation(sum(logProbs, [1]), graph.of(data, 'advantage'));
  const loss = withBonus(policy, entropyBonus(entropies, graph.of(data, 'token_weight'), labelMask), 0.3);
  const outputs: Record<string, Tensor> = { logits, log_prob: logProbs, entropy: entropies, loss: reshape(loss, [1]) };
  const result = await graph.run(runtime, { ...outputs, ...gradients(loss, w) });
  const comparison = new Comparison();
  for (const name of Object.keys(outputs)) comparison.close(name, result[name], data.floats(name));
  compareGradients(comparison, result, grads);
  comparison.equal('greedy', await greedy(folder, runtime, config, data), integerRows(data, 'greedy'));
  return comparison;
}

/** Greedy decoding to the reference's number of tokens, without stopping at the end token. */
async function greedy(
  folder: string,
  runtime: Runtime,
  config: AutoUIConfig,
  data: ReferenceFile,
): Promise<number[][]> {
  const params = Parameters.load(join(folder, 'model.safetensors'));
  const [count, length] = data.get('greedy').shape;
  const endless = { ...config, eos: -1 };
  const sampler = new Sampler(runtime, params, endless, { maxTokens: length - 1 });
  const masks = integerRows(data, 'attention_mask');
  const images = data.floats('image');
  const states = integerRows(data, 'input_ids').map((ids, i) => ({
    key: String(i),
    ids: ids.filter((_, at) => masks[i][at] === 1),
    image: images.subarray(i * config.image, (i + 1) * config.image),
    count: 1,
  }));
  const samples = await sampler.sample(states, { seed: 0, temperature: 0 });
  await sampler.close();
  return Array.from({ length: count }, (_, i) => [config.start, ...samples[i][0].tokens]);
}

const CriticMeta = z.object({
  text: z.int(),
  image: z.int(),
  rep: z.int(),
  gamma: z.number(),
  tau: z.number(),
  target_update_every: z.int().positive(),
  optimizer: z.string().regex(/^Adam lr \S+ betas \S+ \S+ eps \S+$/),
  clip_grad_norm: z.number(),
  steps: z.int().positive(),
});

/** Digi-Q's critic: a few steps of TD learning with clipping, Adam and Polyak averaging. */
export async function criticCase(folder: string, runtime: Runtime): Promise<Comparison> {
  const meta = readMeta(folder, CriticMeta);
  const [lr, b1, b2, eps] = meta.optimizer.match(/\d*\.?\d+(e-?\d+)?/g)!.map(Number);
  const data = new ReferenceFile(folder, 'case.safetensors');
  const init = new ReferenceFile(folder, 'init.safetensors');
  const config = criticConfigOf(init.shapes, meta);
  const comparison = new Comparison();
  await compareFirstGradient(folder, runtime, config, meta, comparison);

  const online = Parameters.load(init.path);
  const target = online.clone();
  const forward = new Forward<number>(runtime, target, (w, batch) => {
    const { nextV, q } = targetValues(w, config, {
      nextState: input('next_state', [batch, data.get('0.state').shape[1]]),
      state: input('state', [batch, data.get('0.state').shape[1]]),
      backupAction: input('action', [batch, data.get('0.action').shape[1]]),
    });
    return { nextV1: nextV[0], nextV2: nextV[1], targetQ1: q[0], targetQ2: q[1] };
  });
  const trainer = new Trainer<number>({
    runtime,
    params: online,
    optimizer: chain(clipByGlobalNorm(meta.clip_grad_norm), scaleByAdam({ b1, b2, eps }), scaleByLearningRate()),
    loss: (w, batch) => {
      const { loss, ...metrics } = criticGraph(w, config, data, batch, meta.gamma);
      return { loss, metrics };
    },
  });
  for (let step = 0; step < meta.steps; step++) {
    const [batch] = data.get(`${step}.reward`).shape;
    const floats = (...names: string[]) =>
      Object.fromEntries(names.map((name) => [name, data.floats(`${step}.${name}`)]));
    const targets = await forward.run(batch, floats('next_state', 'state', 'action'));
    const result = await trainer.accumulate(batch, { ...floats('state', 'action', 'reward', 'done'), ...targets });
    const losses = ['q1', 'q2', 'v1', 'v2'].map((name) => Number(result[name][0]));
    comparison.close(`${step}.losses`, losses, data.floats(`${step}.losses`));
    const { gradNorm } = await trainer.apply(lr, 1);
    comparison.close(`${step}.grad_norm`, [gradNorm], data.floats(`${step}.grad_norm`));
    if ((step + 1) % meta.target_update_every === 0) await polyak(target, online, meta.tau);
  }
  for (const [file, params] of [
    ['final', online],
    ['target', target],
  ] as const) {
    const expected = new ReferenceFile(folder, `${file}.safetensors`);
    for (const name of expected.names)
      comparison.close(`${file} ${name}`, params.get(name).data, expected.floats(name));
  }
  return comparison;
}

/** The TD loss, with the target critic's values as graph inputs. */
function criticGraph(
  w: Record<string, Tensor>,
  config: CriticConfig,
  data: ReferenceFile,
  batch: number,
  gamma: number,
): CriticLoss {
  const vector = (name: string) => input(name, [batch]);
  return tdLoss(
    w,
    config,
    {
      state: input('state', [batch, data.get('0.state').shape[1]]),
      action: input('action', [batch, data.get('0.action').shape[1]]),
      reward: vector('reward'),
      done: vector('done'),
    },
    { nextV: [vector('nextV1'), vector('nextV2')], q: [vector('targetQ1'), vector('targetQ2')] },
    gamma,
  );
}

/** The clipped gradient of the first step. The target still equals the critic, so one graph computes everything. */
async function compareFirstGradient(
  folder: string,
  runtime: Runtime,
  config: CriticConfig,
  meta: z.infer<typeof CriticMeta>,
  comparison: Comparison,
): Promise<void> {
  const data = new ReferenceFile(folder, 'case.safetensors');
  const expected = new ReferenceFile(folder, 'clipped_grads_step0.safetensors');
  const graph = new Evaluation();
  const w = graph.weights(new ReferenceFile(folder, 'init.safetensors'));
  const [state, nextState, action, reward, done] = ['state', 'next_state', 'action', 'reward', 'done'].map((name) =>
    graph.of(data, `0.${name}`),
  );
  const target = targetValues(w, config, { state, nextState, backupAction: action });
  const { loss } = tdLoss(w, config, { state, action, reward, done }, target, meta.gamma);
  const result = await graph.run(runtime, gradients(loss, w));
  const norm = Math.sqrt(Object.values(result).reduce((total, g) => total + g.reduce((part, x) => part + x * x, 0), 0));
  const factor = Math.min(1, meta.clip_grad_norm / norm);
  const clipped = Object.fromEntries(Object.entries(result).map(([name, g]) => [name, g.map((x) => x * factor)]));
  compareGradients(comparison, clipped, expected);
}

const CausalMeta = z.object({
  vocab: z.int(),
  hidden: z.int(),
  heads: z.int(),
  layers: z.int(),
  ff: z.int(),
  classes: z.int(),
  unk: z.int(),
  window: z.int().positive(),
  special: z.array(z.int()),
});

/** CoSo's causal model: classification, gradients, and the weight of each token. */
export async function causalCase(folder: string, runtime: Runtime): Promise<Comparison> {
  const meta = readMeta(folder, CausalMeta);
  const model = new ReferenceFile(folder, 'model.safetensors');
  const data = new ReferenceFile(folder, 'case.safetensors');
  const config: CausalConfig = {
    vocabulary: meta.vocab,
    width: meta.hidden,
    heads: meta.heads,
    layers: meta.layers,
    feedForward: meta.ff,
    classes: meta.classes,
  };
  const graph = new Evaluation();
  const w = graph.weights(model);
  const mask = graph.of(data, 'attention_mask', { float: true });
  const logits = causalLogits(w, config, graph.of(data, 'input_ids'), mask);
  const loss = crossEntropy(logits, graph.of(data, 'label'));
  const outputs = { logits, loss: reshape(loss, [1]) };
  const probabilities = softmax(logits);
  const result = await graph.run(runtime, { ...outputs, probabilities, ...gradients(loss, w) });
  const comparison = new Comparison();
  for (const name of Object.keys(outputs)) comparison.close(name, result[name], data.floats(name));
  compareGradients(comparison, result, new ReferenceFile(folder, 'grads.safetensors'));

  const tokens = integerRows(data, 'input_ids');
  const labels = integers(data, 'label');
  const length = tokens[0].length;
  const [effects, weights]: number[][] = [[], []];
  for (const [row, ids] of tokens.entries()) {
    const holed = new Evaluation();
    const variants = holedTokens(BigInt64Array.from(ids, BigInt), meta.window, meta.unk);
    const masks = new Float32Array(length * length);
    for (let i = 0; i < length; i++)
      masks.set(data.floats('attention_mask').subarray(row * length, (row + 1) * length), i * length);
    const shape = [length, length];
    const holedLogits = causalLogits(
      holed.weights(model),
      config,
      holed.input('ids', variants, shape, 'int64'),
      holed.input('mask', masks, shape),
    );
    const without = (await holed.run(runtime, { p: softmax(holedLogits) })).p;
    const label = labels[row];
    const effect = tokenEffects(
      result.probabilities[row * meta.classes + label],
      Array.from({ length }, (_, i) => without[i * meta.classes + label]),
      (i) => meta.special.includes(ids[i]),
    );
    effects.push(...effect);
    weights.push(...influenceWeights(effect));
  }
  comparison.close('effect', effects, data.floats('effect'));
  comparison.close('weight', weights, data.floats('weight'));
  return comparison;
}

/** A frozen RoBERTa's pooled output. */
export async function robertaCase(folder: string, runtime: Runtime): Promise<Comparison> {
  const data = new ReferenceFile(folder, 'case.safetensors');
  const graph = new Evaluation();
  const w = graph.weights(new ReferenceFile(folder, 'model.safetensors'));
  const mask = graph.of(data, 'attention_mask', { float: true });
  const pooled = robertaPooled(w, readRobertaConfig(folder), graph.of(data, 'input_ids'), mask);
  return comparePooled(await graph.run(runtime, { pooled }), data);
}

/** A frozen BLIP-2 vision tower's pooled output. */
export async function blip2Case(folder: string, runtime: Runtime): Promise<Comparison> {
  const data = new ReferenceFile(folder, 'case.safetensors');
  const graph = new Evaluation();
  const w = graph.weights(new ReferenceFile(folder, 'model.safetensors'));
  const pooled = blip2Pooled(w, readBlip2VisionConfig(folder), graph.of(data, 'pixel_values'));
  return comparePooled(await graph.run(runtime, { pooled }), data);
}

function comparePooled(result: Record<string, Float32Array>, data: ReferenceFile): Comparison {
  const comparison = new Comparison();
  comparison.close('pooled', result.pooled, data.floats('pooled'));
  return comparison;
}

/** d loss / d parameter for every parameter, as `d name`. */
function gradients(loss: Tensor, w: Record<string, Tensor>): Record<string, Tensor> {
  const names = Object.keys(w);
  const all = grad(loss, Object.values(w));
  return Object.fromEntries(names.map((name, i) => [`d ${name}`, all[i]]));
}

/** Compares gradients tensor by tensor. One that is only rounding errors is measured by the case's largest gradient. */
function compareGradients(
  comparison: Comparison,
  result: Record<string, ArrayLike<number>>,
  expected: ReferenceFile,
): void {
  let largest = 0;
  for (const name of expected.names)
    for (const value of expected.floats(name)) largest = Math.max(largest, Math.abs(value));
  for (const name of expected.names) {
    const got = result[`d ${name}`];
    if (!got) throw new UserError(`${expected.path}: gradient of ${name}: the model has no such parameter`);
    comparison.close(`gradient of ${name}`, got, expected.floats(name), largest * 1e-5);
  }
}

function integers(file: ReferenceFile, name: string): number[] {
  return Array.from(file.integers(name), Number);
}

function integerRows(file: ReferenceFile, name: string): number[][] {
  const [rows, length] = file.get(name).shape;
  const all = integers(file, name);
  return Array.from({ length: rows }, (_, row) => all.slice(row * length, (row + 1) * length));
}

function readMeta<T>(folder: string, schema: z.ZodType<T>): T {
  return readJsonAs(join(folder, 'meta.json'), schema);
}
