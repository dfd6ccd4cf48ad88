import { Attrs, DType, Operand, Tensor, fail, isFloat, scalar, shapeText } from './tensor.js';

/** What an operation's `emit` writes ONNX nodes with. Names are chosen by the emitter and never clash. */
export interface Emitter {
  /** appends a node of ONNX operator `type` and returns the name of its first output */
  node(type: string, inputs: readonly string[], attrs?: Attrs, outputs?: number): string;
  /** name of a 1-d int64 initializer */
  ints(values: readonly number[]): string;
  /** name of a scalar initializer */
  scalar(value: number, dtype: DType): string;
  /** writes a graph over this node's inputs in its place */
  lower(tensor: Tensor): string;
  /** appends a node whose last attribute is a subgraph; see the `scan` operation */
  scan(node: Tensor, inputs: readonly string[]): string;
}

/** What a vector-Jacobian product is computed from: y = op(inputs), dy = d loss / d y. */
export interface Cotangent<A extends Attrs> {
  readonly inputs: readonly Tensor[];
  readonly attrs: A;
  readonly y: Tensor;
  readonly dy: Tensor;
  /** which inputs need a gradient; what is returned for the others is ignored */
  readonly needs: readonly boolean[];
}

/** An operation: its result's shape and type, its ONNX nodes, and its gradient, side by side. */
export interface Rule<A extends Attrs = Attrs> {
  /** the result's shape (and type, where it is not the first input's); throws when the inputs don't fit */
  infer(inputs: readonly Tensor[], attrs: A): { shape: readonly number[]; dtype?: DType };
  /** writes the nodes and returns the output's name */
  emit(e: Emitter, inputs: readonly string[], node: Tensor & { readonly attrs: A }): string;
  /**
   * d loss / d input for each input, as a graph. `null`: no gradient passes, by definition (comparisons,
   * stopGradient, indices). A rule with 'none' can't be differentiated: asking for it is an error.
   */
  vjp: ((c: Cotangent<A>) => readonly (Tensor | null)[]) | null | 'none';
}

const rules = new Map<string, Rule>();

/** Enters a rule in the table and returns the function that builds a node of it. A name can be taken once. */
export function defineOp<A extends Attrs>(op: string, rule: Rule<A>): (inputs: readonly Tensor[], attrs: A) => Tensor {
  if (rules.has(op)) fail(op, 'defined twice');
  rules.set(op, rule as unknown as Rule);
  return (inputs, attrs) => {
    const { shape, dtype } = rule.infer(inputs, attrs);
    return { op, inputs: [...inputs], attrs, shape: [...shape], dtype: dtype ?? inputs[0].dtype };
  };
}

/**
 * Enters an operation that is written as a graph of others, but has a gradient of its own (a shorter or steadier one).
 * Whatever both compute is computed once, since equal nodes are written once.
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

/** The rule of an operation. */
export function ruleOf(op: string): Rule {
  return rules.get(op) ?? fail(op, 'no such operation');
}

/** Names of all operations in the table, in the order of definition. */
export function opNames(): string[] {
  return [...rules.keys()];
}

/** Turns numbers into scalars of the type of the tensors beside them and checks that all types are equal. */
export function operands(op: string, values: readonly Operand[]): Tensor[] {
  const first = values.find((value): value is Tensor => typeof value !== 'number');
  if (!first) return fail(op, 'expected at least one tensor, got only numbers');
  const tensors = values.map((value) => (typeof value === 'number' ? scalar(value, first.dtype) : value));
  for (const tensor of tensors)
    if (tensor.dtype !== first.dtype)
      fail(op, `element types differ: ${tensors.map((t) => t.dtype + shapeText(t.shape)).join(' x ')}; cast one`);
  return tensors;
}

/** Checks that a tensor is of a floating-point type. */
export function checkFloat(op: string, x: Tensor): void {
  if (!isFloat(x.dtype)) fail(op, `expected a floating-point tensor, got ${x.dtype}${shapeText(x.shape)}`);
}

/** A valid, non-negative axis; negative ones count from the end. */
export function axisOf(op: string, axis: number, shape: readonly number[]): number {
  const positive = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= shape.length)
    fail(op, `axis ${axis} is not in ${shapeText(shape)}`);
  return positive;
}

/** Shape of an elementwise operation under NumPy's broadcasting. */
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
