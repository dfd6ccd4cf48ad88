import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  ActorSettings,
  CriticSettings,
  DigiQ,
  advantage,
  awr,
  bestCandidate,
  bestOfN,
  mcLoss,
  pg,
  predictions,
  mixedTarget,
  qTarget,
  scoredCandidates,
  scoredSamples,
  sft,
  targetValues,
  tdLoss,
  vTarget,
} from '../../../src/algorithms/digiq.js';
import { holedTokens, influenceWeights, tokenEffects } from '../../../src/algorithms/coso.js';
import {
  Parameters,
  constant,
  grad,
  input,
  openRuntime,
  sub,
  sum,
  toOnnx,
  type Runtime,
  type Tensor,
} from '../../../src/graph/index.js';
import {
  actionStateWidth,
  criticConfigOf,
  criticSpecs,
  stateWidth,
  type CriticConfig,
} from '../../../src/models/critic/critic.js';
import { Random } from '../../../src/random.js';

const runtime: Runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

async function values(outputs: Record<string, Tensor>): Promise<Record<string, number[]>> {
  const session = await runtime.session(toOnnx(outputs));
  const result = await session.run({});
  session.close();
  return Object.fromEntries(Object.entries(result).map(([name, data]) => [name, Array.from(data as Float32Array)]));
}

function assertNear(got: readonly number[], expected: readonly number[]): void {
  assert.equal(got.length, expected.length);
  got.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-5, `${i}: ${value}, expected ${expected[i]}`));
}

const vector = (...data: number[]) => constant(data, [data.length]);

test('the critic has the released widths', () => {
  const config: CriticConfig = { text: 768, image: 1408, rep: 4096 };
  assert.equal(stateWidth(config), 5120);
  assert.equal(actionStateWidth(config), 10752);
  const specs = criticSpecs(config);
  const widths = (head: string) =>
    Object.keys(specs)
      .filter((name) => name.startsWith(head) && name.endsWith('weight'))
      .map((name) => specs[name].shape);
  assert.deepEqual(widths('q1'), [
    [10752, 10752],
    [3840, 10752],
    [3840, 3840],
    [3840, 3840],
    [1, 3840],
  ]);
  assert.deepEqual(widths('v2'), [
    [2304, 5120],
    [2304, 2304],
    [2304, 2304],
    [1, 2304],
  ]);
  const count = Object.values(specs).reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
  assert.equal((count / 1e6).toFixed(1), '417.7', 'millions of parameters');
});

test('the configuration of a critic can be read from its tensor shapes', () => {
  const config: CriticConfig = { text: 3, image: 2, rep: 4, qHidden: [7, 5], vHidden: [6] };
  const shapes = new Map(Object.entries(criticSpecs(config)).map(([name, { shape }]) => [name, shape]));
  assert.deepEqual(criticConfigOf(shapes, { text: 3, image: 2, rep: 4 }), config);
});

test('eq. 1: the target bootstraps from the next state unless the episode is over', async () => {
  const { target } = await values({ target: qTarget(vector(0, 1, 0.5), vector(0, 1, 0), vector(2, 9, -1), 0.9) });
  assertNear(target, [1.8, 1, -0.4]);
});

const config: CriticConfig = { text: 2, image: 1, rep: 3, qHidden: [5], vHidden: [4] };

/** A critic's parameters as constants, so that graphs need no feeds. */
function fixedCritic(of: CriticConfig, seed: number): Record<string, Tensor> {
  const params = Parameters.init(criticSpecs(of), seed);
  return Object.fromEntries(
    params.names().map((name) => [name, constant(Float32Array.from(params.get(name).data), params.get(name).shape)]),
  );
}

function batch(size: number): { state: Tensor; nextState: Tensor; action: Tensor } {
  const random = new Random(1, 'batch');
  const matrix = (width: number) =>
    constant(
      Array.from({ length: size * width }, () => random.normal()),
      [size, width],
    );
  const state = stateWidth(config);
  return { state: matrix(state), nextState: matrix(state), action: matrix(actionStateWidth(config) - state) };
}

