import { Attrs, DType, Operand, Tensor, fail, isFloat, scalar, shapeText } from './tensor.js';

/** Writes ONNX nodes for an operation's `emit`. The emitter chooses the names, which never clash. */
export interface Emitter {
  /** appends a node of ONNX operator `type` and returns the name of its first output */
  node(type: string, inputs: readonly string[], attrs?: Attrs, outputs?: number): string;
  /** name of a 1-d int64 initializer */
  ints(values: readonly number[]): string;
  /** name of a scalar initializer */
  scalar(value: number, dtype: DType): string;
  /** replaces this node by another graph over its inputs */
  lower(tensor: Tensor): string;
  /** appends a node whose last attribute is a subgraph; see the `scan` operation */
  scan(node: Tensor, inputs: readonly string[]): string;
}

/** The arguments of a vector-Jacobian product: y = op(inputs), dy = d loss / d y. */
export interface Cotangent<A extends Attrs> {
  readonly inputs: readonly Tensor[];
  readonly attrs: A;
  readonly y: Tensor;
  readonly dy: Tensor;
  /** which inputs need a gradient; results for the others are ignored */
  readonly needs: readonly boolean[];
}

/** The definition of an operation: shape and type of the result, ONNX nodes, and gradient. */
export interface Rule<A extends Attrs = Attrs> {
  /** shape of the result, and its type where it differs from the first input's; throws if the inputs don't fit */
  infer(inputs: readonly Tensor[], attrs: A): { shape: readonly number[]; dtype?: DType };
  /** writes the nodes and returns the output's name */
  emit(e: Emitter, inputs: readonly string[], node: Tensor & { readonly attrs: A }): string;
  /**
   * d loss / d input for each input, as a graph. `null`: the gradient is zero by definition (comparisons, stopGradient,
   * indices). 'none': there is no gradient, and differentiating through the operation is an error.
   */
  vjp: ((c: Cotangent<A>) => readonly (Tensor | null)[]) | null | 'none';
}

const rules = new Map<string, Rule>();

/** Registers an operation and returns the function that builds its nodes. A name can be used only once. */
export function defineOp<A extends Attrs>(op: string, rule: Rule<A>): (inputs: readonly Tensor[], attrs: A) => Tensor {
  if (rules.has(op)) fail(op, 'this operation is already defined');
  rules.set(op, rule as unknown as Rule);
  return (inputs, attrs) => {
    const { shape, dtype } = rule.infer(inputs, attrs);
    return { op, inputs: [...inputs], attrs, shape: [...shape], dtype: dtype ?? inputs[0].dtype };
  };
}

/**
 * Registers an operation that is a graph of other operations but has its own gradient (a shorter or numerically more
 * stable one). Terms that occur in both are computed once, because equal nodes are written once.
 */
export function defineComposite<A extends Attrs>(
  op: string,
  rule: { lower: (inputs: readonly Tensor[], attrs: A) => Tensor; vjp: Rule<A>['vjp'] },
): (inputs: readonly Tensor[], attrs: A) => Tensor {
  return defineOp<A>(op, {
    infer: rule.lower,
    emit: (e, _, node) => e.lower(rule.lower(node.inputs, node.attrs)),
    vjp: rule.vjp,
  });
}

/** @throws RunError for an operation that is not registered */
export function ruleOf(op: string): Rule {
  return rules.get(op) ?? fail(op, 'no such operation');
}

/** Names of all registered operations, in the order of definition. */
export function opNames(): string[] {
  return [...rules.keys()];
}

/** Converts numbers to scalars of the tensors' type, and checks that all tensors have the same type. */
export function operands(op: string, values: readonly Operand[]): Tensor[] {
  const first = values.find((value): value is Tensor => typeof value !== 'number');
  if (!first) return fail(op, 'expected at least one tensor, got only numbers');
  const tensors = values.map((value) => (typeof value === 'number' ? scalar(value, first.dtype) : value));
  for (const tensor of tensors)
    if (tensor.dtype !== first.dtype)
      fail(op, `element types differ: ${tensors.map((t) => t.dtype + shapeText(t.shape)).join(' x ')}; cast one`);
  return tensors;
}

export function checkFloat(op: string, x: Tensor): void {
  if (!isFloat(x.dtype)) fail(op, `expected a floating-point tensor, got ${x.dtype}${shapeText(x.shape)}`);
}

/** The axis as a non-negative number; negative axes count from the end. @throws RunError if it is out of range */
export function axisOf(op: string, axis: number, shape: readonly number[]): number {
  const positive = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= shape.length)
    fail(op, `axis ${axis} is out of range for ${shapeText(shape)}`);
  return positive;
}

/** Shape of an elementwise result under NumPy's broadcasting rules. */
export function broadcastShape(op: string, shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = shapes.map((shape) => shape[shape.length - rank + i] ?? 1);
    const size = Math.max(...sizes);
    if (sizes.some((s) => s !== size && s !== 1))
      fail(op, `${shapes.map(shapeText).join(' x ')}: sizes ${sizes.join(' and ')} can't be broadcast`);
    return size;
  });
}
