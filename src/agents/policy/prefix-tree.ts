/** A distinct sampled sequence and its count. */
export interface Sample {
  /** token ids without start and end tokens */
  readonly tokens: number[];
  /** how many of the state's samples are this sequence */
  readonly count: number;
  /** numbers of these samples */
  readonly members: readonly number[];
  /** whether it has an end token; false if it was cut off at the limit */
  readonly finished: boolean;
  /** log-probability at temperature 1 of all its tokens (nats), including the end token if finished */
  readonly logProb: number;
  /** the same token by token; one entry more than `tokens` if finished */
  readonly tokenLogProbs: number[];
}

interface Prefix {
  readonly parent?: Prefix;
  readonly state: number;
  readonly token: number;
  readonly logProb: number;
  /** numbers of the samples that begin with it */
  readonly members: readonly number[];
  row: number;
}

/** The rows of a Decoder, which the tree reads and moves. */
export interface Rows {
  readonly tokens: BigInt64Array;
  probabilities(row: number): Float32Array;
  logProbs(row: number): Float32Array;
  assign(row: number, state: number): void;
  copyRow(from: number, to: number): void;
}

/** Splits samples over the next tokens: pairs in the order of the tokens. */
export type Draw = (
  state: number,
  row: number,
  members: readonly number[],
) => [token: number, members: readonly number[]][];

/**
 * The live prefixes of all states of a batch and their decoder rows. Every distinct prefix has one row and a count of the
 * samples that share it. A step splits this count over the next tokens, so its cost is that of the distinct prefixes. The
 * order in which a state's prefixes are visited depends only on its own draws.
 */
export class PrefixTree {
  /** finished samples of each state */
  readonly samples: Sample[][];
  /** number of live prefixes: rows [0, size) hold one each */
  size = 0;
  private readonly live: Prefix[][];
  /** the prefix in each row, needed when rows are moved */
  private readonly inRow: Prefix[] = [];
  private readonly free: number[] = [];

  /** @param members numbers of the samples to draw for each state @param start first token of every sequence */
  constructor(
    private readonly rows: Rows,
    members: readonly (readonly number[])[],
    start: number,
    private readonly end: number,
  ) {
    this.samples = members.map(() => []);
    this.live = members.map((of, state) => {
      const root: Prefix = { state, token: start, logProb: 0, members: of, row: 0 };
      this.take(root);
      this.rows.tokens[root.row] = BigInt(start);
      return [root];
    });
  }

  /** Splits every live prefix by `draw`. @param last cut off all sequences that have not ended */
  advance(draw: Draw, last: boolean): void {
    this.live.forEach((prefixes, state) => {
      if (prefixes.length) this.live[state] = this.grow(state, prefixes, draw, last);
    });
    this.compact();
  }

  private grow(state: number, prefixes: Prefix[], draw: Draw, last: boolean): Prefix[] {
    const next: Prefix[] = [];
    const rowless: { child: Prefix; from: number }[] = [];
    for (const parent of prefixes) {
      const { row } = parent;
      const logProbs = this.rows.logProbs(row);
      let kept = false;
      for (const [token, members] of draw(state, row, parent.members)) {
        const child: Prefix = { parent, state, token, logProb: logProbs[token], members, row };
        if (token === this.end || last) {
          this.samples[state].push(sampleOf(child, token === this.end));
          continue;
        }
        if (kept) rowless.push({ child, from: row });
        else this.inRow[row] = child;
        kept = true;
        next.push(child);
      }
      if (!kept) this.free.push(row);
    }
    // the first child keeps its parent's row, whose caches still end with the parent; its siblings copy them
    for (const { child, from } of rowless) {
      this.take(child);
      this.rows.copyRow(from, child.row);
    }
    for (const { row, token } of next) this.rows.tokens[row] = BigInt(token);
    return next;
  }

  /** Gives a prefix a free row. */
  private take(prefix: Prefix): void {
    prefix.row = this.free.pop() ?? this.size++;
    this.inRow[prefix.row] = prefix;
    this.rows.assign(prefix.row, prefix.state);
  }

  /** Moves the last rows into the free ones. */
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
  const { members } = leaf;
  return { tokens, count: members.length, members, finished, logProb, tokenLogProbs };
}
