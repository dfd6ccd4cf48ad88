/**
 * Operations as plain float64 loops, written from their definitions and independent of src/graph. Tests compare the
 * results of ONNX Runtime and the gradients of src/graph with them.
 */
export interface Nd {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

export function nd(shape: readonly number[], at: (index: number[]) => number): Nd {
  const data = new Float64Array(size(shape));
  const index = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    data[i] = at(index);
    for (let k = shape.length - 1; k >= 0 && ++index[k] === shape[k]; k--) index[k] = 0;
  }
  return { shape, data };
}

/** The element at a broadcast index: extra leading axes are dropped, axes of size 1 repeat. */
export function at(x: Nd, index: readonly number[]): number {
  const lead = index.length - x.shape.length;
  let offset = 0;
  for (let k = 0; k < x.shape.length; k++) offset = offset * x.shape[k] + (x.shape[k] === 1 ? 0 : index[lead + k]);
  return x.data[offset];
}

export function broadcast(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, i) =>
    Math.max(...shapes.map((shape) => shape[shape.length - rank + i] ?? 1)),
  );
}

export function elementwise(f: (...values: number[]) => number): (...xs: Nd[]) => Nd {
  return (...xs) => nd(broadcast(...xs.map((x) => x.shape)), (index) => f(...xs.map((x) => at(x, index))));
}

export function reduce(x: Nd, axes: readonly number[], keep: boolean, f: (values: number[]) => number): Nd {
  const full = x.shape.map((n, k) => (axes.includes(k) ? 1 : n));
  const inner = x.shape.map((n, k) => (axes.includes(k) ? n : 1));
  const result = nd(full, (index) => {
    const values: number[] = [];
    nd(inner, (i) =>
      values.push(
        at(
          x,
          index.map((n, k) => n + i[k]),
        ),
      ),
    );
    return f(values);
  });
  return keep ? result : { ...result, shape: full.filter((_, k) => !axes.includes(k)) };
}

/** Applies a function to each row along the last axis. */
export function rows(x: Nd, f: (row: Float64Array) => ArrayLike<number>): Nd {
  const width = x.shape[x.shape.length - 1];
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i += width) data.set(Array.from(f(x.data.subarray(i, i + width))), i);
  return { shape: x.shape, data };
}

export const total = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

export function softmax(row: Float64Array): number[] {
  const top = Math.max(...row);
  const powers = Array.from(row, (v) => Math.exp(v - top));
  return powers.map((p) => p / total(powers));
}

export function logSoftmax(row: Float64Array): number[] {
  const top = Math.max(...row);
  const log = Math.log(total(Array.from(row, (v) => Math.exp(v - top)))) + top;
  return Array.from(row, (v) => v - log);
}

export function transpose(x: Nd, perm: readonly number[]): Nd {
  return nd(
    perm.map((axis) => x.shape[axis]),
    (index) =>
      at(
        x,
        x.shape.map((_, axis) => index[perm.indexOf(axis)]),
      ),
  );
}

export function matmul(a: Nd, b: Nd): Nd {
  const k = a.shape[a.shape.length - 1];
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return nd([...batch, a.shape[a.shape.length - 2], b.shape[b.shape.length - 1]], (index) => {
    const lead = index.slice(0, -2);
    const [row, column] = index.slice(-2);
    let sum = 0;
    for (let i = 0; i < k; i++) sum += at(a, [...lead, row, i]) * at(b, [...lead, i, column]);
    return sum;
  });
}

export function conv2d(x: Nd, w: Nd, b: Nd | undefined, stride: number, pad: number): Nd {
  const [n, c, height, width] = x.shape;
  const [o, , kh, kw] = w.shape;
  const out = (length: number, window: number) => Math.floor((length + 2 * pad - window) / stride) + 1;
  return nd([n, o, out(height, kh), out(width, kw)], ([i, j, row, column]) => {
    let sum = b ? b.data[j] : 0;
    for (let ch = 0; ch < c; ch++)
      for (let y = 0; y < kh; y++)
        for (let z = 0; z < kw; z++) {
          const [r, s] = [row * stride + y - pad, column * stride + z - pad];
          if (r < 0 || s < 0 || r >= height || s >= width) continue;
          sum += x.data[((i * c + ch) * height + r) * width + s] * w.data[((j * c + ch) * kh + y) * kw + z];
        }
    return sum;
  });
}

/** Abramowitz & Stegun 7.1.5 (series) and 7.1.14 (continued fraction), accurate to double precision. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let n = 1; Math.abs(term) > 1e-18 * sum; n++) {
      term *= -(z * z) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (z + fraction)));
}
