import { Emitter, broadcastShape, checkFloat, defineOp, operands } from '../rule.js';
import { Attrs, Tensor, fail, shapeText } from '../tensor.js';
import { add } from './elementwise.js';
import { reshape, sumTo } from './broadcast.js';
import { swapLast } from './shape.js';

interface Transposed extends Attrs {
  readonly transA: boolean;
  readonly transB: boolean;
}

/**
 * Whether a · bᵀ is faster as (b · aᵀ)ᵀ. ONNX Runtime's CPU product first packs its second operand, which costs as much
 * as the product itself for a few rows by a large weight. Measured at 1 to 256 rows: 1.2 to 2.1 times as fast in this
 * range.
 */
function wideWeight({ inputs: [a, b, c], attrs: { transA, transB } }: Tensor): boolean {
  const [rows, [n, k]] = [a.shape[0], b.shape];
  return !transA && transB === true && rows >= 16 && rows <= 48 && n * k >= 2 ** 19 && (!c || c.shape.length === 1);
}

/** The swapped product. Its third operand also keeps ONNX Runtime from fusing the transposition back into it. */
function emitSwapped(e: Emitter, [a, b, c]: readonly string[], { inputs, dtype }: Tensor): string {
  const bias = c && inputs[2].shape[0] > 1 ? e.node('Reshape', [c, e.ints([-1, 1])]) : c;
  const product = e.node('Gemm', [b, a, bias ?? e.scalar(0, dtype)], { transB: 1 });
  return e.node('Transpose', [product], { perm: [1, 0] });
}

const gemmOp = defineOp<Transposed>('gemm', {
  infer: ([a, b, c], { transA, transB }) => {
    checkFloat('gemm', a);
    const text = `${shapeText(a.shape)}${transA ? 'ᵀ' : ''} x ${shapeText(b.shape)}${transB ? 'ᵀ' : ''}`;
    if (a.shape.length !== 2 || b.shape.length !== 2) fail('gemm', `${text}: expected two matrices`);
    const [m, k] = transA ? [a.shape[1], a.shape[0]] : a.shape;
    const [l, n] = transB ? [b.shape[1], b.shape[0]] : b.shape;
    if (k !== l) fail('gemm', `${text}: inner sizes ${k} and ${l} differ`);
    if (c && String(broadcastShape('gemm', [c.shape, [m, n]])) !== String([m, n]))
      fail('gemm', `${text} + ${shapeText(c.shape)}: can't be broadcast to ${shapeText([m, n])}`);
    return { shape: [m, n] };
  },
  emit: (e, names, node) =>
    wideWeight(node)
      ? emitSwapped(e, names, node)
      : e.node('Gemm', names, { transA: +node.attrs.transA, transB: +node.attrs.transB }),
  vjp: ({ inputs: [a, b, c], attrs: { transA, transB }, dy, needs }) => {
    const da = () => (transA ? gemm(b, dy, { transA: transB, transB: true }) : gemm(dy, b, { transB: !transB }));
    const db = () => (transB ? gemm(dy, a, { transA: true, transB: transA }) : gemm(a, dy, { transA: !transA }));
    return [needs[0] ? da() : null, needs[1] ? db() : null, c && needs[2] ? sumTo(dy, c.shape) : null];
  },
});

/** a · b (+ c, broadcast) for matrices; transA and transB transpose a and b first. */
export function gemm(
  a: Tensor,
  b: Tensor,
  { transA = false, transB = false, c }: { transA?: boolean; transB?: boolean; c?: Tensor } = {},
): Tensor {
  return gemmOp(operands('gemm', c ? [a, b, c] : [a, b]), { transA, transB });
}

/** x [..., k] by w [n, k] (+ b [n]) to [..., n]: torch.nn.functional.linear. */
export function linear(x: Tensor, w: Tensor, b?: Tensor): Tensor {
  const k = x.shape.at(-1);
  if (w.shape.length !== 2 || k !== w.shape[1])
    fail('linear', `${shapeText(x.shape)} by weight ${shapeText(w.shape)}: expected x [..., k] and w [n, k]`);
  if (b && String(b.shape) !== String([w.shape[0]]))
    fail('linear', `weight ${shapeText(w.shape)} with bias ${shapeText(b.shape)}: expected [${w.shape[0]}]`);
  const rows = gemm(reshape(x, [-1, k]), w, { transB: true, c: b });
  return reshape(rows, [...x.shape.slice(0, -1), w.shape[0]]);
}

const matmulOp = defineOp('matmul', {
  infer: ([a, b]) => {
    checkFloat('matmul', a);
    const text = `${shapeText(a.shape)} x ${shapeText(b.shape)}`;
    if (a.shape.length < 2 || b.shape.length < 2) fail('matmul', `${text}: expected at least two axes each`);
    const [k, l] = [a.shape.at(-1)!, b.shape.at(-2)!];
    if (k !== l) fail('matmul', `${text}: inner sizes ${k} and ${l} differ`);
    const batch = broadcastShape('matmul', [a.shape.slice(0, -2), b.shape.slice(0, -2)]);
    return { shape: [...batch, a.shape.at(-2)!, b.shape.at(-1)!] };
  },
  emit: (e, names) => e.node('MatMul', names),
  vjp: ({ inputs: [a, b], dy, needs }) => [
    needs[0] ? sumTo(matmul(dy, swapLast(b)), a.shape) : null,
    needs[1] ? sumTo(matmul(swapLast(a), dy), b.shape) : null,
  ],
});

/** Matrix product over the last two axes; the leading axes are broadcast. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  return matmulOp(operands('matmul', [a, b]), {});
}

/**
 * total + part. If `part` is a matrix product, the addition is part of it, so a large gradient is added to its
 * accumulator in one pass over memory.
 */
export function accumulated(total: Tensor, part: Tensor): Tensor {
  if (part.op !== 'gemm' || part.inputs.length > 2) return add(total, part);
  return gemmOp([...part.inputs, total], part.attrs as Transposed);
}
