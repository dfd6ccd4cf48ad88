import type { Parameters, Runtime } from '../../graph/index.js';
import type { AutoUIConfig } from '../../models/autoui/config.js';
import { bucketOf } from '../../models/buckets.js';
import { Random } from '../../random.js';
import { Decoder } from './decoder.js';
import { Truncator, type Truncation } from './truncation.js';
import { PrefixTree, type Draw, type Sample } from './prefix-tree.js';

export type { Sample } from './prefix-tree.js';

/** A state to sample actions for. */
export interface SampledState {
  /** names the state's random streams: the same key, seed, round and number draw the same sample in any batch */
  readonly key: string;
  /** token ids of the prompt */
  readonly ids: ArrayLike<number>;
  /** the image vector, config.image floats */
  readonly image: Float32Array;
  /** samples to draw; greedy decoding gives one sequence with this count */
  readonly count: number;
  /** their numbers @default 0 to count - 1 */
  readonly members?: readonly number[];
}

export interface SamplingOptions extends Truncation {
  readonly seed: number;
  /** divides the logits; 0 takes the likeliest token at each step. @default 1 */
  readonly temperature?: number;
  /** number of the repetition if the same states are sampled again (retries). @default 0 */
  readonly round?: number;
}

export interface SamplerOptions {
  /** most tokens of a sequence, end token included; longer sequences are cut off. @default 128 */
  readonly maxTokens?: number;
  /** rows decoded together. By default as many as fit MEMORY_BUDGET, at most 512 */
  readonly maxRows?: number;
}

/** The cost of all sampling so far. */
export interface SamplingCost {
  /** states encoded */
  states: number;
  /** decoder steps run */
  steps: number;
  /** distinct prefixes advanced by a token, summed over steps: the work actually done */
  prefixes: number;
  /** tokens that independent sampling would have computed */
  tokens: number;
}

/**
 * Default limit in bytes for the caches and memories of one batch, counting every sample at its full length. For T5-base
 * this means 256 rows. Each step reads all weights, which pays off only with many rows.
 */
const MEMORY_BUDGET = 2.5 * 1024 ** 3;

/**
 * Samples from Auto-UI and shares the work of equal prefixes: every state is encoded once, and at every distinct prefix a
 * multinomial draw splits its samples over the next tokens. A state's samples have exactly the distribution of independent
 * samples, at the cost of the distinct prefixes.
 *
 * Each sample of a state has its own random stream, so it depends neither on its batch nor on how many others are drawn,
 * except for the last bits of the floating-point sums: a draw within 1e-7 of a border may fall on the other side.
 */
export class Sampler {
  readonly cost: SamplingCost = { states: 0, steps: 0, prefixes: 0, tokens: 0 };
  private readonly decoder: Decoder;
  private readonly maxTokens: number;
  private readonly maxRows: number;
  private last: Promise<unknown> = Promise.resolve();

  /** The parameters are read in place: a trainer's updates take effect at the next call. */
  constructor(
    runtime: Runtime,
    params: Parameters,
    private readonly config: AutoUIConfig,
    options: SamplerOptions = {},
  ) {
    this.maxTokens = options.maxTokens ?? 128;
    this.maxRows = options.maxRows ?? defaultRows(config, this.maxTokens);
    this.decoder = new Decoder(runtime, params, config, this.maxTokens);
  }

  /** Samples distinct sequences for each state, in the states' order. Concurrent calls run one after the other. */
  sample(states: readonly SampledState[], options: SamplingOptions): Promise<Sample[][]> {
    const run = this.last.then(() => this.sampleAll(states, options));
    this.last = run.catch(() => undefined);
    return run;
  }

  /**
   * Like `sample`, but draws invalid samples again, up to `retries` times (docs/algorithms.md §2.1: 3). Samples that are
   * still invalid stay; the counts of a state always add up to its `count`.
   */
  async sampleValid(
    states: readonly SampledState[],
    valid: (tokens: readonly number[]) => boolean,
    options: SamplingOptions & { retries?: number },
  ): Promise<Sample[][]> {
    const results = await this.sample(states, options);
    const retries = options.temperature === 0 ? 0 : (options.retries ?? 3);
    for (let round = 1; round <= retries; round++) {
      const again: { index: number; state: SampledState }[] = [];
      results.forEach((samples, index) => {
        const good = samples.filter((sample) => sample.finished && valid(sample.tokens));
        const members = samples.filter((sample) => !good.includes(sample)).flatMap((sample) => sample.members);
        if (members.length === 0) return;
        results[index] = good;
        again.push({ index, state: { ...states[index], count: members.length, members } });
      });
      if (again.length === 0) break;
      const drawn = await this.sample(
        again.map(({ state }) => state),
        { ...options, round: (options.round ?? 0) * (retries + 1) + round },
      );
      again.forEach(({ index }, i) => (results[index] = merge(results[index], drawn[i])));
    }
    return results;
  }

  async close(): Promise<void> {
    await this.last;
    await this.decoder.close();
  }

  private async sampleAll(states: readonly SampledState[], options: SamplingOptions): Promise<Sample[][]> {
    const results: Sample[][] = states.map(() => []);
    for (const batch of this.batches(states, options)) {
      const samples = await this.sampleBatch(
        batch.members.map((index) => states[index]),
        batch,
        options,
      );
      batch.members.forEach((index, i) => (results[index] = samples[i]));
    }
    return results;
  }