test('a mixed target is the weighted mean of the TD target and the return, for Q only', async () => {
  const { target } = await values({ target: mixedTarget(vector(1, 0, -2), vector(0, 1, 2), 0.25) });
  assertNear(target, [0.75, 0.25, -1]);
  const w = fixedCritic(config, 1);
  const { state, action } = batch(3);
  const data = { state, action, reward: vector(0, 1, 0), done: vector(0, 1, 0) };
  const fed = { nextV: [vector(1, 5, 2), vector(2, 5, 1)], q: [vector(0, 1, 2), vector(2, 1, 0)] } as const;
  const loss = (mixed?: { mcReturn: Tensor; weight: number }) => tdLoss(w, config, data, fed, 0.5, mixed);
  const predicted = predictions(w, config, state, action);
  const mixed = loss({ mcReturn: vector(1, 1, 0), weight: 0.4 });
  const { q1, q2, v1, p1, p2, plain } = await values({
    q1: mixed.q1,
    q2: mixed.q2,
    v1: sub(mixed.v1, loss().v1),
    p1: predicted.q[0],
    p2: predicted.q[1],
    plain: sub(loss({ mcReturn: vector(9, 9, 9), weight: 0 }).loss, loss().loss),
  });
  const mse = (p: number[], t: number[]) => p.reduce((total, x, i) => total + (x - t[i]) ** 2, 0) / p.length;
  assertNear([...q1, ...q2], [mse(p1, [0.7, 1, 0.6]), mse(p2, [1, 1, 0.3])]);
  assertNear([...v1, ...plain], [0, 0]);
});

test('eqs. 1 and 2: each head learns its own target, and the targets get no gradient', async () => {
  const w = fixedCritic(config, 1);
  const { state, nextState, action } = batch(4);
  const [reward, done] = [vector(0, 0, 1, 0), vector(0, 0, 1, 1)];
  const target = targetValues(fixedCritic(config, 2), config, { state, nextState, backupAction: action });
  const predicted = predictions(w, config, state, action);
  const { loss, q1, q2, v1, v2 } = tdLoss(w, config, { state, action, reward, done }, target, 0.9);
  const flat = await values({
    loss, q1, q2, v1, v2,
    p1: predicted.q[0], p2: predicted.q[1], p3: predicted.v[0], p4: predicted.v[1],
    t1: target.nextV[0], t2: target.nextV[1], t3: target.q[0], t4: target.q[1],
  }); // prettier-ignore
  const [r, d] = [
    [0, 0, 1, 0],
    [0, 0, 1, 1],
  ];
  const mse = (p: number[], t: number[]) => p.reduce((total, x, i) => total + (x - t[i]) ** 2, 0) / p.length;
  const bootstrapped = (next: number[]) => next.map((value, i) => r[i] + 0.9 * (1 - d[i]) * value);
  const expected = [
    mse(flat.p1, bootstrapped(flat.t1)),
    mse(flat.p2, bootstrapped(flat.t2)),
    mse(flat.p3, flat.t3),
    mse(flat.p4, flat.t4),
  ];
  assertNear([...flat.q1, ...flat.q2, ...flat.v1, ...flat.v2], expected);
  assertNear(flat.loss, [expected.reduce((a, b) => a + b)]);
  assertNear(
    (await values({ g: grad(sum(vTarget(target.q[0])), [w['q1.0.weight']])[0] })).g,
    Array(w['q1.0.weight'].shape[0] * w['q1.0.weight'].shape[1]).fill(0),
  );
});

test('the Monte-Carlo variant classifies success or regresses on the return', async () => {
  const { state, action } = batch(3);
  const mcReturn = vector(0, 0.4, 1);
  const two = { ...config, outputs: 2 };
  const classifier = fixedCritic(two, 3);
  const predicted = predictions(classifier, two, state, action);
  const { v1, logits } = await values({
    v1: mcLoss(classifier, two, { state, action, mcReturn }, 'classification').v1,
    logits: predicted.v[0],
  });
  const crossEntropy = [0, 1, 1].map((label, i) => {
    const [failure, success] = logits.slice(2 * i, 2 * i + 2);
    return Math.log(Math.exp(failure) + Math.exp(success)) - (label ? success : failure);
  });
  assertNear(v1, [(crossEntropy[0] + crossEntropy[1] + crossEntropy[2]) / 3]);

  const regressor = fixedCritic(config, 3);
  const { q2, p } = await values({
    q2: mcLoss(regressor, config, { state, action, mcReturn }, 'regression').q2,
    p: predictions(regressor, config, state, action).q[1],
  });
  assertNear(q2, [[0, 0.4, 1].reduce((total, target, i) => total + (p[i] - target) ** 2, 0) / 3]);
});

