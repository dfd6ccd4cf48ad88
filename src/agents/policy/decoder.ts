import {
  allocate,
  discard,
  sizeOf,
  toOnnx,
  writable,
  type Binding,
  type Parameters,
  type Runtime,
  type Session,
  type Tensor,
} from '../../graph/index.js';
import type { AutoUIConfig } from '../../models/autoui/config.js';
import { rowBucket } from '../../models/buckets.js';
import { decodeStep, encodeStates, layerShapes, pastPositions } from '../../models/autoui/step.js';

/** A state to decode from: token ids of its prompt and its image vector. */
export interface DecoderState {
  readonly ids: ArrayLike<number>;
  readonly image: Float32Array;
}

type Buffer = Float32Array | BigInt64Array;
type Buffers = Record<string, Buffer>;

/**
 * The buffers and compiled graphs behind sampling from Auto-UI: encodes a batch of states once, then advances rows
 * (prefixes) by one token a step (see models/autoui/step.ts). The caller decides which row holds which prefix
 * (prefix-tree.ts). Everything is allocated and bound once for each capacity, and reused by later batches.
 */
export class Decoder {
  private readonly sessions = new Map<string, Promise<Session>>();
  private current?: Workspace;

  /** The parameters are read in place at every step. @param positions most tokens of a sequence */
  constructor(
    private readonly runtime: Runtime,
    private readonly params: Parameters,
    private readonly config: AutoUIConfig,
    private readonly positions: number,
  ) {}

  /**
   * Starts a new batch: makes room for `rows` rows and encodes the states.
   * @param length padded prompt length, at least that of the longest prompt
   */
  async begin(states: readonly DecoderState[], length: number, rows: number): Promise<void> {
    const seats = sizeBucket(states.length);
    const room = { rows: sizeBucket(rows), states: seats, cells: seats * length };
    if (!this.current?.holds(room)) {
      const before = this.current?.room ?? room;
      await this.current?.close();
      this.current = new Workspace(
        this.config,
        {
          rows: Math.max(room.rows, before.rows),
          states: Math.max(room.states, before.states),
          cells: Math.max(room.cells, before.cells),
        },
        this.positions,
      );
    }
    const workspace = this.current;
    workspace.begin(states.length, length);
    const { ids, mask, image } = workspace.buffers as { ids: BigInt64Array; mask: Float32Array; image: Float32Array };
    ids.fill(BigInt(this.config.pad), 0, seats * length);
    mask.fill(0, 0, seats * length);
    states.forEach((state, s) => {
      for (let i = 0; i < state.ids.length; i++) ids[s * length + i] = BigInt(state.ids[i]);
      mask.fill(1, s * length, s * length + state.ids.length);
      image.set(state.image, s * this.config.image);
    });
    await (await this.encoder(seats)).run();
  }

  /** The token that each row reads in the next step. */
  get tokens(): BigInt64Array {
    return this.workspace.buffers.token as BigInt64Array;
  }

  /** Sets the state that a row belongs to. */
  assign(row: number, state: number): void {
    this.workspace.stateOf[row] = state;
  }

  /**
   * Advances rows [0, rows) by one token at `position` (0, 1, 2, ...) and stores its keys and values in the caches.
   * Afterwards `probabilities` and `logProbs` of these rows may be read.
   */
  async step(position: number, rows: number, temperature: number): Promise<void> {
    const { workspace } = this;
    const { buffers } = workspace;
    const bucket = sizeBucket(rows);
    workspace.makeRoom(position, rows);
    const { states, width } = workspace.seat(rows, bucket);
    pastPositions(
      this.config,
      position,
      workspace.positions,
      buffers.bucket as BigInt64Array,
      buffers.past as Float32Array,
    );
    buffers.inverseTemperature[0] = 1 / temperature;
    await (await this.stepper({ states, rows: bucket, width })).run();
    workspace.remember(position, rows);
  }

  /** The next token's tempered probabilities [vocabulary] at a row (a view, valid until the next step). */
  probabilities(row: number): Float32Array {
    return this.workspace.distribution('probabilities', row);
  }

  /** The next token's log-probabilities [vocabulary] at temperature 1 at a row (a view, valid until the next step). */
  logProbs(row: number): Float32Array {
    return this.workspace.distribution('logProbs', row);
  }

  /** Copies the prefix of row `from` to row `to`. */
  copyRow(from: number, to: number): void {
    this.workspace.copyCaches(from, to);
    this.tokens[to] = this.tokens[from];
  }

  async close(): Promise<void> {
    await this.current?.close();
    this.current = undefined;
    for (const session of this.sessions.values()) (await session).close();
    this.sessions.clear();
  }

