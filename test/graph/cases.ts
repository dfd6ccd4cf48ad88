import * as graph from '../../src/graph/index.js';
import type { DType, Tensor } from '../../src/graph/index.js';
import { Random } from '../../src/random.js';
import * as ref from './reference.js';
import { Nd, at, elementwise, nd, reduce, rows, total } from './reference.js';

/** An input of a case; floating-point ones are differentiated. */
export interface Argument {
  readonly value: Nd;
  /** default: the precision under test */
  readonly dtype?: DType;
}

/** A graph that uses an operation, with the reference for its result. */
export interface Case {
  readonly what: string;
  readonly args: readonly Argument[];
  readonly build: (...xs: Tensor[]) => Tensor;
  readonly reference: (...xs: Nd[]) => Nd;
  /** precisions to test; default all that the operation supports */
  readonly dtypes?: readonly DType[];
  /** whether to check the gradient too; default true */
  readonly differentiable?: boolean;
}

type Generator = (random: Random) => Case[];

/** 1, small odd and even sizes, and sometimes a size that no vector width divides */
function dim(random: Random): number {
  return random.pick([1, 1, 2, 3, 4, 5, 7, 17]);
}

function shape(random: Random, rank = random.int(4) + 1): number[] {
  return Array.from({ length: rank }, () => dim(random));
}

/** Values with magnitudes in [lo, hi), so that no finite difference crosses a kink or a pole. */
function values(random: Random, of: readonly number[], lo = 0.05, hi = 2, signed = true): Argument {
  return {
    value: nd(of, () => (lo + (hi - lo) * random.next()) * (signed && random.chance(0.5) ? -1 : 1)),
  };
}

function whole(random: Random, of: readonly number[], below: number): Argument {
  return { value: nd(of, () => random.int(below)), dtype: 'int64' };
}

function bools(random: Random, of: readonly number[]): Argument {
  return { value: nd(of, () => random.int(2)), dtype: 'bool' };
}

/** Shapes that broadcast together: some leading axes are missing, some axes have size 1. */
function broadcastable(random: Random, count: number): number[][] {
  const full = shape(random);
  return Array.from({ length: count }, (_, i) => {
    const lead = i === 0 ? 0 : random.int(full.length + 1);
    return full.slice(lead).map((size) => (random.chance(0.3) ? 1 : size));
  });
}

/** more than one vector, block or thread can take, and not a multiple of any of them */
const LARGE = [129, 65];
const text = (args: readonly Argument[]) => args.map(({ value }) => `[${value.shape}]`).join(' ');

function unary(
  build: (x: Tensor) => Tensor,
  reference: (x: number) => number,
  [lo, hi, signed]: [number, number, boolean] = [0.05, 2, true],
  differentiable = true,
): Generator {
  return (random) =>
    [[], [1], shape(random), shape(random), LARGE].map((of) => {
      const args = [values(random, of, lo, hi, signed)];
      return { what: text(args), args, build, reference: elementwise(reference), differentiable };
    });
}

function binary(
  build: (a: Tensor, b: Tensor) => Tensor,
  reference: (a: number, b: number) => number,
  differentiable = true,
): Generator {
  return (random) =>
    [[[], []], [[1], [3]], ...[1, 2, 3, 4].map(() => broadcastable(random, 2)), [LARGE, [65]], [[129, 1], LARGE]].map(
      (shapes) => {
        const args = shapes.map((of) => values(random, of));
        return { what: text(args), args, build, reference: elementwise(reference), differentiable };
      },
    );
}