test('twins are aggregated by max, min or mean; classification heads by their probability of success', async () => {
  const predicted = { q: [vector(1, 4), vector(3, 2)], v: [vector(0, 1), vector(-2, 5)] } as const;
  const of = (how: 'max' | 'min' | 'mean') => advantage({ q: [...predicted.q], v: [...predicted.v] }, how);
  const got = await values({ max: of('max'), min: of('min'), mean: of('mean') });
  assertNear(got.max, [3, -1]);
  assertNear(got.min, [3, 1]);
  assertNear(got.mean, [3, 0]);
  const logits = (success: number) => constant([0, success], [1, 2]);
  const { chance } = await values({
    chance: advantage({ q: [logits(2), logits(1)], v: [logits(0), logits(0)] }, 'max'),
  });
  assertNear(chance, [1 / (1 + Math.exp(-2)) - 0.5]);
});

test('the actor losses weight log-probabilities as defined', async () => {
  const [logProb, advantages] = [vector(-1, -2, -3), vector(0.5, 0, -1)];
  const got = await values({
    best: bestOfN(logProb, advantages, 0),
    strict: bestOfN(logProb, advantages, 0.5),
    pg: pg(logProb, advantages, 2),
    awr: awr(logProb, advantages, 0.5, 100),
    capped: awr(logProb, vector(1e6, -1e6, 0), 0.5, 3),
    sft: sft(logProb),
  });
  assertNear(got.best, [1 / 3]);
  assertNear(got.strict, [0]);
  assertNear(got.pg, [(0.5 * 2 * 1 - 3 * 2) / 3]);
  assertNear(got.awr, [(Math.E + 2 + 3 * Math.exp(-2)) / 3]);
  assertNear(got.capped, [(3 + 0 + 3) / 3]);
  assertNear(got.sft, [2]);
});

test('no actor loss has a gradient into the critic', async () => {
  const [logProb, advantages] = [input('logProb', [3]), input('advantages', [3])];
  for (const loss of [bestOfN(logProb, advantages, 0), pg(logProb, advantages, 1), awr(logProb, advantages, 1, 10)]) {
    const session = await runtime.session(toOnnx({ g: grad(loss, [advantages])[0], l: grad(loss, [logProb])[0] }));
    const feeds: Record<string, Float32Array> = {
      logProb: Float32Array.of(-1, -2, -3),
      advantages: Float32Array.of(1, 2, -1),
    };
    const { g, l } = await session.run(Object.fromEntries(session.inputs.map(({ name }) => [name, feeds[name]])));
    session.close();
    assert.deepEqual([...(g as Float32Array)], [0, 0, 0]);
    assert.ok((l as Float32Array)[0] < 0, 'the policy gets a gradient');
  }
});

test('best-of-N takes the candidate with the largest advantage above the threshold', () => {
  const of = (...advantages: number[]) => advantages.map((value) => ({ advantage: value, valid: true }));
  assert.equal(bestCandidate(of(0.1, 0.3, 0.2), 0), 1);
  assert.equal(bestCandidate(of(0.1, 0.3, 0.2), 0.3), undefined);
  assert.equal(bestCandidate(of(-0.1, -0.3), 0), undefined);
  assert.equal(bestCandidate(of(-0.1, -0.3), -1), 0);
  assert.equal(bestCandidate(of(0.3, 0.3), 0), 0, 'the taken action wins a tie');
  assert.equal(bestCandidate([], 0), undefined);
});

test('an invalid action has advantage 0 and is never imitated', () => {
  const invalid = { advantage: 5, valid: false };
  assert.equal(bestCandidate([invalid, { advantage: 0.1, valid: true }], 0), 1);
  assert.equal(bestCandidate([invalid, { advantage: -0.1, valid: true }], -1), undefined);
  assert.equal(bestCandidate([invalid, { advantage: 0, valid: true }], -1), 1);
  assert.equal(bestCandidate([invalid], -1), undefined);
});

