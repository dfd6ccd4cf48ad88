/** Top-k and top-p against a reference that sorts whole distributions, and at the borders of their definitions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Truncator } from '../../../src/agents/policy/truncation.js';
import { Random } from '../../../src/random.js';

/** transformers' TopKLogitsWarper, then TopPLogitsWarper; values without ties. */
function reference(probabilities: Float32Array, topK: number, topP: number): number[] {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  let kept = topK > 0 ? order.slice(0, topK) : order;
  const sumOf = (indices: readonly number[]) => indices.reduce((sum, i) => sum + probabilities[i], 0);
  const total = sumOf(kept);
  // a token stays if what is likelier than it has less than top-p
  if (topP < 1) kept = kept.filter((_, rank) => rank === 0 || sumOf(kept.slice(0, rank)) / total < topP);
  const mass = sumOf(kept);
  return Array.from(probabilities, (p, i) => (kept.includes(i) ? p / mass : 0));
}

function distribution(size: number, sharpness: number, random: Random): Float32Array {
  const weights = Float64Array.from({ length: size }, () => Math.exp(sharpness * random.next()));
  const sum = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(weights, (weight) => weight / sum);
}

test('top-k and top-p keep what the reference keeps', () => {
  const random = new Random(0, 'truncation');
  for (const size of [1, 2, 7, 300, 2000]) {
    for (const sharpness of [0.1, 5, 40]) {
      const probabilities = distribution(size, sharpness, random);
      for (const topK of [0, 1, 3, 50, 5000]) {
        for (const topP of [1, 0.95, 0.4, 1e-6]) {
          const got = Array.from(new Truncator(size, { topK, topP }).restrict(probabilities));
          const want = reference(probabilities, topK, topP);
          const what = `size ${size}, sharpness ${sharpness}, top-k ${topK}, top-p ${topP}`;
          assert.deepEqual(
            got.map((p) => p > 0),
            want.map((p) => p > 0),
            what,
          );
          got.forEach((p, i) => assert.ok(Math.abs(p - want[i]) < 1e-6, what));
        }
      }
    }
  }
});

test('tokens as likely as the k-th stay; without restrictions nothing is copied', () => {
  const tied = Float32Array.of(0.4, 0.2, 0.2, 0.2);
  const restricted = Array.from(new Truncator(4, { topK: 2 }).restrict(tied));
  assert.deepEqual(
    restricted.map((p) => p.toFixed(6)),
    ['0.400000', '0.200000', '0.200000', '0.200000'],
  );
  assert.equal(new Truncator(4, {}).restrict(tied), tied);
});
