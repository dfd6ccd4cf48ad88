import {
  allocate,
  sizeOf,
  toOnnx,
  type Binding,
  type Parameters,
  type Runtime,
  type Session,
  type Tensor,
} from '../graph/index.js';
import type { AutoUIConfig } from '../models/autoui-config.js';
import { rowBucket } from '../models/buckets.js';
import { decodeStep, encodeStates, layerShapes, pastPositions, type StepShape } from '../models/autoui-step.js';

/** A state to decode from: token ids of its prompt and its image vector. */
export interface DecoderState {
  readonly ids: ArrayLike<number>;
  readonly image: Float32Array;
}

type Buffer = Float32Array | BigInt64Array;
type Buffers = Record<string, Buffer>;

/**
 * The buffers and compiled graphs behind sampling from Auto-UI: encodes a batch of states once, then advances rows
 * (prefixes) by one token a step. Rows lie in blocks of `group` rows of one state (see models/autoui-step.ts); which
 * row holds which prefix is the caller's business (prefix-tree.ts). Everything is allocated and bound once for each
 * capacity and bucket, and reused by later batches.
 */
export class Decoder {
  private readonly sessions = new Map<string, Promise<Session>>();
  private readonly workspaces = new Map<string, Workspace>();
  private current!: Workspace;

  /** The parameters are read in place at every step. */
  constructor(
    private readonly runtime: Runtime,
    private readonly params: Parameters,
    private readonly config: AutoUIConfig,
  ) {}

  /**
   * Take a new batch: make room for `rows` rows and encode the states.
   * @param length padded prompt length, at least the longest prompt's @param group rows in a block
   */
  async begin(states: readonly DecoderState[], length: number, group: number, rows: number): Promise<void> {
    const blocks = Math.ceil(rows / group);
    const key = `${length}/${group}`;
    let workspace = this.workspaces.get(key);
    if (!workspace || workspace.blocks < blocks) {
      await workspace?.close();
      workspace = new Workspace(this.config, length, group, blockBucket(blocks));
      this.workspaces.set(key, workspace);
    }
    this.current = workspace;
    workspace.useCaches(FIRST_POSITIONS, 0, 0);
    const { ids, mask, image } = workspace.buffers as { ids: BigInt64Array; mask: Float32Array; image: Float32Array };
    const bucket = Math.min(blockBucket(states.length), workspace.blocks);
    ids.fill(BigInt(this.config.pad), 0, bucket * length);
    mask.fill(0, 0, bucket * length);
    states.forEach((state, s) => {
      for (let i = 0; i < state.ids.length; i++) ids[s * length + i] = BigInt(state.ids[i]);
      mask.fill(1, s * length, s * length + state.ids.length);
      image.set(state.image, s * this.config.image);
    });
    await (await this.encoder(bucket)).run();
  }

  /** Token that each row reads in the next step. Rows that hold nothing may read anything. */
  get tokens(): BigInt64Array {
    return this.current.buffers.token as BigInt64Array;
  }

  /** Say which state a block belongs to. With group 1 that cannot be chosen: see `moveBlock`. */
  assign(block: number, state: number): void {
    if (this.current.group > 1) this.current.buffers.state[block] = BigInt(state);
  }

  /**
   * Advance the first `blocks` blocks by one token at `position` (0, 1, 2, ...), then remember its keys and values in the
   * caches, which grow as needed. Afterwards `probabilities` and `logProbs` of these rows may be read.
   */
  async step(position: number, blocks: number, temperature: number): Promise<void> {
    const { buffers, positions, group } = this.current;
    if (position === positions) this.current.useCaches(2 * positions, position, blocks * group);
    pastPositions(this.config, position, buffers.bucket as BigInt64Array, buffers.past as Float32Array);
    buffers.inverseTemperature[0] = 1 / temperature;
    await (await this.stepper(Math.min(blockBucket(blocks), this.current.blocks))).run();
    this.current.remember(position, blocks * group);
  }

  /** The next token's tempered probabilities [vocabulary] at a row (a view, valid until the next step). */
  probabilities(row: number): Float32Array {
    return this.current.distribution('probabilities', row);
  }