function reduction(
  build: (x: Tensor, axes: number[] | undefined, keep: boolean) => Tensor,
  f: (values: number[]) => number,
): Generator {
  const one = (random: Random, of: number[], axes: number[] | undefined, keep: boolean): Case => {
    const args = [values(random, of)];
    const all = (axes ?? [...of.keys()]).map((axis) => (axis < 0 ? axis + of.length : axis));
    return {
      what: `${text(args)} over ${axes} keep ${keep}`,
      args,
      build: (x) => build(x, axes, keep),
      reference: (x) => reduce(x, all, keep, f),
    };
  };
  return (random) => [
    one(random, [1], [0], false),
    one(random, [5], undefined, false),
    one(random, [3, 4, 5], [1], true),
    one(random, [3, 1, 5], [0, -1], false),
    one(random, [2, 3, 4, 5], [0, 2], random.chance(0.5)),
    one(random, LARGE, [0], false),
    one(random, LARGE, [1], true),
  ];
}

function rowwise(build: (x: Tensor) => Tensor, f: (row: Float64Array) => ArrayLike<number>): Generator {
  return (random) =>
    [[1], [5], [1, 1], shape(random, 3), [3, 257]].map((of) => {
      const args = [values(random, of)];
      return { what: text(args), args, build, reference: (x: Nd) => rows(x, f) };
    });
}

const cdf = (x: number) => (1 + ref.erf(x / Math.SQRT2)) / 2;
const EPS = 0.125; // exact in float32, in which ONNX stores it

function norm(row: Float64Array, centre: boolean): number[] {
  const mean = centre ? total(row) / row.length : 0;
  const variance = total(Array.from(row, (v) => (v - mean) ** 2)) / row.length;
  return Array.from(row, (v) => (v - mean) / Math.sqrt(variance + EPS));
}

function moves(
  build: (x: Tensor) => Tensor,
  reference: (x: Nd) => Nd,
  of: number[],
  what: string,
): (random: Random) => Case {
  return (random) => ({ what: `[${of}] ${what}`, args: [values(random, of)], build, reference });
}

const reshaped = (to: number[]) => (x: Nd) => ({ shape: to, data: x.data });
const part = (axis: number, start: number, end: number) => (x: Nd) =>
  nd(x.shape.with(axis, end - start), (index) =>
    at(x, index.with(axis, x.shape[axis] === 1 ? 0 : index[axis] + start)),
  );

function join(xs: readonly Nd[], axis: number): Nd {
  const whole = xs[0].shape.with(axis, total(xs.map((x) => x.shape[axis])));
  return nd(whole, (index) => {
    let i = index[axis];
    let k = 0;
    while (i >= xs[k].shape[axis]) i -= xs[k++].shape[axis];
    return at(xs[k], index.with(axis, i));
  });
}

function gemmCase(
  random: Random,
  m: number,
  k: number,
  n: number,
  transA: boolean,
  transB: boolean,
  c?: number[],
): Case {
  const args = [values(random, transA ? [k, m] : [m, k]), values(random, transB ? [n, k] : [k, n])];
  if (c) args.push(values(random, c));
  return {
    what: `${text(args)} ${transA} ${transB}`,
    args,
    build: (a, b, bias) => graph.gemm(a, b, { transA, transB, c: bias }),
    reference: (a, b, bias) => {
      const turn = (x: Nd, turned: boolean) => (turned ? ref.transpose(x, [1, 0]) : x);
      const product = ref.matmul(turn(a, transA), turn(b, transB));
      return bias ? elementwise((x, y) => x + y)(product, bias) : product;
    },
  };
}

/** A few rows by a large weight, which is emitted differently. Its gradient is that of any other product. */
function wideCase(random: Random, m: number, k: number, n: number, bias: boolean): Case {
  const args = [values(random, [m, k]), values(random, [n, k]), ...(bias ? [values(random, [n])] : [])];
  return {
    what: text(args),
    args,
    differentiable: false,
    build: (a, b, c) => graph.gemm(a, b, { transB: true, c }),
    reference: (a, b, c) =>
      nd([m, n], ([row, column]) => {
        let sum = c ? c.data[column] : 0;
        for (let i = 0; i < k; i++) sum += a.data[row * k + i] * b.data[column * k + i];
        return sum;
      }),
  };
}

