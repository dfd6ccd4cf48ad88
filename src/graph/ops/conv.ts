import { checkFloat, defineOp } from '../rule.js';
import { Attrs, Tensor, fail, shapeText } from '../tensor.js';
import { sum } from './broadcast.js';
import { slice, transpose } from './shape.js';

interface Window extends Attrs {
  readonly stride: number;
  readonly pad: number;
}

const pads = (pad: number) => [pad, pad, pad, pad];

const convOp = defineOp<Window>('conv2d', {
  infer: ([x, w, b], { stride, pad }) => {
    checkFloat('conv2d', x);
    const text = `${shapeText(x.shape)} by weight ${shapeText(w.shape)}`;
    if (x.shape.length !== 4 || w.shape.length !== 4) fail('conv2d', `${text}: expected [N,C,H,W] and [O,C,kh,kw]`);
    if (x.shape[1] !== w.shape[1]) fail('conv2d', `${text}: channels ${x.shape[1]} and ${w.shape[1]} differ`);
    if (!Number.isInteger(stride) || stride < 1 || !Number.isInteger(pad) || pad < 0)
      fail('conv2d', `expected a stride of at least 1 and a pad of at least 0, got ${stride} and ${pad}`);
    if (b && String(b.shape) !== String([w.shape[0]]))
      fail('conv2d', `${text} with bias ${shapeText(b.shape)}: expected [${w.shape[0]}]`);
    const size = (axis: number) => Math.floor((x.shape[axis] + 2 * pad - w.shape[axis]) / stride) + 1;
    if (size(2) < 1 || size(3) < 1) fail('conv2d', `${text}: the window is larger than the padded image`);
    return { shape: [x.shape[0], w.shape[0], size(2), size(3)] };
  },
  emit: (e, names, { attrs: { stride, pad } }) => e.node('Conv', names, { strides: [stride, stride], pads: pads(pad) }),
  vjp: ({ inputs: [x, w, b], attrs, dy, needs }) => [
    needs[0] ? convInputGrad(x, w, dy, attrs) : null,
    needs[1] ? convWeightGrad(x, w, dy, attrs) : null,
    b && needs[2] ? sum(dy, [0, 2, 3]) : null,
  ],
});

/**
 * Cross-correlation, torch.nn.functional.conv2d: x [N,C,H,W], w [O,C,kh,kw], b [O] to [N,O,H',W'],
 * H' = ⌊(H + 2 pad - kh) / stride⌋ + 1. `pad` zeros on every side.
 */
export function conv2d(x: Tensor, w: Tensor, b?: Tensor, { stride = 1, pad = 0 } = {}): Tensor {
  return convOp(b ? [x, w, b] : [x, w], { stride, pad });
}

/** Gradient with respect to x: the transposed convolution. Its output padding gives 0 to rows that no window reached. */
function convInputGrad(x: Tensor, w: Tensor, dy: Tensor, attrs: Window): Tensor {
  return inputGradOp([dy, w], { ...attrs, height: x.shape[2], width: x.shape[3] });
}

const inputGradOp = defineOp<Window & { height: number; width: number }>('conv2dInputGrad', {
  infer: ([dy, w], { height, width }) => ({ shape: [dy.shape[0], w.shape[1], height, width] }),
  emit: (e, names, { inputs: [dy, w], attrs: { stride, pad, height, width } }) => {
    const left = (size: number, axis: number) => size + 2 * pad - w.shape[axis] - (dy.shape[axis] - 1) * stride;
    return e.node('ConvTranspose', names, {
      strides: [stride, stride],
      pads: pads(pad),
      output_padding: [left(height, 2), left(width, 3)],
    });
  },
  vjp: 'none',
});

/**
 * Gradient with respect to w: dw[o,c,i,j] = Σ_n,h,w x[n,c,h·s+i-p,w·s+j-p] dy[n,o,h,w]. This is a convolution of x by dy
 * with batch and channels swapped and the stride as dilation; results beyond kh × kw are cut off.
 */
function convWeightGrad(x: Tensor, w: Tensor, dy: Tensor, attrs: Window): Tensor {
  const full = weightGradOp([transpose(x, [1, 0, 2, 3]), transpose(dy, [1, 0, 2, 3])], attrs);
  return transpose(slice(slice(full, 2, 0, w.shape[2]), 3, 0, w.shape[3]), [1, 0, 2, 3]);
}

const weightGradOp = defineOp<Window>('conv2dWeightGrad', {
  infer: ([x, dy], { stride, pad }) => {
    const size = (axis: number) => x.shape[axis] + 2 * pad - (dy.shape[axis] - 1) * stride;
    return { shape: [x.shape[0], dy.shape[0], size(2), size(3)] };
  },
  emit: (e, names, { attrs: { stride, pad } }) =>
    e.node('Conv', names, { dilations: [stride, stride], pads: pads(pad) }),
  vjp: 'none',
});
