import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Sampler, split, type SampledState } from '../../../src/agents/policy/sampler.js';
import { padTokens } from '../../../src/agents/text/tokenizer.js';
import { Forward, Parameters, input, openRuntime, type Runtime } from '../../../src/graph/index.js';
import { decodeTeacherForced, encode, logProb } from '../../../src/models/autoui/autoui.js';
import { autoUISpecs, type AutoUIConfig } from '../../../src/models/autoui/config.js';
import { Random } from '../../../src/random.js';

const config: AutoUIConfig = {
  vocabulary: 6,
  width: 12,
  headWidth: 5,
  heads: 2,
  feedForward: 16,
  encoderLayers: 1,
  decoderLayers: 2,
  buckets: 8,
  maxDistance: 20,
  gated: true,
  epsilon: 1e-6,
  image: 4,
  tied: true,
  pad: 0,
  eos: 1,
  start: 0,
};
const params = Parameters.init(autoUISpecs(config), 7);
const runtime: Runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

/** States with different prompt lengths and image vectors, so that nothing is equal by accident. */
function makeStates(count: number, samples: (i: number) => number, vocabulary = config.vocabulary): SampledState[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new Random(5, 'state', i);
    return {
      key: `state ${i}`,
      ids: Array.from({ length: 3 + (i % 12) }, () => random.int(vocabulary)),
      image: Float32Array.from({ length: config.image }, () => random.normal()),
      count: samples(i),
    };
  });
}

/** Log-probability of a whole sequence (its end token included) by teacher forcing: no caches, no sharing. */
async function teacherForced(
  policy: Parameters,
  model: AutoUIConfig,
  state: SampledState,
  sequences: readonly number[][],
) {
  const length = Math.max(...sequences.map((sequence) => sequence.length));
  const rows = sequences.length;
  const prompt = padTokens(
    sequences.map(() => state.ids),
    model.pad,
    state.ids.length,
  );
  const labels = padTokens(sequences, model.pad, length);
  const forward = new Forward<string>(runtime, policy, (w) => {
    const mask = input('mask', [rows, prompt.length]);
    const ids = input('ids', [rows, prompt.length], 'int64');
    const memory = encode(w, model, ids, mask, input('image', [rows, model.image]));
    const target = input('labels', [rows, length], 'int64');
    const logits = decodeTeacherForced(w, model, memory, mask, target);
    return { logProbs: logProb(logits, target, input('labelMask', [rows, length])) };
  });
  const image = new Float32Array(rows * model.image);
  for (let row = 0; row < rows; row++) image.set(state.image, row * model.image);
  const feeds = { ids: prompt.ids, mask: prompt.mask, image, labels: labels.ids, labelMask: labels.mask };
  const { logProbs } = await forward.run('', feeds);
  await forward.close();
  return sequences.map((_, row) => Array.from((logProbs as Float32Array).subarray(row * length, (row + 1) * length)));
}

/** All sequences of at most `limit` tokens: with an end token, or cut off at the limit. */
function allSequences(limit: number): number[][] {
  let open: number[][] = [[]];
  const closed: number[][] = [];
  for (let position = 0; position < limit; position++) {
    const grown = open.flatMap((prefix) => Array.from({ length: config.vocabulary }, (_, token) => [...prefix, token]));
    closed.push(...grown.filter((sequence) => sequence.at(-1) === config.eos));
    open = grown.filter((sequence) => sequence.at(-1) !== config.eos);
  }
  return [...closed, ...open];
}

/** Pearson's chi-squared statistic of counts against probabilities, with rare outcomes pooled, and its degrees of freedom. */
function chiSquare(counts: ReadonlyMap<string, number>, probabilities: ReadonlyMap<string, number>, draws: number) {
  let [statistic, cells, rareExpected, rareSeen] = [0, 0, 0, 0];
  for (const [key, probability] of probabilities) {
    const expected = probability * draws;
    if (expected < 5) {
      rareExpected += expected;
      rareSeen += counts.get(key) ?? 0;
    } else {
      statistic += ((counts.get(key) ?? 0) - expected) ** 2 / expected;
      cells++;
    }
  }
  if (rareExpected > 0) statistic += (rareSeen - rareExpected) ** 2 / rareExpected;
  return { statistic, freedom: cells };
}

