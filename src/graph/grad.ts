import { add } from './ops/elementwise.js';
import { filled } from './ops/shape.js';
import { ruleOf } from './rule.js';
import { Tensor, fail, isFloat, scalar, shapeText } from './tensor.js';

/** The nodes between `sources` and `root`, in topological order. */
function dependants(root: Tensor, sources: ReadonlySet<Tensor>): { order: Tensor[]; depends: Set<Tensor> } {
  const order: Tensor[] = [];
  const depends = new Set<Tensor>();
  const seen = new Set<Tensor>([root]);
  const path: { tensor: Tensor; next: number }[] = [{ tensor: root, next: 0 }];
  while (path.length > 0) {
    const top = path[path.length - 1];
    const { tensor } = top;
    // No gradient passes this node, so its inputs don't matter.
    const inputs = passesNone(tensor) ? [] : tensor.inputs;
    if (top.next < inputs.length) {
      const input = inputs[top.next++];
      if (!seen.has(input)) {
        seen.add(input);
        path.push({ tensor: input, next: 0 });
      }
      continue;
    }
    path.pop();
    if (sources.has(tensor) || inputs.some((x) => depends.has(x))) {
      depends.add(tensor);
      order.push(tensor);
    }
  }
  return { order, depends };
}

function passesNone(tensor: Tensor): boolean {
  return tensor.op === 'input' || tensor.op === 'constant' || tensor.op === 'slot' || ruleOf(tensor.op).vjp === null;
}

/**
 * Reverse-mode differentiation: for each w, a graph of d loss / d w in the shape of w. Only the nodes needed for these
 * are built. If the loss does not depend on w, its gradient is zeros.
 * @throws RunError if the loss is not a floating-point scalar, or an operation on the way can't be differentiated
 */
export function grad(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0 || !isFloat(loss.dtype))
    fail('grad', `expected a floating-point scalar loss, got ${loss.dtype}${shapeText(loss.shape)}`);
  const sources = new Set(wrt);
  const { order, depends } = dependants(loss, sources);
  const gradients = new Map<Tensor, Tensor>([[loss, scalar(1, loss.dtype)]]);
  for (const y of order.reverse()) {
    const dy = gradients.get(y);
    if (!dy || passesNone(y)) continue;
    const { vjp } = ruleOf(y.op);
    if (vjp === 'none' || vjp === null) return fail(y.op, `${shapeText(y.shape)} can't be differentiated`);
    const needs = y.inputs.map((x) => depends.has(x));
    const parts = vjp({ inputs: y.inputs, attrs: y.attrs, y, dy, needs });
    y.inputs.forEach((x, i) => {
      const part = needs[i] ? parts[i] : null;
      if (!part) return;
      const other = gradients.get(x);
      gradients.set(x, other ? add(other, part) : part);
    });
  }
  return wrt.map((w) => gradients.get(w) ?? filled(0, w.shape, w.dtype));
}
