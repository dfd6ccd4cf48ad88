import protobuf from 'protobufjs/minimal.js';
import { RunError } from '../errors.js';
import { Emitter, ruleOf } from './rule.js';
import {
  Attr,
  Attrs,
  DType,
  STORAGE,
  ScanBody,
  Tensor,
  TypedArray,
  fromNumbers,
  sameShape,
  shapeText,
} from './tensor.js';

/** An input or output of a model. */
export interface Spec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** A serialized ONNX model with its inputs and outputs. */
export interface OnnxModel {
  readonly bytes: Uint8Array;
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
}

/** ONNX operator set and file format (IR) version written here; see onnx.proto3. */
export const OPSET = 18;
export const IR_VERSION = 9;

/** Limit of a protobuf message: 2 GiB. Larger values must be graph inputs. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

type Writer = protobuf.Writer;

/** field number and wire type, as protobuf writes them: 0 varint, 2 bytes, 5 32-bit */
const tag = (field: number, wire: 0 | 2 | 5) => ((field << 3) | wire) >>> 0;

function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9 (little endian, as all platforms of Node are). */
function writeTensor(w: Writer, name: string, dtype: DType, shape: readonly number[], data: TypedArray): void {
  for (const size of shape) w.uint32(tag(1, 0)).int64(size);
  w.uint32(tag(2, 0)).int32(STORAGE[dtype].onnx);
  w.uint32(tag(8, 2)).string(name);
  w.uint32(tag(9, 2)).bytes(bytesOf(data));
}

/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 } } } }; Infinity is any size */
function writeValueInfo(w: Writer, { name, shape, dtype }: Spec): void {
  w.uint32(tag(1, 2)).string(name);
  w.uint32(tag(2, 2)).fork().uint32(tag(1, 2)).fork();
  w.uint32(tag(1, 0)).int32(STORAGE[dtype].onnx);
  w.uint32(tag(2, 2)).fork();
  for (const size of shape) {
    w.uint32(tag(1, 2)).fork();
    if (Number.isFinite(size)) w.uint32(tag(1, 0)).int64(size);
    w.ldelim();
  }
  w.ldelim().ldelim().ldelim();
}

/** AttributeProto: name 1, f 2, i 3, s 4, g 6, floats 7, ints 8, type 20 (FLOAT 1, INT 2, STRING 3, GRAPH 5, INTS 7) */
const FLOAT_ATTRS = new Set(['alpha', 'beta', 'epsilon']);

function writeAttr(w: Writer, name: string, value: Attr | GraphBody): void {
  w.uint32(tag(1, 2)).string(name);
  if (value instanceof GraphBody) {
    w.uint32(tag(6, 2)).fork();
    value.write(w);
    w.ldelim().uint32(tag(20, 0)).int32(5);
  } else if (typeof value === 'string') {
    w.uint32(tag(4, 2)).string(value).uint32(tag(20, 0)).int32(3);
  } else if (typeof value === 'number' && FLOAT_ATTRS.has(name)) {
    w.uint32(tag(2, 5)).float(value).uint32(tag(20, 0)).int32(1);
  } else if (typeof value === 'number') {
    w.uint32(tag(3, 0)).int64(value).uint32(tag(20, 0)).int32(2);
  } else if (Array.isArray(value)) {
    for (const item of value as number[]) w.uint32(tag(8, 0)).int64(item);
    w.uint32(tag(20, 0)).int32(7);
  } else throw new RunError(`onnx: attribute ${name} has a type that can't be written`);
}

interface Node {
  type: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attrs: Readonly<Record<string, Attr | GraphBody>>;
}

/** NodeProto: input 1, output 2, op_type 4, attribute 5 */
function writeNode(w: Writer, { type, inputs, outputs, attrs }: Node, final: (name: string) => string): void {
  for (const name of inputs) w.uint32(tag(1, 2)).string(final(name));
  for (const name of outputs) w.uint32(tag(2, 2)).string(final(name));
  w.uint32(tag(4, 2)).string(type);
  for (const [name, value] of Object.entries(attrs)) {
    w.uint32(tag(5, 2)).fork();
    writeAttr(w, name, value);
    w.ldelim();
  }
}