const withEnd = (tokens: readonly number[], finished: boolean) => (finished ? [...tokens, config.eos] : [...tokens]);

for (const temperature of [1, 1.7]) {
  test(`shared and independent samples have the policy's distribution at temperature ${temperature}`, async () => {
    const limit = 3;
    const draws = 6000;
    const [state] = makeStates(1, () => draws);
    const sequences = allSequences(limit);
    const probabilities = new Map<string, number>();
    if (temperature === 1) {
      const logProbs = await teacherForced(params, config, state, sequences);
      sequences.forEach((sequence, i) =>
        probabilities.set(String(sequence), Math.exp(logProbs[i].reduce((a, b) => a + b))),
      );
    } else {
      // tempered step by step: the probabilities of all next tokens of each prefix, flattened
      for (const sequence of sequences) {
        let probability = 1;
        for (let at = 0; at < sequence.length; at++) {
          const siblings = Array.from({ length: config.vocabulary }, (_, token) => [...sequence.slice(0, at), token]);
          const weights = (await prefixCache(state, siblings)).map((logProb) => Math.exp(logProb / temperature));
          probability *= weights[sequence[at]] / weights.reduce((a, b) => a + b);
        }
        probabilities.set(String(sequence), probability);
      }
    }
    const total = [...probabilities.values()].reduce((a, b) => a + b);
    assert.ok(Math.abs(total - 1) < 1e-5, `the enumerated probabilities sum to ${total}`);

    const sampler = new Sampler(runtime, params, config, { maxTokens: limit });
    const [shared] = await sampler.sample([state], { seed: 3, temperature });
    assert.ok(sampler.cost.prefixes <= 1 + 5 + 25, `${sampler.cost.prefixes} prefixes for ${draws} samples`);
    const single = Array.from({ length: draws }, (_, i) => ({ ...state, key: `independent ${i}`, count: 1 }));
    const independent = (await sampler.sample(single, { seed: 3, temperature })).flat();
    await sampler.close();
    for (const [name, samples] of [
      ['shared', shared],
      ['independent', independent],
    ] as const) {
      const counts = new Map<string, number>();
      for (const { tokens, finished, count } of samples) {
        const key = String(withEnd(tokens, finished));
        counts.set(key, (counts.get(key) ?? 0) + count);
      }
      assert.equal(
        [...counts.values()].reduce((a, b) => a + b),
        draws,
      );
      const { statistic, freedom } = chiSquare(counts, probabilities, draws);
      assert.ok(
        freedom > 10 && statistic < freedom + 4 * Math.sqrt(2 * freedom),
        `${name}: chi² ${statistic} of ${freedom}`,
      );
    }
  });
}

const known = new Map<string, number[]>();
/** Log-probability of the last token of each sequence. */
async function prefixCache(state: SampledState, sequences: number[][]): Promise<number[]> {
  const key = String(sequences[0]);
  const found = known.get(key) ?? (await teacherForced(params, config, state, sequences)).map((row) => row.at(-1)!);
  known.set(key, found);
  return found;
}

test('log-probabilities equal those of teacher forcing through branches, moved rows and growing caches', async () => {
  const endless = { ...config, eos: -1 };
  const sampler = new Sampler(runtime, params, endless, { maxTokens: 40, maxRows: 24 });
  const states = makeStates(7, (i) => 1 + i * 2);
  const results = await sampler.sample(states, { seed: 1 });
  for (const [i, samples] of results.entries()) {
    assert.equal(
      samples.reduce((sum, { count }) => sum + count, 0),
      states[i].count,
    );
    const expected = await teacherForced(
      params,
      endless,
      states[i],
      samples.map(({ tokens }) => tokens),
    );
    samples.forEach(({ tokens, tokenLogProbs, logProb, finished }, s) => {
      assert.equal(finished, false);
      assert.equal(tokens.length, 40);
      tokenLogProbs.forEach((got, t) =>
        assert.ok(Math.abs(got - expected[s][t]) < 1e-4, `state ${i} sample ${s} token ${t}`),
      );
      assert.ok(Math.abs(logProb - expected[s].reduce((a, b) => a + b)) < 1e-3);
    });
  }
  await sampler.close();
});

