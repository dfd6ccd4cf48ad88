import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  DType,
  Runtime,
  Tensor,
  TypedArray,
  fromNumbers,
  grad,
  input,
  mul,
  openRuntime,
  opNames,
  ruleOf,
  sum,
  toOnnx,
} from '../../src/graph/index.js';
import { Random } from '../../src/random.js';
import { CASES, Case } from './cases.js';
import { Nd, nd } from './reference.js';

/** ONNX Runtime's CPU provider has no float64 kernels for these. */
const FLOAT32_ONLY = new Set(['erf', 'gelu', 'conv2d', 'conv2dInputGrad', 'conv2dWeightGrad']);

/** number of coordinates of each input that are checked by finite differences */
const COORDINATES = 8;

const runtimes = new Map<string, Runtime>();
before(async () => {
  for (const kind of ['ffi', 'node'] as const) runtimes.set(kind, await openRuntime({ kind, threads: 2 }));
});
after(async () => {
  for (const runtime of runtimes.values()) await runtime.close();
});

function contains(tensor: Tensor, op: string): boolean {
  return tensor.op === op || tensor.inputs.some((x) => contains(x, op));
}

/** The largest difference, relative to the largest expected magnitude. */
function relative(got: ArrayLike<number | bigint>, want: ArrayLike<number>): number {
  let [difference, magnitude] = [0, 1e-3];
  for (let i = 0; i < want.length; i++) {
    difference = Math.max(difference, Math.abs(Number(got[i]) - want[i]));
    magnitude = Math.max(magnitude, Math.abs(want[i]));
    if (Number.isNaN(Number(got[i]))) return NaN;
  }
  return difference / magnitude;
}

/** d Σ(reference · weight) / d arg at one coordinate, by central differences. */
function difference(c: Case, args: Nd[], weight: Nd, k: number, i: number): number {
  const h = 1e-5;
  const value = (shift: number) => {
    const data = args[k].data.slice();
    data[i] += shift;
    const y = c.reference(...args.with(k, { ...args[k], data }));
    return y.data.reduce((total, v, j) => total + v * weight.data[j], 0);
  };
  return (value(h) - value(-h)) / (2 * h);
}

async function check(runtime: Runtime, op: string, c: Case, dtype: DType, random: Random): Promise<void> {
  const where = `${op} ${c.what} ${dtype} on ${runtime.name}`;
  const types = c.args.map((arg) => arg.dtype ?? dtype);
  // The reference starts from the values that ONNX Runtime gets, rounded to its precision.
  const arrays = c.args.map(({ value }, k) => fromNumbers(Array.from(value.data), types[k]));
  const args = arrays.map((data, k): Nd => ({
    shape: c.args[k].value.shape,
    data: Float64Array.from(data as Float64Array, Number),
  }));
  const inputs = args.map(({ shape }, k) => input(`x${k}`, shape, types[k]));
  const y = c.build(...inputs);
  assert.ok(contains(y, op), `${where}: the case has no ${op}`);
  const want = c.reference(...args);
  assert.deepEqual(y.shape, want.shape, `${where}: shape`);

  const differentiable = c.differentiable ?? true;
  const weight = nd(want.shape, () => random.next() + 0.5);
  const outputs: Record<string, Tensor> = { y };
  const sources = inputs.filter((x) => x.dtype === dtype);
  const feeds: Record<string, TypedArray> = Object.fromEntries(arrays.map((data, k) => [`x${k}`, data]));
  if (differentiable) {
    const dy = input('dy', y.shape, dtype);
    grad(sum(mul(y, dy)), sources).forEach((g, k) => (outputs[`d${sources[k].name}`] = g));
    feeds.dy = fromNumbers(Array.from(weight.data), dtype);
    weight.data.set(Float64Array.from(feeds.dy as Float64Array));
  }
  const model = toOnnx(outputs);
  const session = await runtime.session(model);
  const used = Object.fromEntries(model.inputs.map(({ name }) => [name, feeds[name]]));
  const got = await session.run(used);
  session.close();

  const tolerance = dtype === 'float64' ? 1e-10 : 2e-5;
  const error = relative(got.y as Float32Array, want.data);
  assert.ok(error <= tolerance, `${where}: forward differs by ${error}`);
  if (!differentiable) return;
  for (const [k, arg] of args.entries()) {
    if (types[k] !== dtype) continue;
    const gradient = got[`dx${k}`] as Float32Array;
    assert.equal(gradient.length, arg.data.length, `${where}: gradient ${k} has another size`);
    const n = arg.data.length;
    const places = n <= COORDINATES ? [...arg.data.keys()] : Array.from({ length: COORDINATES }, () => random.int(n));
    const expected = places.map((i) => difference(c, args, weight, k, i));
    const gradientError = relative(
      places.map((i) => gradient[i]),
      expected,
    );
    // A central difference with this step has an error of about 1e-7 in float64.
    assert.ok(
      gradientError <= (dtype === 'float64' ? 1e-6 : 1e-4),
      `${where}: gradient ${k} differs by ${gradientError}`,
    );
  }
}

for (const op of opNames()) {
  test(`${op}: values match float64 loops and gradients match finite differences`, async () => {
    assert.ok(CASES[op], `${op} has no case in test/graph/cases.ts; every operation needs one`);
    const random = new Random(1, 'gradients', op);
    const cases = CASES[op](random);
    assert.ok(cases.length > 0);
    const { vjp } = ruleOf(op);
    if (vjp && vjp !== 'none')
      assert.ok(
        cases.some((c) => c.differentiable ?? true),
        `${op}: no case checks its gradient`,
      );
    for (const [i, c] of cases.entries()) {
      await check(runtimes.get('ffi')!, op, c, 'float32', random);
      if (i === cases.length - 1) await check(runtimes.get('node')!, op, c, 'float32', random);
      if (!FLOAT32_ONLY.has(op) && (c.dtypes ?? ['float64']).includes('float64'))
        await check(runtimes.get('ffi')!, op, c, 'float64', random);
    }
  });
}