  /** Groups states of the same prompt bucket, as many in a batch as maxRows allows. */
  private batches(states: readonly SampledState[], { temperature = 1 }: SamplingOptions): Batch[] {
    const done: Batch[] = [];
    const open = new Map<number, Batch>();
    states.forEach((state, index) => {
      if (state.image.length !== this.config.image) {
        throw new RangeError(
          `state ${state.key}: the image vector has ${state.image.length} numbers; the policy expects ${this.config.image}`,
        );
      }
      if (state.count < 1 || state.ids.length < 1)
        throw new RangeError(
          `state ${state.key}: expected at least 1 token and 1 sample, got ${state.ids.length} and ${state.count}`,
        );
      const length = bucketOf(state.ids.length);
      const rows = temperature === 0 ? 1 : state.count;
      let batch = open.get(length);
      if (!batch || batch.rows + rows > Math.max(this.maxRows, rows)) {
        batch = { length, rows: 0, members: [] };
        open.set(length, batch);
        done.push(batch);
      }
      batch.rows += rows;
      batch.members.push(index);
    });
    return done;
  }

  private async sampleBatch(
    states: readonly SampledState[],
    batch: Batch,
    options: SamplingOptions,
  ): Promise<Sample[][]> {
    const { decoder, config, cost } = this;
    const { seed, temperature = 1, round = 0 } = options;
    const greedy = temperature === 0;
    await decoder.begin(states, batch.length, batch.rows);
    const members = states.map(({ count, members }) => members ?? Array.from({ length: count }, (_, n) => n));
    const streams = states.map(({ key }, i) => {
      const stream = (n: number): Random =>
        n === 0 ? new Random(seed, 'sample', key, round) : new Random(seed, 'sample', key, round, n);
      return new Map(greedy ? [] : members[i].map((n) => [n, stream(n)]));
    });
    const tree = new PrefixTree(decoder, members, config.start, config.eos);
    const truncator = new Truncator(config.vocabulary, options);
    const draw: Draw = (state, row, members) =>
      greedy
        ? [[likeliest(decoder.logProbs(row)), members]]
        : split(truncator.restrict(decoder.probabilities(row)), members, (n) => streams[state].get(n)!.next());
    cost.states += states.length;
    for (let position = 0; tree.size > 0; position++) {
      cost.steps++;
      cost.prefixes += tree.size;
      await decoder.step(position, tree.size, greedy ? 1 : temperature);
      tree.advance(draw, position + 1 === this.maxTokens);
    }
    for (const sample of tree.samples.flat()) cost.tokens += sample.count * sample.tokenLogProbs.length;
    return tree.samples;
  }
}

interface Batch {
  readonly length: number;
  rows: number;
  /** indices of its states */
  readonly members: number[];
}

/**
 * Draws an index for each of some samples, by inversion of their uniforms; in index order.
 * @param probabilities sum to 1
 * @param uniform the next number of a sample's stream
 * @returns the drawn indices, each with its samples
 */
export function split(
  probabilities: ArrayLike<number>,
  samples: readonly number[],
  uniform: (sample: number) => number,
): [index: number, samples: number[]][] {
  const draws = samples.map((sample) => ({ sample, at: uniform(sample) })).sort((a, b) => a.at - b.at);
  const found: [number, number[]][] = [];
  let sum = 0;
  let last = -1;
  let done = 0;
  for (let i = 0; i < probabilities.length && done < draws.length; i++) {
    if (probabilities[i] === 0) continue;
    sum += probabilities[i];
    last = i;
    const before = done;
    while (done < draws.length && draws[done].at < sum) done++;
    if (done > before) found.push([i, draws.slice(before, done).map(({ sample }) => sample)]);
  }
  if (done === draws.length) return found;
  // draws above the sum, which rounding makes possible, fall on the last index
  if (!(Math.abs(sum - 1) < 1e-3))
    throw new RangeError(
      `sampling: the probabilities sum to ${sum}, expected 1; check the model's output for NaN values`,
    );
  const rest = draws.slice(done).map(({ sample }) => sample);
  const lastFound = found.at(-1);
  if (lastFound?.[0] === last) lastFound[1].push(...rest);
  else found.push([last, rest]);
  return found;
}

/** Index of the largest value; the first one in a tie. */
function likeliest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Both lists in one, with equal sequences joined. */
function merge(a: readonly Sample[], b: readonly Sample[]): Sample[] {
  const merged = new Map<string, Sample>();
  for (const sample of [...a, ...b]) {
    const key = `${sample.finished}:${sample.tokens.join(',')}`;
    const known = merged.get(key);
    const both = known && [...known.members, ...sample.members];
    merged.set(key, both ? { ...known, count: both.length, members: both } : sample);
  }
  return [...merged.values()];
}

/** The number of rows whose caches fit the budget with prompts of 128 tokens: a power of two from 16 to 512. */
function defaultRows(config: AutoUIConfig, positions: number): number {
  const bytes =
    4 * 2 * config.decoderLayers * config.heads * config.headWidth * (positions + 128) + 8 * config.vocabulary;
  return Math.min(512, Math.max(16, 2 ** Math.floor(Math.log2(MEMORY_BUDGET / bytes))));
}