test('the taken action is always scored exactly once, with others drawn without replacement', () => {
  const random = new Random(3, 'scored');
  const seen = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const chosen = scoredCandidates(10, 4, (k) => random.int(k));
    assert.equal(chosen[0], 0);
    assert.equal(new Set(chosen).size, 4);
    chosen.forEach((index) => seen.add(index));
  }
  assert.equal(seen.size, 10);
  assert.deepEqual(
    scoredCandidates(3, 16, () => 0),
    [0, 1, 2],
  );
  assert.deepEqual(
    scoredCandidates(0, 16, () => 0),
    [],
  );
  assert.deepEqual(
    scoredCandidates(5, 1, () => 0),
    [0],
  );
});

test('settings default to the published values, and values out of range are errors', () => {
  const { critic, actor } = DigiQ.parse({});
  assert.deepEqual(
    [critic.target, critic.gamma, critic.tau, critic.lr, critic.max_grad_norm],
    ['td', 0.95, 0.1, 1e-5, 0.01],
  );
  assert.deepEqual(
    [actor.loss, actor.n, actor.threshold, actor.aggregate, actor.lr],
    ['best_of_n', 16, 0, 'max', 1e-4],
  );
  assert.throws(() => CriticSettings.parse({ gamma: 1.5 }));
  assert.throws(() => CriticSettings.parse({ drop: ['pixels'] }));
  assert.throws(() => ActorSettings.parse({ beta: 0 }));
});

test('every setting has a description', () => {
  for (const schema of [CriticSettings, ActorSettings]) {
    for (const [name, field] of Object.entries(schema.shape))
      assert.ok((field.description ?? '').length > 15 || hasInner(field), name);
  }
});

/** Whether the schema inside a default has a description. */
function hasInner(field: { def?: unknown }): boolean {
  const inner = (field.def as { innerType?: { description?: string } }).innerType;
  return (inner?.description ?? '').length > 15;
}

test('each variant of an action masks one window of tokens, cut off at the end of the text', () => {
  const holed = holedTokens(BigInt64Array.of(5n, 6n, 7n), 2, 9);
  assert.deepEqual([...holed].map(Number), [9, 9, 7, 5, 9, 9, 5, 6, 9]);
});

test('influence weights are the square roots of effects that are scaled to [0, 1] within the sequence', () => {
  const effects = tokenEffects(0.5, [0.5, 0.1, 0.6, 0.9], (i) => i === 3);
  assertNear([...effects], [0, 0.4, 0.1, 0]);
  assertNear([...influenceWeights(effects)], [0, 1, 0.5, 0]);
  assert.deepEqual([...influenceWeights([0.3, 0.3])], [0, 0], 'equal effects give weights of 0');
});

test('samples are drawn without replacement, an action as often as it was sampled, the taken one always', () => {
  const random = new Random(5, 'samples');
  const counts = [2, 8, 1, 1];
  const seen = [0, 0, 0, 0];
  const rounds = 4000;
  for (let i = 0; i < rounds; i++) {
    const chosen = scoredSamples(counts, 3, (k) => random.int(k));
    assert.equal(chosen[0], 0);
    assert.ok(chosen.length <= 3 && new Set(chosen).size === chosen.length);
    for (const action of chosen) seen[action]++;
  }
  // of the 11 samples besides the one taken two are drawn: action 2 is one of them in 2/11 of the rounds
  assert.ok(Math.abs(seen[2] / rounds - 2 / 11) < 0.03, String(seen[2] / rounds));
  // action 1 is missed only if both draws fall on the other 3 of 11
  assert.ok(Math.abs(seen[1] / rounds - (1 - (3 * 2) / (11 * 10))) < 0.03, String(seen[1] / rounds));
  assert.deepEqual(
    scoredSamples(counts, 64, (k) => random.int(k)),
    [0, 1, 2, 3],
  );
  assert.deepEqual(
    scoredSamples([1], 16, () => 0),
    [0],
  );
});
