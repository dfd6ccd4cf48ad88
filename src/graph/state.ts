import { Bound } from './forward.js';
import { add, mul, sqrt, square } from './ops/elementwise.js';
import { reshape, sum } from './ops/broadcast.js';
import { scan } from './ops/scan.js';
import { Optimizer, Plan, descend } from './optimizer.js';
import type { Parameters } from './parameters.js';
import { addInto, discard } from './residence.js';
import type { Runtime } from './runtime.js';
import { Tensor, TypedArray, allocate, fail, input, sizeOf } from './tensor.js';

/**
 * Floats per array that one step of the scan works on (1 MiB). The optimizer is memory-bound: blocks that stay in the
 * cache between its dozen operations halve its time on the CPU.
 */
const BLOCK = 2 ** 18;
/**
 * On a device there is no such cache, and a loop costs more than it saves. There the optimizer uses plain operations on
 * parts of up to 64 MiB per array, which bounds the temporary memory.
 */
const DEVICE_PART = 2 ** 24;

/** Adjacent parameters with the same transforms, treated as one long vector. */
interface Run {
  readonly names: string[];
  /** which of the optimizer's transforms apply: a 0 or 1 for each */
  readonly transforms: string;
  readonly arena: Float32Array;
  readonly start: number;
  end: number;
}

/** A part of a run in graph B: `rows` blocks in a scan, or a single row without a scan. */
interface Piece {
  readonly run: number;
  readonly offset: number;
  readonly rows: number;
  readonly width: number;
}

/**
 * Σ g², summed in short rows first, because adding millions of float32 values to one total loses digits. ReduceSumSquare
 * is slower and, over all elements at once, off by 0.2 % for 26 million.
 */
function squaredNorm(g: Tensor): Tensor {
  const rows = (part: Tensor) => {
    const width = part.shape[0];
    return sum(reshape(square(part), [-1, Math.min(256, width & -width)]), -1); // the largest power of 2 in the width
  };
  return sum(g.shape.length === 1 ? rows(g) : sum(scan([g], [], ([part]) => [sum(rows(part))])[0], -1));
}

/** Gradients and optimizer state of the trained parameters, and graph B, which updates all of them in place. */
export class OptimizerState {
  step = 0;
  private readonly runs: Run[] = [];
  /** for each lane, the vectors of all runs; graph B reads those of the first lane */
  private readonly gradients: Float32Array[][];
  private readonly slots: Readonly<Record<string, Float32Array[]>>;
  private readonly places = new Map<string, { run: number; offset: number }>();
  private bound?: Promise<Bound>;

  constructor(
    private readonly runtime: Runtime,
    private readonly params: Parameters,
    readonly names: readonly string[],
    private readonly optimizer: Optimizer,
    lanes = 1,
    /** floats per block or part */
    private readonly blockSize = runtime.device === 'cpu' ? BLOCK : DEVICE_PART,
  ) {
    for (const name of names) {
      const { arena, start, end } = params.place(name);
      const transforms = optimizer.map(({ only }) => (only?.(name) === false ? 0 : 1)).join('');
      const last = this.runs.at(-1);
      if (last && last.arena === arena && last.end === start && last.transforms === transforms) {
        last.names.push(name);
        last.end = end;
      } else this.runs.push({ names: [name], transforms, arena, start, end });
      this.places.set(name, { run: this.runs.length - 1, offset: start - this.runs.at(-1)!.start });
    }
    const vectors = () => this.runs.map(({ start, end }) => allocate('float32', [end - start]) as Float32Array);
    this.gradients = Array.from({ length: lanes }, vectors);
    this.slots = Object.fromEntries(optimizer.flatMap(({ slots }) => slots).map((slot) => [slot, vectors()]));
    for (const vector of this.vectors()) runtime.resident(vector, false);
  }

  private vectors(): Float32Array[] {
    return [...this.gradients, ...Object.values(this.slots)].flat();
  }

  private part(vectors: readonly Float32Array[], name: string): Float32Array {
    const { run, offset } = this.places.get(name) ?? fail('gradient', `${name} is not a trained parameter`);
    return vectors[run].subarray(offset, offset + sizeOf(this.params.get(name).shape));
  }

  /** The array of the gradient that a lane has accumulated for a parameter. The values may be on a device. */
  gradient(name: string, lane = 0): Float32Array {
    return this.part(this.gradients[lane], name);
  }

  /** Adds the gradients of another lane to those of the first. */
  fold(lane: number): void {
    this.gradients[lane].forEach((from, run) => addInto(this.gradients[0][run], from));
  }