/** A graph being written: the model's main graph, or the body of a Scan, which sees the names of the graph around it. */
class GraphBody implements Emitter {
  private readonly nodes: Node[] = [];
  private readonly initializers: { name: string; dtype: DType; shape: readonly number[]; data: TypedArray }[] = [];
  private readonly names = new Map<Tensor, string>();
  /** names of the nodes written so far, by content: terms that a gradient shares with the forward pass cost nothing */
  private readonly known = new Map<string, string>();
  /** names of the results of this graph's nodes */
  private readonly made = new Set<string>();
  /** output names of results that are graph outputs, by their original names */
  private readonly renamed = new Map<string, string>();
  readonly inputs: Spec[] = [];
  readonly outputs: Spec[] = [];

  constructor(
    private readonly prefix: string,
    private readonly outer?: GraphBody,
  ) {}

  node(type: string, inputs: readonly string[], attrs: Attrs = {}, outputs = 1): string {
    const key = JSON.stringify([type, inputs, attrs, outputs]);
    const found = this.known.get(key);
    if (found !== undefined) return found;
    const name = `${this.prefix}${this.known.size}`;
    this.known.set(key, name);
    const names = Array.from({ length: outputs }, (_, i) => (i === 0 ? name : `${name}:${i}`));
    this.nodes.push({ type, inputs, outputs: names, attrs });
    for (const made of names) this.made.add(made);
    return name;
  }

  ints(values: readonly number[]): string {
    return this.initializer(
      BigInt64Array.from(values, (value) => BigInt(value)),
      [values.length],
      'int64',
    );
  }

  scalar(value: number, dtype: DType): string {
    return this.initializer(fromNumbers([value], dtype), [], dtype);
  }

  private initializer(data: TypedArray, shape: readonly number[], dtype: DType): string {
    // Small constants are compared by content, large ones by identity, through the tensor's entry in `names`.
    const key = data.length <= 16 ? `constant ${dtype}${shapeText(shape)}${bytesOf(data).join()}` : undefined;
    const found = key === undefined ? undefined : this.known.get(key);
    if (found !== undefined) return found;
    const name = `${this.prefix}${this.known.size}`;
    this.known.set(key ?? `constant ${name}`, name);
    this.initializers.push({ name, dtype, shape, data });
    return name;
  }

  lower(tensor: Tensor): string {
    return this.emit(tensor);
  }

  get constantBytes(): number {
    return this.initializers.reduce((bytes, { data }) => bytes + data.byteLength, 0);
  }

  scan(node: Tensor, inputs: readonly string[]): string {
    const { slices, results } = node.attrs.body as ScanBody;
    const name = `${this.prefix}${this.known.size}`;
    this.known.set(`scan ${name}`, name);
    const body = new GraphBody(`${name}/`, this);
    slices.forEach((slice, i) => {
      body.names.set(slice, `${name}/in${i}`);
      body.inputs.push({ name: `${name}/in${i}`, shape: slice.shape, dtype: slice.dtype });
    });
    results.forEach((result, i) => body.output(`${name}/out${i}`, result));
    const outputs = results.map((_, i) => (i === 0 ? name : `${name}:${i}`));
    const attrs = { body, num_scan_inputs: slices.length };
    this.nodes.push({ type: 'Scan', inputs: inputs.slice(0, slices.length), outputs, attrs });
    for (const made of outputs) this.made.add(made);
    return name;
  }

  private lookup(tensor: Tensor): string | undefined {
    return this.names.get(tensor) ?? this.outer?.lookup(tensor);
  }

  /** Writes a tensor after its inputs. Not recursive, because a graph can be deeper than the call stack. */
  emit(root: Tensor): string {
    const pending: Tensor[] = [root];
    while (pending.length > 0) {
      const tensor = pending[pending.length - 1];
      const missing = this.lookup(tensor) === undefined ? tensor.inputs.filter((x) => !this.lookup(x)) : [];
      if (missing.length > 0) {
        for (let i = missing.length - 1; i >= 0; i--) pending.push(missing[i]);
        continue;
      }
      pending.pop();
      if (this.lookup(tensor) === undefined) this.names.set(tensor, this.translate(tensor));
    }
    return this.lookup(root)!;
  }

