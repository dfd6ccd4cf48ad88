/** A distinct sequence that was sampled, and how often. */
export interface Sample {
  /** token ids without start and end tokens */
  readonly tokens: number[];
  /** how many of the state's samples are this sequence */
  readonly count: number;
  /** whether it ended by the end token; false where it was cut off at the limit */
  readonly finished: boolean;
  /** log-probability at temperature 1 of all its tokens, the end token included if finished */
  readonly logProb: number;
  /** the same token by token: one more than `tokens` if finished */
  readonly tokenLogProbs: number[];
}

interface Prefix {
  readonly parent?: Prefix;
  readonly token: number;
  readonly logProb: number;
  readonly count: number;
  row: number;
}

/** What the tree reads and moves: the rows of a Decoder. */
export interface Rows {
  readonly tokens: BigInt64Array;
  probabilities(row: number): Float32Array;
  logProbs(row: number): Float32Array;
  assign(block: number, state: number): void;
  copyRow(from: number, to: number): void;
  moveBlock(from: number, to: number): void;
}

/** Says how many of `count` draws fall on each token: pairs in the order of the tokens. */
export type Draw = (state: number, row: number, count: number) => [token: number, count: number][];

/**
 * The live prefixes of all states of a batch and the decoder rows that hold them. Every distinct prefix has one row and
 * the number of samples that share it; a step splits that number over the next tokens, so its cost is that of the
 * distinct prefixes. A state's prefixes are visited in an order that depends on nothing but its own draws.
 */
export class PrefixTree {
  /** finished samples of each state */
  readonly samples: Sample[][];
  /** blocks in use: rows [0, blocks × group) */
  blocks = 0;
  private readonly live: Prefix[][];
  /** the blocks of each state, and for each block its state */
  private readonly blocksOf: number[][];
  private readonly stateOf: number[] = [];
  private readonly rowUsed: Uint8Array;

  /** @param counts samples to draw for each state @param start token every sequence starts from */
  constructor(
    private readonly rows: Rows,
    private readonly group: number,
    counts: readonly number[],
    start: number,
    private readonly end: number,
    capacity: number,
  ) {
    this.rowUsed = new Uint8Array(capacity);
    this.samples = counts.map(() => []);
    this.blocksOf = counts.map(() => []);
    this.live = counts.map((count, state) => {
      const root: Prefix = { token: start, logProb: 0, count, row: this.takeRow(state) };
      this.rows.tokens[root.row] = BigInt(start);
      return [root];
    });
  }

  /** number of live prefixes */
  get size(): number {
    return this.live.reduce((sum, prefixes) => sum + prefixes.length, 0);
  }

  /** Split every live prefix by `draw`; `last` says that whatever has not ended is cut off. */
  advance(draw: Draw, last: boolean): void {
    this.live.forEach((prefixes, state) => {
      if (prefixes.length) this.live[state] = this.grow(state, prefixes, draw, last);
    });
    this.compact();
  }

  private grow(state: number, prefixes: Prefix[], draw: Draw, last: boolean): Prefix[] {
    const next: Prefix[] = [];
    const homeless: { child: Prefix; from: number }[] = [];
    for (const parent of prefixes) {
      const { row } = parent;
      const logProbs = this.rows.logProbs(row);
      let kept = false;
      for (const [token, count] of draw(state, row, parent.count)) {
        const child: Prefix = { parent, token, logProb: logProbs[token], count, row };
        if (token === this.end || last) {
          this.samples[state].push(sampleOf(child, token === this.end));
          continue;
        }
        if (kept) homeless.push({ child, from: row });
        kept = true;
        next.push(child);
      }
      if (!kept) this.rowUsed[row] = 0;
    }
    // siblings copy their parent's row, which still holds the parent whatever its first child reads next
    for (const { child, from } of homeless) {
      child.row = this.takeRow(state);
      this.rows.copyRow(from, child.row);
    }
    for (const { row, token } of next) this.rows.tokens[row] = BigInt(token);
    return next;
  }

  /** A free row in one of the state's blocks, or in a new one. */
  private takeRow(state: number): number {
    const { group } = this;
    for (const block of this.blocksOf[state]) {
      for (let row = block * group; row < (block + 1) * group; row++) if (!this.rowUsed[row]) return this.use(row);
    }
    const block = this.blocks++;
    this.rows.assign(block, state);
    this.stateOf[block] = state;
    this.blocksOf[state].push(block);
    return this.use(block * group);
  }

  private use(row: number): number {
    this.rowUsed[row] = 1;
    return row;
  }

  /** Give up the blocks that are not needed, and close the holes with the last ones. */
  private compact(): void {
    const free: number[] = [];
    this.live.forEach((prefixes, state) => {
      const blocks = this.blocksOf[state];
      while (blocks.length > Math.ceil(prefixes.length / this.group)) {
        const block = blocks.pop()!;
        for (const prefix of prefixes) {
          if (Math.floor(prefix.row / this.group) !== block) continue;
          this.rowUsed[prefix.row] = 0;
          const row = this.takeRow(state);
          this.rows.copyRow(prefix.row, row);
          prefix.row = row;
        }
        free.push(block);
      }
    });
    free.sort((a, b) => b - a);
    for (const hole of free) {
      const last = --this.blocks;
      if (hole !== last) this.relocate(last, hole);
    }
  }

  private relocate(from: number, to: number): void {
    const { group } = this;
    const state = this.stateOf[from];
    this.rows.moveBlock(from, to);
    this.stateOf[to] = state;
    const blocks = this.blocksOf[state];
    blocks[blocks.indexOf(from)] = to;
    for (let i = 0; i < group; i++) {
      this.rowUsed[to * group + i] = this.rowUsed[from * group + i];
      this.rowUsed[from * group + i] = 0;
    }
    for (const prefix of this.live[state]) {
      if (Math.floor(prefix.row / group) === from) prefix.row += (to - from) * group;
    }
  }
}

function sampleOf(leaf: Prefix, finished: boolean): Sample {
  const tokens: number[] = [];
  const tokenLogProbs: number[] = [];
  for (let at = leaf; at.parent; at = at.parent) {
    tokens.push(at.token);
    tokenLogProbs.push(at.logProb);
  }
  tokens.reverse();
  tokenLogProbs.reverse();
  const logProb = tokenLogProbs.reduce((sum, part) => sum + part, 0);
  if (finished) tokens.pop();
  return { tokens, count: leaf.count, finished, logProb, tokenLogProbs };
}
