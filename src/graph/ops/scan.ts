import { defineOp } from '../rule.js';
import { ScanBody, Tensor, fail, shapeText } from '../tensor.js';

const scanOp = defineOp<{ body: ScanBody; scanned: number }>('scan', {
  infer: ([first], { body }) => ({ shape: [first.shape[0], ...body.results[0].shape], dtype: body.results[0].dtype }),
  emit: (e, names, node) => e.scan(node, names),
  vjp: 'none',
});

const scanResultOp = defineOp<{ index: number; shape: readonly number[] }>('scanResult', {
  infer: ([scan], { index }) => {
    const { shape, dtype } = (scan.attrs.body as ScanBody).results[index];
    return { shape: [scan.shape[0], ...shape], dtype };
  },
  emit: (_, [name], { attrs: { index } }) => (index === 0 ? name : `${name}:${index}`),
  vjp: 'none',
});

/**
 * Computes `body` for each slice along the first axis of the tensors `xs` [n, ...] and stacks its results to [n, ...].
 * Slices are computed one after another, so that intermediate values stay in the processor's cache.
 * @param around tensors that the body uses as a whole; it must not use any other outside tensors
 */
export function scan(
  xs: readonly Tensor[],
  around: readonly Tensor[],
  body: (slices: readonly Tensor[]) => readonly Tensor[],
): Tensor[] {
  const count = xs[0]?.shape[0];
  if (count === undefined || xs.some((x) => x.shape[0] !== count))
    fail('scan', `${xs.map((x) => shapeText(x.shape)).join(' x ')}: first sizes differ`);
  const slices = xs.map((x, i): Tensor => ({
    op: 'slot',
    inputs: [],
    attrs: { i },
    shape: x.shape.slice(1),
    dtype: x.dtype,
  }));
  const results = body(slices);
  const whole = scanOp([...xs, ...around], { body: { slices, results }, scanned: xs.length });
  return results.map((result, index) => scanResultOp([whole], { index, shape: result.shape }));
}