  /** The next token's log-probabilities [vocabulary] at temperature 1 at a row (a view, valid until the next step). */
  logProbs(row: number): Float32Array {
    return this.current.distribution('logProbs', row);
  }

  /** Give row `to` the same prefix as row `from`. */
  copyRow(from: number, to: number): void {
    this.current.copyCaches(from, to);
    this.tokens[to] = this.tokens[from];
  }

  /** Move a whole block, its state included, over another one. */
  moveBlock(from: number, to: number): void {
    const { group, buffers } = this.current;
    for (let i = 0; i < group; i++) this.copyRow(from * group + i, to * group + i);
    if (group > 1) buffers.state[to] = buffers.state[from];
    else this.current.copyState(from, to);
  }

  async close(): Promise<void> {
    for (const workspace of this.workspaces.values()) await workspace.close();
    this.workspaces.clear();
    for (const session of this.sessions.values()) (await session).close();
    this.sessions.clear();
  }

  private encoder(states: number): Promise<Binding> {
    const { length } = this.current;
    return this.bound(`encode ${states}×${length}`, () =>
      encodeStates(this.params.inputs(), this.config, states, length),
    );
  }

  private stepper(blocks: number): Promise<Binding> {
    const { length, group, positions } = this.current;
    const states = group > 1 ? this.current.blocks : blocks;
    const shape: StepShape = { states, length, blocks, group, positions };
    return this.bound(`step ${states}×${length}, ${blocks}×${group}×${positions}`, () =>
      decodeStep(this.params.inputs(), this.config, shape),
    );
  }

  /** The graph's session, bound to the leading part of each of the current workspace's buffers that its shapes need. */
  private bound(key: string, build: () => Record<string, Tensor>): Promise<Binding> {
    const workspace = this.current;
    let binding = workspace.bindings.get(key);
    if (!binding) {
      const session = this.sessions.get(key) ?? this.runtime.session(toOnnx(build()));
      this.sessions.set(key, session);
      binding = session.then(async (opened) => {
        const buffers: Buffers = {};
        for (const { name, shape } of [...opened.inputs, ...opened.outputs]) {
          const buffer = workspace.buffers[name];
          const size = sizeOf(shape);
          buffers[name] = buffer ? buffer.subarray(0, size) : this.params.get(name).data;
        }
        return opened.bind(buffers);
      });
      workspace.bindings.set(key, binding);
    }
    return binding;
  }
}

/** Positions that caches have room for at first; doubled when a sequence gets there. */
const FIRST_POSITIONS = 32;

interface RowBuffer {
  readonly buffer: Float32Array;
  /** floats a row (or state) */
  readonly size: number;
}

/** What depends on the number of positions: every layer's keys and values, and the inputs that say which to see. */
interface Caches {
  readonly layers: Record<string, RowBuffer>;
  readonly bucket: BigInt64Array;
  readonly past: Float32Array;
}

/** The buffers of one prompt length and block size, with room for `blocks` blocks and as many states. */
class Workspace {
  readonly buffers: Buffers = {};
  readonly bindings = new Map<string, Promise<Binding>>();
  /** positions of the caches in use */
  positions = 0;
  private readonly caches = new Map<number, Caches>();
  private readonly memories: RowBuffer[] = [];

  constructor(
    private readonly config: AutoUIConfig,
    readonly length: number,
    readonly group: number,
    readonly blocks: number,
  ) {
    const rows = blocks * group;
    const floats = (name: string, count: number, size: number) => {
      const buffer = allocate('float32', [count, size]) as Float32Array;
      this.buffers[name] = buffer;
      return { buffer, size };
    };
    for (const [name, count] of Object.entries({ ids: blocks * length, token: rows, state: blocks })) {
      this.buffers[name] = allocate('int64', [count]) as BigInt64Array;
    }
    floats('inverseTemperature', 1, 1);
    floats('image', blocks, config.image);
    floats('logProbs', rows, config.vocabulary);
    floats('probabilities', rows, config.vocabulary);
    this.memories.push(floats('mask', blocks, length));
    for (const [name, [count, ...rest]] of this.layerBuffers(1)) {
      if (name.startsWith('memory')) this.memories.push(floats(name, count, sizeOf(rest)));
      if (name.startsWith('new')) floats(name, count, sizeOf(rest));
    }
  }

