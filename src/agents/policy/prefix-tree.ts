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
  readonly state: number;
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
  assign(row: number, state: number): void;
  copyRow(from: number, to: number): void;
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
  /** number of live prefixes: rows [0, size) hold one each */
  size = 0;
  private readonly live: Prefix[][];
  /** who is in each row, to be moved when rows are given up */
  private readonly inRow: Prefix[] = [];
  private readonly free: number[] = [];

  /** @param counts samples to draw for each state @param start token every sequence starts from */
  constructor(
    private readonly rows: Rows,
    counts: readonly number[],
    start: number,
    private readonly end: number,
  ) {
    this.samples = counts.map(() => []);
    this.live = counts.map((count, state) => {
      const root: Prefix = { state, token: start, logProb: 0, count, row: 0 };
      this.take(root);
      this.rows.tokens[root.row] = BigInt(start);
      return [root];
    });
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
        const child: Prefix = { parent, state, token, logProb: logProbs[token], count, row };
        if (token === this.end || last) {
          this.samples[state].push(sampleOf(child, token === this.end));
          continue;
        }
        if (kept) homeless.push({ child, from: row });
        else this.inRow[row] = child;
        kept = true;
        next.push(child);
      }
      if (!kept) this.free.push(row);
    }
    // siblings copy their parent's row, which still holds the parent whatever its first child reads next
    for (const { child, from } of homeless) {
      this.take(child);
      this.rows.copyRow(from, child.row);
    }
    for (const { row, token } of next) this.rows.tokens[row] = BigInt(token);
    return next;
  }

  /** Give a prefix a row that nobody has. */
  private take(prefix: Prefix): void {
    prefix.row = this.free.pop() ?? this.size++;
    this.inRow[prefix.row] = prefix;
    this.rows.assign(prefix.row, prefix.state);
  }

  /** Close the holes with the last rows. */
  private compact(): void {
    const holes = this.free.splice(0).sort((a, b) => b - a);
    for (const hole of holes) {
      const last = --this.size;
      if (hole === last) continue;
      const moved = this.inRow[last];
      this.rows.copyRow(last, hole);
      this.rows.assign(hole, moved.state);
      moved.row = hole;
      this.inRow[hole] = moved;
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