  /** All arrays needed to resume, by their names in the file. As with `gradient`, the values may be on a device. */
  arrays(withGradients: boolean): Map<string, { shape: readonly number[]; data: Float32Array }> {
    const kept = Object.entries(this.slots);
    if (withGradients) kept.push(['gradient', this.gradients[0]]);
    return new Map(
      kept.flatMap(([slot, vectors]) =>
        this.names.map((name) => [
          `${slot}.${name}`,
          { shape: this.params.get(name).shape, data: this.part(vectors, name) },
        ]),
      ),
    );
  }

  /** One optimizer step; returns the norm of the averaged gradient. */
  async apply(lr: number, accumulated: number): Promise<number> {
    this.bound ??= this.open();
    const bound = await this.bound;
    const count = this.step + 1;
    const numbers: Record<string, number> = { average: 1 / accumulated };
    for (const { scalars } of this.optimizer) Object.assign(numbers, scalars?.({ count, lr }));
    const feeds = Object.fromEntries(bound.feedNames.map((name) => [name, Float32Array.of(numbers[name])]));
    const { gradNorm } = await bound.run('apply', feeds);
    this.step = count;
    return (gradNorm as Float32Array)[0];
  }

  private pieces(): Piece[] {
    const { blockSize } = this;
    const scanned = this.runtime.device === 'cpu';
    return this.runs.flatMap(({ start, end }, run) => {
      const length = end - start;
      const rows = Math.floor(length / blockSize);
      const rest = length - rows * blockSize;
      const pieces: Piece[] = [];
      if (rows > 0 && scanned) pieces.push({ run, offset: 0, rows, width: blockSize });
      else for (let i = 0; i < rows; i++) pieces.push({ run, offset: i * blockSize, rows: 1, width: blockSize });
      if (rest > 0) pieces.push({ run, offset: rows * blockSize, rows: 1, width: rest });
      return pieces;
    });
  }

  /** Builds graph B. Views of the parameters, gradients and slots are bound both as its inputs and as its outputs. */
  private open(): Promise<Bound> {
    const pieces = this.pieces();
    const shared: Record<string, TypedArray> = {};
    const bind = (what: string, vector: Float32Array, { rows, width, offset }: Piece, from = 0) => {
      const view = vector.subarray(from + offset, from + offset + rows * width);
      shared[what] = shared[`new ${what}`] = view;
      return input(what, rows === 1 ? [width] : [rows, width]);
    };
    const gradients = pieces.map((piece, i) => bind(`gradient ${i}`, this.gradients[0][piece.run], piece));
    const average = input('average', []);
    const gradNorm = mul(sqrt(gradients.map(squaredNorm).reduce(add)), average);
    const outputs: Record<string, Tensor> = { gradNorm };
    pieces.forEach((piece, i) => {
      const { transforms, arena, start } = this.runs[piece.run];
      const parameter = bind(`parameter ${i}`, arena, piece, start);
      const slots = Object.entries(this.slots).map(([slot, vectors]): [string, Tensor] => [
        slot,
        bind(`${slot} ${i}`, vectors[piece.run], piece),
      ]);
      const { plans, factor } = this.plan(transforms, average, gradNorm);
      const names = slots.map(([slot]) => slot);
      const body = ([p, g, ...values]: readonly Tensor[]) => {
        const own: Record<string, Tensor> = Object.fromEntries(values.map((value, k) => [names[k], value]));
        let value = g;
        for (const { block } of plans) {
          if (!block) continue;
          const update = block(value, p, own);
          value = update.value;
          Object.assign(own, update.slots);
        }
        return [descend(p, value, factor), ...names.map((name) => own[name])];
      };
      const inputs = [parameter, gradients[i], ...slots.map(([, slot]) => slot)];
      const around = [factor, ...plans.flatMap(({ uses = [] }) => uses)];
      const results = piece.rows === 1 ? body(inputs) : scan(inputs, around, body);
      [`parameter ${i}`, ...names.map((name) => `${name} ${i}`)].forEach((name, k) => {
        outputs[`new ${name}`] = results[k];
      });
    });
    return Bound.open(this.runtime, outputs, shared);
  }

  private plan(transforms: string, average: Tensor, gradNorm: Tensor): { plans: Plan[]; factor: Tensor } {
    const plans: Plan[] = [];
    let factor = average;
    this.optimizer.forEach((transform, i) => {
      if (transforms[i] === '0') return;
      const names = Object.keys(transform.scalars?.({ count: 1, lr: 0 }) ?? {});
      const scalars = Object.fromEntries(names.map((name) => [name, input(name, [])]));
      const plan = transform.plan({ factor, gradNorm, scalars });
      factor = plan.factor;
      plans.push(plan);
    });
    return { plans, factor };
  }

  close(): void {
    this.bound?.then(
      (bound) => bound.close(),
      () => undefined,
    );
    for (const vector of this.vectors()) discard(vector);
  }
}