  /** The buffers of the current batch. */
  private get workspace(): Workspace {
    if (!this.current) throw new Error('the decoder has no batch; call begin() first');
    return this.current;
  }

  private encoder(states: number): Promise<Binding> {
    const { length } = this.workspace;
    return this.bound(`encode ${states}×${length}`, () =>
      encodeStates(this.params.inputs(), this.config, states, length),
    );
  }

  private stepper({ states, rows, width }: { states: number; rows: number; width: number }): Promise<Binding> {
    const { length, positions } = this.workspace;
    return this.bound(`step ${states}×${length}, ${rows} of ${width}, ${positions}`, () =>
      decodeStep(this.params.inputs(), this.config, { states, length, rows, width, positions }),
    );
  }

  /**
   * The graph's session, bound to the leading parts of the current workspace's buffers that its shapes need. On a GPU the
   * parameters and the states' memories stay there from step to step; the caches, which are written here between steps, are
   * sent with each step.
   */
  private bound(key: string, build: () => Record<string, Tensor>): Promise<Binding> {
    const { workspace } = this;
    let binding = workspace.bindings.get(key);
    if (!binding) {
      const session = this.sessions.get(key) ?? this.runtime.session(toOnnx(build()));
      this.sessions.set(key, session);
      binding = session.then(async (opened) => {
        const buffers: Buffers = {};
        const parameters = this.params.arrays();
        for (const { name, shape } of [...opened.inputs, ...opened.outputs]) {
          const buffer = workspace.buffers[name];
          if (!buffer) this.runtime.resident(parameters[name]);
          else if (name.startsWith('memory')) this.runtime.resident(buffer, false);
          buffers[name] = buffer ? buffer.subarray(0, sizeOf(shape)) : parameters[name];
        }
        return opened.bind(buffers);
      });
      workspace.bindings.set(key, binding);
    }
    return binding;
  }
}

/** The caches grow by this many positions at a time. */
const GROWTH = 32;

/** A workspace's capacity: rows, states, and padded prompt positions of all states together. */
interface Room {
  readonly rows: number;
  readonly states: number;
  readonly cells: number;
}

/** A buffer of the states' memories: `width` floats for each position of each prompt. */
interface MemoryBuffer {
  readonly buffer: Float32Array;
  readonly width: number;
}

/** The buffers of one batch, with room for some rows and states; reused for prompts of any length that fit. */
class Workspace {
  readonly buffers: Buffers = {};
  readonly bindings = new Map<string, Promise<Binding>>();
  /** padded length of this batch's prompts */
  length = 0;
  /** positions in the caches' current layout */
  positions = GROWTH;
  /** how many of them are filled */
  private filled = 0;
  /** the state of each row */
  readonly stateOf: Int32Array;
  /** the place of each state's memory; -1 once it is freed */
  private placeOf = new Int32Array(0);
  private places = 0;
  private readonly caches: Float32Array[] = [];
  private readonly memories: MemoryBuffer[] = [];

  constructor(
    private readonly config: AutoUIConfig,
    readonly room: Room,
    mostPositions: number,
  ) {
    const { rows, states, cells } = room;
    const positions = Math.ceil(mostPositions / GROWTH) * GROWTH;
    this.stateOf = new Int32Array(rows);
    const floats = (name: string, count: number, width: number) => {
      const buffer = allocate('float32', [count, width]) as Float32Array;
      this.buffers[name] = buffer;
      return { buffer, width };
    };
    const ids = { ids: cells, token: rows, seat: rows, seated: states * seatBucket(rows), bucket: positions };
    for (const [name, count] of Object.entries(ids)) this.buffers[name] = allocate('int64', [count]) as BigInt64Array;
    floats('past', positions, 1);
    floats('inverseTemperature', 1, 1);
    floats('image', states, config.image);
    floats('logProbs', rows, config.vocabulary);
    floats('probabilities', rows, config.vocabulary);
    this.memories.push(floats('mask', cells, 1));
    for (let layer = 0; layer < config.decoderLayers; layer++) {
      // room for all positions: the operating system commits only memory that is touched
      const shapes = layerShapes(config, { states: cells, length: 1, rows, width: 1, positions }, layer);
      for (const [name, [count, ...rest]] of Object.entries(shapes)) {
        const made = floats(name, count, sizeOf(rest));
        if (name.startsWith('memory')) this.memories.push(made);
        if (name.startsWith('cache')) this.caches.push(made.buffer);
      }
    }
  }

  holds({ rows, states, cells }: Room): boolean {
    return rows <= this.room.rows && states <= this.room.states && cells <= this.room.cells;
  }