function convCase(random: Random, x: number[], w: number[], stride: number, pad: number, bias: boolean): Case {
  const args = [values(random, x), values(random, w), ...(bias ? [values(random, [w[0]])] : [])];
  return {
    what: `${text(args)} stride ${stride} pad ${pad}`,
    args,
    build: (a, b, c) => graph.conv2d(a, b, c, { stride, pad }),
    reference: (a, b, c) => ref.conv2d(a, b, c, stride, pad),
  };
}

/** The gradient of Σ conv2d(x, w) · dy with respect to x or w: each product is added to its own element. */
function convGradCase(random: Random, of: 'x' | 'w', x: number[], w: number[], stride: number, pad: number): Case {
  const y = ref.conv2d(
    nd(x, () => 0),
    nd(w, () => 0),
    undefined,
    stride,
    pad,
  ).shape;
  const args = [values(random, x), values(random, w), values(random, y)];
  return {
    what: `${text(args)} stride ${stride} pad ${pad}`,
    args,
    differentiable: false,
    build: (a, b, dy) =>
      graph.grad(graph.sum(graph.mul(graph.conv2d(a, b, undefined, { stride, pad }), dy)), [of === 'x' ? a : b])[0],
    reference: (a, b, dy) => {
      const weight = of === 'x' ? b : a;
      const result = { shape: of === 'x' ? x : w, data: new Float64Array((of === 'x' ? a : b).data.length) };
      nd(
        dy.shape,
        ([n, o, row, column]) =>
          nd([x[1], w[2], w[3]], ([c, i, j]) => {
            const [r, s] = [row * stride + i - pad, column * stride + j - pad];
            if (r < 0 || s < 0 || r >= x[2] || s >= x[3]) return 0;
            const inX = ((n * x[1] + c) * x[2] + r) * x[3] + s;
            const inW = ((o * x[1] + c) * w[2] + i) * w[3] + j;
            const [to, from] = of === 'x' ? [inX, inW] : [inW, inX];
            result.data[to] += weight.data[from] * at(dy, [n, o, row, column]);
            return 0;
          }).shape.length,
      );
      return result;
    },
  };
}

const CONVOLUTIONS: [number[], number[], number, number][] = [
  [[1, 1, 1, 1], [1, 1, 1, 1], 1, 0],
  [[2, 3, 7, 6], [4, 3, 3, 3], 1, 1],
  [[2, 2, 8, 9], [3, 2, 3, 2], 2, 1],
  [[1, 3, 11, 10], [2, 3, 4, 4], 4, 0],
  [[3, 1, 5, 5], [5, 1, 5, 5], 3, 2],
];

function gatherCase(random: Random, table: number[], ids: number[]): Case {
  const args = [values(random, table), whole(random, ids, table[0])];
  return {
    what: text(args),
    args,
    build: graph.gather,
    reference: (t, i) =>
      nd([...ids, ...table.slice(1)], (index) =>
        at({ ...t }, [at(i, index.slice(0, ids.length)), ...index.slice(ids.length)]),
      ),
  };
}

function takeCase(random: Random, x: number[], idx: number[], axis: number): Case {
  const args = [values(random, x), whole(random, idx, x.at(axis)!)];
  const positive = axis < 0 ? axis + x.length : axis;
  return {
    what: `${text(args)} axis ${axis}`,
    args,
    build: (a, b) => graph.takeAlong(a, b, axis),
    reference: (a, b) => nd(idx, (index) => at(a, index.with(positive, at(b, index)))),
  };
}

function scanCase(random: Random, n: number, width: number): Case {
  const args = [values(random, [n, width]), values(random, [n, width]), values(random, [])];
  return {
    what: text(args),
    args,
    differentiable: false,
    build: (x, y, scale) => {
      const [a, b] = graph.scan([x, y], [scale], ([p, q]) => [graph.mul(p, scale), graph.add(graph.mul(p, q), scale)]);
      return graph.concat([a, b], 1);
    },
    reference: (x, y, scale) =>
      join([elementwise((a, s) => a * s)(x, scale), elementwise((a, b, s) => a * b + s)(x, y, scale)], 1),
  };
}

