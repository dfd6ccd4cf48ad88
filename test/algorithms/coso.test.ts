import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CoSo, classCount, classOf, entropyBonus, withBonus } from '../../src/algorithms/coso.js';
import { ACTION_TYPES, tap, type Action } from '../../src/data/action.js';
import { constant, grad, input, openRuntime, toOnnx, type Runtime } from '../../src/graph/index.js';
import { entropy } from '../../src/models/autoui/autoui.js';
import { Random } from '../../src/random.js';

const runtime: Runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

test('with classes by type there are eight: the seven action types and invalid actions', () => {
  const settings = CoSo.parse({});
  assert.equal(classCount(settings), 8);
  const classes = ACTION_TYPES.map((type): Action => {
    if (type === 'DUAL_POINT') return tap([0.1, 0.1]);
    return type === 'TYPE' ? { type, text: 'x' } : { type };
  }).map((action) => classOf(action, settings));
  assert.deepEqual(classes, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(classOf(undefined, settings), 7);
});

test('classes by type and target distinguish regions, directions and texts', () => {
  const settings = CoSo.parse({ classes: 'type+target', regions: [4, 2], texts: 16 });
  const of = (action: Action) => classOf(action, settings);
  assert.equal(of(tap([0.1, 0.1])), of(tap([0.2, 0.4])), 'the same region');
  const corners = [tap([0, 0]), tap([0, 1]), tap([1, 0]), tap([1, 1])].map(of);
  assert.equal(new Set(corners).size, 4);
  const swipe = (lift: [number, number]): Action => ({ type: 'DUAL_POINT', touch: [0.5, 0.5], lift });
  const swipes = [swipe([0.1, 0.5]), swipe([0.9, 0.5]), swipe([0.5, 0.1]), swipe([0.5, 0.9])].map(of);
  assert.equal(new Set([...swipes, ...corners]).size, 8);
  const typed = ['red lamp', 'blue chair', 'green kettle'].map((text) => of({ type: 'TYPE', text }));
  assert.equal(of({ type: 'TYPE', text: 'red lamp' }), typed[0]);
  assert.ok(new Set(typed).size > 1);
  const all = [...corners, ...swipes, ...typed, of({ type: 'PRESS_BACK' }), classOf(undefined, settings)];
  assert.ok(all.every((k) => k >= 0 && k < classCount(settings)));
  assert.equal(classCount(settings), 8 + 8 + 4 + 16);
});

test('the entropy bonus and its gradient match a float64 reference; with weights of 1 it is the naive bonus', async () => {
  const [rows, length, vocabulary] = [3, 4, 5];
  const random = new Random(3, 'logits');
  const logits = Float64Array.from({ length: rows * length * vocabulary }, () => random.normal());
  const weights = Float64Array.from({ length: rows * length }, () => random.next());
  const mask = Float64Array.of(1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0);
  const reference = (of: Float64Array) => {
    let bonus = 0;
    for (let b = 0; b < rows; b++) {
      let [sum, count] = [0, 0];
      for (let t = 0; t < length; t++) {
        const at = (b * length + t) * vocabulary;
        const exps = [...logits.subarray(at, at + vocabulary)].map(Math.exp);
        const total = exps.reduce((x, y) => x + y, 0);
        const h = -exps.reduce((x, y) => x + (y / total) * Math.log(y / total), 0);
        sum += of[b * length + t] * h * mask[b * length + t];
        count += mask[b * length + t];
      }
      bonus += sum / count / rows;
    }
    return bonus;
  };
  const x = input('x', [rows, length, vocabulary]);
  const w = input('w', [rows, length]);
  const m = input('m', [rows, length]);
  const [weighted, naive] = [entropyBonus(entropy(x), w, m), entropyBonus(entropy(x), undefined, m)];
  const loss = withBonus(constant([2], []), weighted, 0.5);
  const session = await runtime.session(toOnnx({ weighted, naive, loss, gradient: grad(loss, [x])[0] }));
  const result = await session.run({
    x: Float32Array.from(logits),
    w: Float32Array.from(weights),
    m: Float32Array.from(mask),
  });
  session.close();
  const near = (got: number, expected: number, what: string) =>
    assert.ok(Math.abs(got - expected) < 2e-6, `${what}: ${got}, not ${expected}`);
  const one = (name: string) => (result[name] as Float32Array)[0];
  near(one('weighted'), reference(weights), 'weighted');
  near(one('naive'), reference(new Float64Array(rows * length).fill(1)), 'naive');
  near(one('loss'), 2 - 0.5 * reference(weights), 'loss');
  const step = 1e-6;
  logits.forEach((value, k) => {
    logits[k] = value + step;
    const up = reference(weights);
    logits[k] = value - step;
    const difference = (up - reference(weights)) / (2 * step);
    logits[k] = value;
    near((result.gradient as Float32Array)[k], -0.5 * difference, `d x[${k}]`);
  });
});