  /** Resets the layout for a new batch. */
  begin(states: number, length: number): void {
    this.length = length;
    this.positions = GROWTH;
    this.filled = 0;
    this.places = states;
    this.placeOf = Int32Array.from({ length: states }, (_, state) => state);
  }

  /** Widens the layout of the first `rows` rows' caches if `position` is beyond it. */
  makeRoom(position: number, rows: number): void {
    if (position < this.positions) return;
    const { headWidth, heads } = this.config;
    const [before, after] = [this.positions, this.positions + GROWTH];
    for (const buffer of this.caches) {
      // from the last run backwards, since runs move right over each other
      for (let run = rows * heads - 1; run > 0; run--) {
        const from = run * before * headWidth;
        buffer.copyWithin(run * after * headWidth, from, from + before * headWidth);
      }
    }
    this.positions = after;
  }

  /**
   * Seats the rows with their states. First frees the memories of states without rows if that makes the batch smaller.
   * Empty seats read row 0, and nothing reads them.
   */
  seat(rows: number, bucket: number): { states: number; width: number } {
    const count = new Int32Array(this.placeOf.length);
    for (let row = 0; row < rows; row++) count[this.stateOf[row]]++;
    this.freeMemories(count);
    const states = sizeBucket(this.places);
    const width = seatBucket(count.reduce((most, n) => Math.max(most, n), 0));
    const { seat, seated } = this.buffers as { seat: BigInt64Array; seated: BigInt64Array };
    seated.fill(0n, 0, states * width);
    count.fill(0);
    for (let row = 0; row < bucket; row++) {
      const state = this.stateOf[row];
      const at = row < rows ? this.placeOf[state] * width + count[state]++ : 0;
      seat[row] = BigInt(at);
      if (row < rows) seated[at] = BigInt(row);
    }
    return { states, width };
  }

  private freeMemories(count: Int32Array): void {
    const living = count.reduce((n, rows) => n + (rows > 0 ? 1 : 0), 0);
    if (sizeBucket(living) >= sizeBucket(this.places)) return;
    const order = [...this.placeOf.keys()].filter((state) => this.placeOf[state] >= 0);
    order.sort((a, b) => this.placeOf[a] - this.placeOf[b]);
    this.places = 0;
    for (const state of order) {
      const from = this.placeOf[state];
      this.placeOf[state] = count[state] > 0 ? this.places++ : -1;
      const to = this.placeOf[state];
      if (to < 0 || to === from) continue;
      for (const { buffer, width } of this.memories) {
        const size = width * this.length;
        writable(buffer).copyWithin(to * size, from * size, (from + 1) * size);
      }
    }
  }

  /** Writes the last step's keys and values of the first `rows` rows into their caches. */
  remember(position: number, rows: number): void {
    const { headWidth, heads, decoderLayers } = this.config;
    const { positions } = this;
    for (let layer = 0; layer < decoderLayers; layer++) {
      for (const part of ['k', 'v']) {
        const made = this.buffers[`new.${layer}.${part}`];
        const cache = this.buffers[`cache.${layer}.${part}`];
        for (let run = 0; run < rows * heads; run++) {
          const to = (run * positions + position) * headWidth;
          for (let i = 0; i < headWidth; i++) cache[to + i] = made[run * headWidth + i];
        }
      }
    }
    this.filled = position + 1;
  }

  distribution(name: 'probabilities' | 'logProbs', row: number): Float32Array {
    const { vocabulary } = this.config;
    return (this.buffers[name] as Float32Array).subarray(row * vocabulary, (row + 1) * vocabulary);
  }

  copyCaches(from: number, to: number): void {
    const { headWidth, heads } = this.config;
    const run = this.positions * headWidth;
    for (const buffer of this.caches) {
      for (let head = 0; head < heads; head++) {
        const start = (from * heads + head) * run;
        buffer.copyWithin((to * heads + head) * run, start, start + this.filled * headWidth);
      }
    }
  }

  async close(): Promise<void> {
    for (const binding of this.bindings.values()) (await binding).close();
    this.bindings.clear();
    for (const { buffer } of this.memories) discard(buffer);
  }
}

/** Graphs are compiled for 2, 3, 4, 6, 8, 12, 16, 24, ... rows and states, so that at most a third is padding. */
function sizeBucket(count: number): number {
  const power = rowBucket(count);
  return count <= (power / 4) * 3 && power >= 4 ? (power / 4) * 3 : power;
}

/** Seats of a state: 2, 8, 16, 32, 64, ...; an empty seat costs next to nothing, a further graph does not. */
function seatBucket(rows: number): number {
  return rows <= 2 ? 2 : Math.max(8, rowBucket(rows));
}