/** Cases for every registered operation, by name. */
export const CASES: Readonly<Record<string, Generator>> = {
  add: binary(graph.add, (a, b) => a + b),
  sub: binary(graph.sub, (a, b) => a - b),
  mul: binary(graph.mul, (a, b) => a * b),
  div: binary(graph.div, (a, b) => a / b),
  minimum: binary(graph.minimum, Math.min),
  maximum: binary(graph.maximum, Math.max),
  equal: binary(
    (a, b) => graph.equal(graph.sign(a), graph.sign(b)),
    (a, b) => +(Math.sign(a) === Math.sign(b)),
    false,
  ),
  greater: binary(graph.greater, (a, b) => +(a > b), false),
  less: binary(graph.less, (a, b) => +(a < b), false),
  neg: unary(graph.neg, (x) => -x),
  relu: unary(graph.relu, (x) => Math.max(x, 0)),
  sigmoid: unary(graph.sigmoid, (x) => 1 / (1 + Math.exp(-x)), [0.05, 8, true]),
  tanh: unary(graph.tanh, Math.tanh),
  erf: unary(graph.erf, ref.erf),
  exp: unary(graph.exp, Math.exp),
  log: unary(graph.log, Math.log, [0.1, 3, false]),
  sqrt: unary(graph.sqrt, Math.sqrt, [0.1, 3, false]),
  abs: unary(graph.abs, Math.abs),
  sign: unary(graph.sign, Math.sign, [0.05, 2, true], false),
  square: unary(graph.square, (x) => x * x),
  clip: unary(
    (x) => graph.clip(x, -0.7, 1.1),
    (x) => Math.min(Math.max(x, -0.7), 1.1),
  ),
  gelu: unary(graph.gelu, (x) => x * cdf(x)),
  geluTanh: unary(graph.geluTanh, (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  cast: (random) => [
    {
      what: 'float to int64',
      args: [values(random, [3, 5], 0.05, 9)],
      build: (x) => graph.cast(x, 'int64'),
      reference: elementwise(Math.trunc),
      differentiable: false,
    },
    {
      what: 'float to bool',
      args: [values(random, [4])],
      build: (x) => graph.cast(x, 'bool'),
      reference: elementwise(() => 1),
      differentiable: false,
    },
    {
      what: 'to float64 and back',
      args: [values(random, [4, 3])],
      build: (x) => graph.cast(graph.square(graph.cast(x, 'float64')), x.dtype),
      reference: elementwise((x) => x * x),
      dtypes: ['float32'],
    },
  ],
  stopGradient: unary(
    (x) => graph.add(graph.stopGradient(x), 1),
    (x) => x + 1,
    [0.05, 2, true],
    false,
  ),
  where: (random) =>
    [[[], [], []], ...[1, 2, 3].map(() => broadcastable(random, 3)), [LARGE, [129, 1], [65]]].map(([c, a, b]) => {
      const args = [bools(random, c), values(random, a), values(random, b)];
      return { what: text(args), args, build: graph.where, reference: elementwise((p, x, y) => (p ? x : y)) };
    }),
  ...Object.fromEntries(
    (
      [
        ['and', graph.and, (a: number, b: number) => a & b],
        ['or', graph.or, (a: number, b: number) => a | b],
        ['not', (a: Tensor) => graph.not(a), (a: number) => 1 - a],
      ] as const
    ).map(([name, build, f]): [string, Generator] => [
      name,
      (random) =>
        [1, 2].map(() => {
          const args = broadcastable(random, f.length).map((of) => bools(random, of));
          return {
            what: text(args),
            args,
            build: build as Case['build'],
            reference: elementwise(f),
            differentiable: false,
          };
        }),
    ]),
  ),
  sum: reduction((x, axes, keep) => graph.sum(x, axes, keep), total),
  mean: reduction(
    (x, axes, keep) => graph.mean(x, axes, keep),
    (v) => total(v) / v.length,
  ),
  reduceMax: reduction(
    (x, axes, keep) => graph.reduceMax(x, axes, keep),
    (v) => Math.max(...v),
  ),
  softmax: rowwise(graph.softmax, ref.softmax),
  logSoftmax: rowwise(graph.logSoftmax, ref.logSoftmax),
  rmsNorm: (random) =>
    [[2], [3, 5], [2, 3, 129]].map((of) => {
      const args = [values(random, of), values(random, of.slice(-1))];
      return {
        what: text(args),
        args,
        build: (x, w) => graph.rmsNorm(x, w, EPS),
        reference: (x, w) =>
          elementwise((a, b) => a * b)(
            rows(x, (row) => norm(row, false)),
            w,
          ),
      };
    }),
  layerNorm: (random) =>
    [[2], [3, 5], [2, 3, 129]].map((of) => {
      const args = [values(random, of), values(random, of.slice(-1)), values(random, of.slice(-1))];
      return {
        what: text(args),
        args,
        build: (x, w, b) => graph.layerNorm(x, w, b, EPS),
        reference: (x, w, b) =>
          elementwise((a, s, t) => a * s + t)(
            rows(x, (row) => norm(row, true)),
            w,
            b,
          ),
      };
    }),
  reshape: (random) => [
    moves((x) => graph.reshape(x, [-1, 6]), reshaped([2, 6]), [3, 4], 'to [-1,6]')(random),
    moves((x) => graph.reshape(x, [1]), reshaped([1]), [], 'to [1]')(random),
    moves((x) => graph.reshape(x, []), reshaped([]), [1, 1], 'to []')(random),
  ],
  expand: (random) => [
    moves(
      (x) => graph.expand(x, [2, 3, 4]),
      (x) => nd([2, 3, 4], (index) => at(x, index)),
      [3, 1],
      'to [2,3,4]',
    )(random),
    moves(
      (x) => graph.expand(x, [5]),
      (x) => nd([5], (index) => at(x, index)),
      [],
      'to [5]',
    )(random),
  ],
  transpose: (random) =>
    [[0], [1, 0], [2, 0, 1], [0, 2, 1, 3]].map((perm) =>
      moves(
        (x) => graph.transpose(x, perm),
        (x) => ref.transpose(x, perm),
        shape(random, perm.length),
        `by ${perm}`,
      )(random),
    ),
  slice: (random) => [
    moves((x) => graph.slice(x, 0, 1, 3), part(0, 1, 3), [5], '1 to 3')(random),
    moves((x) => graph.slice(x, -1, -2, 7), part(2, 5, 7), [2, 3, 7], 'the last 2')(random),
    moves((x) => graph.slice(x, 1, 0, 1), part(1, 0, 1), [4, 9], 'the first')(random),
  ],
  pad: (random) =>
    [
      [[3], 0, 2, 1],
      [[2, 4, 3], 1, 0, 3],
      [[1, 1], 1, 1, 0],
    ].map(([of, axis, before, after]) => {
      const [sizes, k, b, a] = [of as number[], axis as number, before as number, after as number];
      const reference = (x: Nd) =>
        nd(x.shape.with(k, b + x.shape[k] + a), (index) => {
          const i = index[k] - b;
          return i < 0 || i >= x.shape[k] ? 0 : at(x, index.with(k, i));
        });
      return moves((x) => graph.pad(x, k, b, a), reference, sizes, `${b} and ${a}`)(random);
    }),
  concat: (random) =>
    [
      [[[2], [3]], 0],
      [
        [
          [2, 3],
          [2, 1],
          [2, 5],
        ],
        1,
      ],
      [
        [
          [1, 4],
          [3, 4],
        ],
        0,
      ],
    ].map(([shapes, axis]) => {
      const args = (shapes as number[][]).map((of) => values(random, of));
      return {
        what: text(args),
        args,
        build: (...xs) => graph.concat(xs, axis as number),
        reference: (...xs) => join(xs, axis as number),
      };
    }),
  gemm: (random) => [
    gemmCase(random, 1, 1, 1, false, false),
    gemmCase(random, 3, 5, 7, false, true, [7]),
    gemmCase(random, 4, 2, 3, true, false, [4, 1]),
    gemmCase(random, 2, 17, 1, true, true),
    gemmCase(random, 17, 130, 33, false, false, [17, 33]),
    wideCase(random, 16, 1024, 513, true),
    wideCase(random, 17, 1030, 510, false),
    {
      what: 'linear with leading axes',
      args: [values(random, [2, 3, 5]), values(random, [4, 5]), values(random, [4])],
      build: graph.linear,
      reference: (x, w, b) => elementwise((p, q) => p + q)(ref.matmul(x, ref.transpose(w, [1, 0])), b),
    },
  ],
  matmul: (random) =>
    [
      [
        [1, 1],
        [1, 1],
      ],
      [
        [3, 5],
        [5, 2],
      ],
      [
        [2, 3, 4],
        [4, 5],
      ],
      [
        [2, 1, 3, 4],
        [5, 4, 2],
      ],
      [
        [1, 2, 3],
        [4, 3, 1],
      ],
      [
        [2, 65, 33],
        [2, 33, 17],
      ],
    ].map((shapes) => {
      const args = shapes.map((of) => values(random, of));
      return { what: text(args), args, build: graph.matmul, reference: ref.matmul };
    }),
  conv2d: (random) => CONVOLUTIONS.map(([x, w, stride, pad], i) => convCase(random, x, w, stride, pad, i % 2 === 1)),
  conv2dInputGrad: (random) => CONVOLUTIONS.map(([x, w, stride, pad]) => convGradCase(random, 'x', x, w, stride, pad)),
  conv2dWeightGrad: (random) => CONVOLUTIONS.map(([x, w, stride, pad]) => convGradCase(random, 'w', x, w, stride, pad)),
  gather: (random) => [
    gatherCase(random, [1, 1], [1]),
    gatherCase(random, [7, 3], [2, 5]),
    gatherCase(random, [300, 5], [64]),
    gatherCase(random, [5], [4]),
    gatherCase(random, [400, 2, 3], [2, 3]),
  ],
  takeAlong: (random) => [
    takeCase(random, [5], [3], 0),
    takeCase(random, [3, 4], [3, 1], 1),
    takeCase(random, [2, 3, 7], [2, 3, 9], -1),
    takeCase(random, [6, 4], [2, 4], 0),
  ],
  scatterAdd: (random) =>
    [
      [[7], [9]],
      [
        [5, 3],
        [8, 3],
      ],
    ].map(([x, idx]) => {
      const args = [values(random, x), whole(random, idx, x[0]), values(random, idx)];
      return {
        what: text(args),
        args: args.slice(1),
        build: (i, u) => {
          const zero = graph.input('unused', x, u.dtype);
          return graph.grad(graph.sum(graph.mul(graph.takeAlong(zero, i, 0), u)), [zero])[0];
        },
        reference: (i, u) => {
          const result = nd(x, () => 0);
          nd(idx, (index) => {
            const width = x.length > 1 ? x[1] : 1;
            result.data[at(i, index) * width + (index[1] ?? 0)] += at(u, index);
            return 0;
          });
          return result;
        },
      };
    }),
  scan: (random) => [scanCase(random, 1, 3), scanCase(random, 7, 5)],
  scanResult: (random) => [scanCase(random, 3, 257)],
};