  private translate(tensor: Tensor): string {
    if (tensor.op === 'input') return this.input(tensor);
    if (tensor.op === 'constant') return this.initializer(tensor.attrs.data as TypedArray, tensor.shape, tensor.dtype);
    const names = tensor.inputs.map((x) => this.lookup(x)!);
    return ruleOf(tensor.op).emit(this, names, tensor);
  }

  private input(tensor: Tensor): string {
    const { name, shape, dtype } = tensor as Tensor & { name: string };
    if (this.outer)
      throw new RunError(`scan: the body uses input ${name} of the graph around it; pass it in \`around\``);
    const other = this.inputs.find((spec) => spec.name === name);
    if (!other) this.inputs.push({ name, shape, dtype });
    else if (!sameShape(other.shape, shape) || other.dtype !== dtype)
      throw new RunError(
        `input ${name}: declared both as ${other.dtype}${shapeText(other.shape)} and as ${dtype}${shapeText(shape)}`,
      );
    return name;
  }

  /** Declares an output. The result of its node is renamed where possible, which saves a copy. */
  output(name: string, tensor: Tensor): void {
    const made = this.emit(tensor);
    if (this.made.has(made) && !this.renamed.has(made)) this.renamed.set(made, name);
    else this.nodes.push({ type: 'Identity', inputs: [made], outputs: [name], attrs: {} });
    this.outputs.push({ name, shape: tensor.shape, dtype: tensor.dtype });
  }

  private final(name: string): string {
    return this.renamed.get(name) ?? this.outer?.final(name) ?? name;
  }

  /** GraphProto: node 1, name 2, initializer 5, input 11, output 12 */
  write(w: Writer): void {
    for (const node of this.nodes) {
      w.uint32(tag(1, 2)).fork();
      writeNode(w, node, (name) => this.final(name));
      w.ldelim();
    }
    w.uint32(tag(2, 2)).string('critiq');
    for (const { name, dtype, shape, data } of this.initializers) {
      w.uint32(tag(5, 2)).fork();
      writeTensor(w, name, dtype, shape, data);
      w.ldelim();
    }
    for (const [field, specs] of [
      [11, this.inputs],
      [12, this.outputs],
    ] as const)
      for (const spec of specs) {
        w.uint32(tag(field, 2)).fork();
        writeValueInfo(w, spec);
        w.ldelim();
      }
  }
}

/**
 * Encodes the graph of the outputs as an ONNX model (onnx.proto3; opset 18, IR 9). The same tensors give the same bytes.
 * Equal nodes are written once.
 * @param outputs the model's outputs by name
 * @throws RunError if two inputs have the same name but different shapes or types, or the constants exceed 2 GiB
 */
export function toOnnx(outputs: Readonly<Record<string, Tensor>>): OnnxModel {
  const graph = new GraphBody('%');
  for (const [name, tensor] of Object.entries(outputs)) graph.output(name, tensor);
  for (const { name } of graph.inputs)
    if (name in outputs) throw new RunError(`output ${name}: an input has the same name`);
  if (graph.constantBytes > MAX_MODEL_BYTES)
    throw new RunError(
      `onnx: the constants have ${graph.constantBytes} bytes, expected at most ${MAX_MODEL_BYTES}; make the large ones inputs`,
    );
  const w = protobuf.Writer.create();
  // ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8 { version 2 }
  w.uint32(tag(1, 0)).int64(IR_VERSION).uint32(tag(2, 2)).string('critiq');
  w.uint32(tag(7, 2)).fork();
  graph.write(w);
  w.ldelim();
  w.uint32(tag(8, 2)).fork().uint32(tag(2, 0)).int64(OPSET).ldelim();
  return { bytes: w.finish(), inputs: graph.inputs, outputs: graph.outputs };
}