  private layerBuffers(positions: number): [name: string, shape: number[]][] {
    const { length, group, blocks } = this;
    const shape: StepShape = { states: blocks, length, blocks, group, positions };
    return Array.from({ length: this.config.decoderLayers }, (_, layer) =>
      Object.entries(layerShapes(this.config, shape, layer)),
    ).flat();
  }

  /** Go on with caches of `positions` positions, after copying what the first `rows` rows hold up to `filled`. */
  useCaches(positions: number, filled: number, rows: number): void {
    const before = this.caches.get(this.positions);
    let caches = this.caches.get(positions);
    if (!caches) this.caches.set(positions, (caches = this.newCaches(positions)));
    const { headWidth, heads } = this.config;
    for (const [name, { buffer }] of Object.entries(caches.layers)) {
      this.buffers[name] = buffer;
      if (filled === 0) continue;
      // keys lie position by position within a component, values component by component within a position
      const unit = name.endsWith('.k') ? 1 : headWidth;
      const old = before!.layers[name].buffer;
      for (let run = 0; run < (rows * heads * headWidth) / unit; run++) {
        const from = run * this.positions * unit;
        buffer.set(old.subarray(from, from + filled * unit), run * positions * unit);
      }
    }
    this.buffers.bucket = caches.bucket;
    this.buffers.past = caches.past;
    this.positions = positions;
  }

  private newCaches(positions: number): Caches {
    const layers: Record<string, RowBuffer> = {};
    for (const [name, [count, ...rest]] of this.layerBuffers(positions)) {
      if (!name.startsWith('cache')) continue;
      layers[name] = { buffer: allocate('float32', [count, ...rest]) as Float32Array, size: sizeOf(rest) };
    }
    const bucket = allocate('int64', [positions]) as BigInt64Array;
    return { layers, bucket, past: allocate('float32', [positions]) as Float32Array };
  }

  /** Write the keys and values that the last step put out for the first `rows` rows into their caches. */
  remember(position: number, rows: number): void {
    const { positions } = this;
    const { headWidth, heads, decoderLayers } = this.config;
    const inner = heads * headWidth;
    for (let layer = 0; layer < decoderLayers; layer++) {
      const keys = this.buffers[`cache.${layer}.k`];
      const values = this.buffers[`cache.${layer}.v`];
      const newKeys = this.buffers[`new.${layer}.k`];
      const newValues = this.buffers[`new.${layer}.v`];
      for (let i = 0; i < rows * inner; i++) keys[i * positions + position] = newKeys[i];
      for (let head = 0; head < rows * heads; head++) {
        const to = (head * positions + position) * headWidth;
        for (let i = 0; i < headWidth; i++) values[to + i] = newValues[head * headWidth + i];
      }
    }
  }

  distribution(name: 'probabilities' | 'logProbs', row: number): Float32Array {
    const { vocabulary } = this.config;
    return (this.buffers[name] as Float32Array).subarray(row * vocabulary, (row + 1) * vocabulary);
  }

  copyCaches(from: number, to: number): void {
    for (const { buffer, size } of Object.values(this.caches.get(this.positions)!.layers))
      buffer.copyWithin(to * size, from * size, (from + 1) * size);
  }

  copyState(from: number, to: number): void {
    for (const { buffer, size } of this.memories) buffer.copyWithin(to * size, from * size, (from + 1) * size);
  }

  async close(): Promise<void> {
    for (const binding of this.bindings.values()) (await binding).close();
    this.bindings.clear();
  }
}

/** Block counts that graphs are compiled for: 1, 2, 3, 4, 6, 8, 12, 16, 24, ... so that at most a third is padding. */
function blockBucket(blocks: number): number {
  const power = rowBucket(blocks);
  return blocks <= (power / 4) * 3 && power >= 4 ? (power / 4) * 3 : power;
}