test('rows are freed as sequences end, and the remaining rows keep their prefixes', async () => {
  const sampler = new Sampler(runtime, params, config, { maxTokens: 12 });
  const states = makeStates(9, () => 20);
  const results = await sampler.sample(states, { seed: 9 });
  await sampler.close();
  for (const [i, samples] of results.entries()) {
    const sequences = samples.map(({ tokens, finished }) => withEnd(tokens, finished));
    assert.equal(new Set(sequences.map(String)).size, sequences.length, 'equal sequences are one sample');
    const expected = await teacherForced(params, config, states[i], sequences);
    samples.forEach(({ logProb }, s) => {
      assert.ok(Math.abs(logProb - expected[s].slice(0, sequences[s].length).reduce((a, b) => a + b)) < 1e-4);
    });
  }
});

test('batching does not change the samples', async () => {
  const states = makeStates(11, (i) => [1, 5, 12][i % 3]);
  const draw = async (maxRows: number, order: number[]) => {
    const sampler = new Sampler(runtime, params, config, { maxTokens: 6, maxRows });
    const results = await sampler.sample(
      order.map((i) => states[i]),
      { seed: 4 },
    );
    await sampler.close();
    const inOrder = order.map((i, at) => [i, results[at]] as const).sort(([a], [b]) => a - b);
    return inOrder.map(([, samples]) => samples.map(({ tokens, count }) => [tokens, count]));
  };
  const order = states.map((_, i) => i);
  const reference = await draw(512, order);
  assert.deepEqual(await draw(12, order), reference);
  assert.deepEqual(await draw(24, [...order].reverse()), reference);
});

test('other seeds, keys and rounds draw other samples', async () => {
  const [state] = makeStates(1, () => 30);
  const sampler = new Sampler(runtime, params, config, { maxTokens: 6 });
  const draw = async (key: string, seed: number, round: number) =>
    JSON.stringify(await sampler.sample([{ ...state, key }], { seed, round }));
  const texts = [await draw('a', 1, 0), await draw('b', 1, 0), await draw('a', 2, 0), await draw('a', 1, 1)];
  assert.equal(new Set(texts).size, 4);
  assert.equal(await draw('a', 1, 0), texts[0]);
  await sampler.close();
});

test('greedy decoding takes the likeliest token at each step', async () => {
  const sampler = new Sampler(runtime, params, config, { maxTokens: 8 });
  const states = makeStates(5, () => 3);
  const results = await sampler.sample(states, { seed: 0, temperature: 0 });
  await sampler.close();
  for (const [i, [sample, ...others]] of results.entries()) {
    assert.equal(others.length, 0);
    assert.equal(sample.count, 3);
    const sequence = withEnd(sample.tokens, sample.finished);
    for (let at = 0; at < sequence.length; at++) {
      const siblings = Array.from({ length: config.vocabulary }, (_, token) => [...sequence.slice(0, at), token]);
      const scores = (await teacherForced(params, config, states[i], siblings)).map((row) => row.at(-1)!);
      assert.equal(sequence[at], scores.indexOf(Math.max(...scores)));
    }
  }
});

test('invalid samples are drawn again, and the counts still add up', async () => {
  const sampler = new Sampler(runtime, params, config, { maxTokens: 6 });
  const states = makeStates(6, () => 25);
  const valid = (tokens: readonly number[]) => tokens.length % 2 === 0;
  const invalidShare = (results: Awaited<ReturnType<Sampler['sample']>>) =>
    results.flat().reduce((sum, { tokens, finished, count }) => sum + (finished && valid(tokens) ? 0 : count), 0) /
    (6 * 25);
  const once = invalidShare(await sampler.sample(states, { seed: 6 }));
  const results = await sampler.sampleValid(states, valid, { seed: 6 });
  for (const samples of results) {
    assert.equal(
      samples.reduce((sum, { count }) => sum + count, 0),
      25,
    );
    assert.equal(new Set(samples.map(({ tokens, finished }) => `${tokens}${finished}`)).size, samples.length);
  }
  assert.ok(once > 0.3, `${once} invalid without retries; the test needs more`);
  const left = invalidShare(results);
  assert.ok(left < once ** 3, `${left} invalid after three retries, ${once} before`);
  const greedy = await sampler.sampleValid(states, () => false, { seed: 6, temperature: 0 });
  assert.ok(
    greedy.every(([sample]) => sample.count === 25),
    'greedy decoding would only repeat itself',
  );
  await sampler.close();
});

