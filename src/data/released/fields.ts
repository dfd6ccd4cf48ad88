import { EncodedBytes, NumpyArray, product } from '../formats/torch-globals.js';
import { Tuple } from '../formats/pickle.js';
import type { TorchFile } from '../formats/torch.js';

/** A step's dict, whose errors name the trajectory, the step and the field. */
export class Fields {
  constructor(
    private readonly file: TorchFile,
    private readonly fields: ReadonlyMap<unknown, unknown>,
    private readonly where: string,
  ) {}

  /** Whether a field exists and is not None. */
  has(name: string): boolean {
    return (this.fields.get(name) ?? null) !== null;
  }

  text(name: string): string {
    const text = this.file.text(this.required(name));
    if (text === undefined) throw this.fault(`${name}: expected a text, got ${kind(this.fields.get(name))}`);
    return text;
  }

  number(name: string): number {
    const read = this.file.numbers(this.required(name));
    if (read?.values.length !== 1) throw this.fault(`${name}: expected a number, got ${kind(this.fields.get(name))}`);
    if (!Number.isFinite(read.values[0])) throw this.fault(`${name}: expected a finite number, got ${read.values[0]}`);
    return read.values[0];
  }

  /** A text or a number, as a text. */
  id(name: string): string {
    return this.file.text(this.required(name)) ?? String(this.number(name));
  }

  /** The field's numbers as float32, in row-major order. */
  vector(name: string): Float32Array {
    const read = this.file.numbers(this.required(name));
    if (!read || product(read.shape) === 0) throw this.fault(`${name}: expected numbers, got ${kind(this.fields.get(name))}`);
    return read.values instanceof Float32Array ? read.values : Float32Array.from(read.values);
  }

  /** `action_list`: texts joined by `<split>`, or a list, tuple or array of texts; none if the field is missing. */
  actions(): string[] {
    if (!this.has('action_list')) return [];
    const list = this.fields.get('action_list');
    const texts = this.file.texts(list);
    if (texts) return texts;
    if (!Array.isArray(list)) return this.text('action_list').split('<split>');
    const wrong = list.findIndex((item) => this.file.text(item) === undefined);
    throw this.fault(`action_list, entry ${wrong}: expected a text, got ${kind(list[wrong])}`);
  }

  fault(what: string) {
    return this.file.fault(`${this.where}: ${what}`);
  }

  private required(name: string): unknown {
    if (this.has(name)) return this.fields.get(name);
    const names = [...this.fields.keys()].filter((key) => typeof key === 'string').join(', ');
    throw this.fault(`expected a field ${name}, got ${this.fields.has(name) ? 'None' : `only ${names.slice(0, 300)}`}`);
  }
}

/** What a value is, in the words of Python. */
export function kind(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Tuple) return `a tuple of ${value.items.length}`;
  if (value instanceof NumpyArray) return `a numpy array of ${value.type.code} with shape [${value.shape}]`;
  if (value instanceof EncodedBytes) return 'bytes';
  if (value instanceof Map) return 'a dict';
  if (typeof value === 'object' && value !== null) return `a ${value.constructor.name}`;
  return value === null ? 'None' : typeof value;
}