test('the cost counts distinct prefixes', async () => {
  const sampler = new Sampler(runtime, params, config, { maxTokens: 5 });
  const [samples] = await sampler.sample(
    makeStates(1, () => 64),
    { seed: 2 },
  );
  const prefixes = new Set(
    samples.flatMap(({ tokens, finished }) => {
      // a cut-off sequence advanced from all its proper prefixes, a finished one from the whole sequence too
      const all = tokens.map((_, at) => String(tokens.slice(0, at)));
      return finished ? [...all, String(tokens)] : all;
    }),
  );
  assert.equal(sampler.cost.prefixes, prefixes.size);
  assert.equal(sampler.cost.states, 1);
  assert.equal(
    sampler.cost.tokens,
    samples.reduce((sum, { count, tokenLogProbs }) => sum + count * tokenLogProbs.length, 0),
  );
  assert.ok(sampler.cost.prefixes < sampler.cost.tokens);
  await sampler.close();
});

test('updated parameters take effect at the next call', async () => {
  const own = params.clone();
  const sampler = new Sampler(runtime, own, config, { maxTokens: 6 });
  const [state] = makeStates(1, () => 1);
  const before = await sampler.sample([state], { seed: 0, temperature: 0 });
  own.get('shared.weight').data.forEach((value, i, all) => (all[i] = -value));
  const changed = await sampler.sample([state], { seed: 0, temperature: 0 });
  assert.notDeepEqual(changed, before);
  await sampler.close();
});

test('concurrent calls give the same samples as separate ones', async () => {
  const sampler = new Sampler(runtime, params, config, { maxTokens: 6 });
  const states = makeStates(4, () => 6);
  const apart = [];
  for (const state of states) apart.push(await sampler.sample([state], { seed: 8 }));
  assert.deepEqual(await Promise.all(states.map((state) => sampler.sample([state], { seed: 8 }))), apart);
  await sampler.close();
});

test('a wrong image vector is refused with the name of its state', async () => {
  const sampler = new Sampler(runtime, params, config);
  const [state] = makeStates(1, () => 1);
  await assert.rejects(
    sampler.sample([{ ...state, image: new Float32Array(3) }], { seed: 0 }),
    /state state 0: .*3 numbers; the policy expects 4/,
  );
  assert.equal((await sampler.sample([state], { seed: 0 })).length, 1, 'the sampler still works');
  await sampler.close();
});

test('samples are split over tokens by their own uniforms, and follow the probabilities', () => {
  const random = new Random(1, 'split');
  const probabilities = [0, 0.5, 0, 0.3, 0.2, 0];
  const totals = new Float64Array(6);
  const samples = Array.from({ length: 20 }, (_, n) => n);
  for (let i = 0; i < 300; i++) {
    const drawn = split(probabilities, samples, () => random.next());
    assert.deepEqual(
      drawn.flatMap(([, members]) => members).sort((a, b) => a - b),
      samples,
    );
    for (const [index, members] of drawn) totals[index] += members.length;
  }
  probabilities.forEach((p, i) => assert.ok(Math.abs(totals[i] / 6000 - p) < 0.02, `${i}: ${totals[i] / 6000}`));
  assert.deepEqual(
    split([0.5, 0.5 - 1e-9, 0], [4, 7], (n) => (n === 4 ? 0.2 : 1 - 1e-12)),
    [
      [0, [4]],
      [1, [7]],
    ],
  );
  assert.throws(() => split([NaN, 1], [0], () => random.next()), /NaN/);
});

test('a sample does not depend on how many others are drawn', async () => {
  const sampler = new Sampler(runtime, params, config, { maxTokens: 6 });
  const numbered = (results: Awaited<ReturnType<Sampler['sample']>>) =>
    results.map((samples) => new Map(samples.flatMap(({ members, tokens }) => members.map((n) => [n, tokens.join()]))));
  const valid = (tokens: readonly number[]) => tokens.length % 2 === 0;
  const draw = async (count: number) =>
    numbered(
      await sampler.sampleValid(
        makeStates(6, () => count),
        valid,
        { seed: 5 },
      ),
    );
  const [few, many] = [await draw(7), await draw(40)];
  few.forEach((samples, state) => {
    assert.equal(samples.size, 7);
    for (const [n, tokens] of samples) assert.equal(many[state].get(n), tokens, `state ${state}, sample ${n}`);
  });
  await sampler.close();
});
