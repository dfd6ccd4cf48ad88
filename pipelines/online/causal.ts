import { isValidAction, parseAction } from '../../src/agents/grammar.js';
import { padTokens, type TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { classCount, classOf, holedTokens, influenceWeights, tokenEffects } from '../../src/algorithms/coso.js';
import { MinibatchSampler } from '../../src/data/replay.js';
import {
  clippedAdamW,
  Forward,
  input,
  Parameters,
  reshape,
  softmax,
  takeAlong,
  Trainer,
} from '../../src/graph/index.js';
import { rowBucket } from '../../src/models/buckets.js';
import {
  causalLogits,
  causalSpecs,
  crossEntropy,
  dropoutFeeds,
  dropoutInputs,
  type CausalConfig,
} from '../../src/models/causal.js';
import { Random } from '../../src/random.js';
import type { ShardContext } from '../../src/runner/stage.js';
import type { Online } from './settings.js';
import { runtimeOf } from '../resources.js';

/** Rows per forward pass of the causal model. */
const ROWS = 256;
/** Maximum size of a micro-batch; the batch of a step is divided into equal parts. */
const MICRO = 64;

/** Maximum number of actions cached as tokens. */
const REMEMBERED = 100_000;

/** An action as the causal model reads it. */
interface Tokens {
  readonly ids: readonly number[];
  readonly label: number;
}

/** Trains CoSo's causal model (docs/algorithms.md §4) and computes token weights with it. */
export class CausalLearner {
  readonly params: Parameters;
  readonly trainer: Trainer<number>;
  private readonly forward: Forward<number>;
  private readonly known = new Map<string, Tokens>();
  private readonly micro: number;
  private weightsOf = new Map<string, Float32Array>();

  private constructor(
    private readonly ctx: ShardContext<Online>,
    private readonly tokenizer: TextTokenizer,
    private readonly config: CausalConfig & { readonly positions: number },
    runtime: Awaited<ReturnType<typeof runtimeOf>>,
  ) {
    const { seed } = ctx;
    const { coso } = ctx.settings;
    const { batch_size: batch, dropout } = coso;
    this.micro = batch <= MICRO ? batch : batch / Math.ceil(batch / MICRO);
    if (!Number.isInteger(this.micro)) this.micro = MICRO;
    const tokens = (rows: number) =>
      [
        input('ids', [rows, config.positions], 'int64'),
        input('mask', [rows, config.positions]),
        input('label', [rows], 'int64'),
      ] as const;
    this.params = Parameters.init(causalSpecs(config), new Random(seed, 'online', 'causal').int(2 ** 31));
    this.trainer = new Trainer<number>({
      runtime,
      params: this.params,
      optimizer: clippedAdamW(coso.max_grad_norm),
      loss: (p, rows) => {
        const [ids, mask, label] = tokens(rows);
        return { loss: crossEntropy(causalLogits(p, config, ids, mask, dropoutInputs(config, rows, dropout)), label) };
      },
    });
    this.forward = new Forward<number>(runtime, this.params, (p, rows) => {
      const [ids, mask, label] = tokens(rows);
      const probabilities = softmax(causalLogits(p, config, ids, mask));
      return { probability: reshape(takeAlong(probabilities, reshape(label, [rows, 1]), 1), [rows]) };
    });
  }

  /** @param longest maximum tokens of an action of the policy, including the end token */
  static async create(ctx: ShardContext<Online>, tokenizer: TextTokenizer, longest: number): Promise<CausalLearner> {
    const { coso } = ctx.settings;
    const config = {
      vocabulary: tokenizer.vocabulary,
      width: coso.width,
      layers: coso.layers,
      heads: coso.heads,
      feedForward: coso.feed_forward,
      classes: classCount(coso),
      // one length for all: the mean over positions includes padding (as in the released code), so the batch must not set it
      positions: longest,
    };
    return new CausalLearner(ctx, tokenizer, config, await runtimeOf(ctx));
  }

  /**
   * Trains on random actions from a list. @param label seeds the draw
   * @returns mean cross-entropy; empty without steps
   */
  async train(found: readonly string[], steps: number, label: string): Promise<{ causal_loss?: number }> {
    const { invalid } = this.ctx.settings.coso;
    const actions = invalid === 'class' ? found : found.filter((action) => isValidAction(action));
    if (steps === 0 || actions.length === 0) return {};
    this.weightsOf = new Map();
    if (this.known.size > REMEMBERED) this.known.clear();
    const { coso } = this.ctx.settings;
    const micros = Math.max(1, Math.round(coso.batch_size / this.micro));
    const sampler = new MinibatchSampler(
      actions.length,
      this.micro,
      this.ctx.seed,
      `online causal ${label}`,
      'uniform',
    );
    let sum = 0;
    for (let step = 0; step < steps; step++) {
      this.ctx.signal.throwIfAborted();
      for (let k = 0; k < micros; k++) {
        const micro = step * micros + k;
        const rows = [...sampler.indices(micro)].map((row) => this.tokens(actions[row]));
        const random = new Random(this.ctx.seed, 'online causal dropout', label, micro);
        const { loss } = await this.trainer.accumulate(this.micro, {
          ...this.feeds(rows),
          ...dropoutFeeds(this.config, rows.length, coso.dropout, random),
        });
        sum += Number(loss[0]);
      }
      await this.trainer.apply(coso.lr, micros);
    }
    return { causal_loss: sum / steps / micros };
  }

  /** The weight B_t of each token of an action, including the end token: between 0 and 1 (docs/algorithms.md §4). */
  weights(action: string): Float32Array {
    const weights = this.weightsOf.get(action);
    if (!weights) throw new RangeError(`no weights for ${JSON.stringify(action)}: call prepare first`);
    return weights;
  }

  /** Computes the weights of these actions with the current model. */
  async prepare(actions: Iterable<string>): Promise<void> {
    const fresh = [...new Set(actions)].filter((action) => !this.weightsOf.has(action));
    // the complete action, then its variants; the rows of many actions share forward passes
    const rows: { readonly ids: ArrayLike<number>; readonly label: number }[] = [];
    const unknown = this.tokenizer.unknown ?? this.tokenizer.eos;
    for (const action of fresh) {
      const { ids, label } = this.tokens(action);
      rows.push({ ids, label });
      const holed = holedTokens(BigInt64Array.from(ids, BigInt), this.ctx.settings.coso.window, unknown);
      for (let i = 0; i < ids.length; i++) {
        rows.push({ ids: Array.from(holed.subarray(i * ids.length, (i + 1) * ids.length), Number), label });
      }
    }
    const probabilities = new Float32Array(rows.length);
    for (let start = 0; start < rows.length; start += ROWS) {
      this.ctx.signal.throwIfAborted();
      const part = rows.slice(start, start + ROWS);
      const count = rowBucket(part.length);
      const { probability } = await this.forward.run(
        count,
        this.feeds(Array.from({ length: count }, (_, i) => part[i] ?? part[0])),
      );
      probabilities.set((probability as Float32Array).subarray(0, part.length), start);
    }
    let at = 0;
    for (const action of fresh) {
      const { ids } = this.tokens(action);
      const effects = tokenEffects(probabilities[at], probabilities.subarray(at + 1, at + 1 + ids.length), (i) =>
        this.tokenizer.isPunctuation(ids[i]),
      );
      this.weightsOf.set(action, influenceWeights(effects));
      at += 1 + ids.length;
    }
  }

  close(): void {
    this.trainer.close();
  }

  private tokens(action: string): Tokens {
    let tokens = this.known.get(action);
    if (!tokens) {
      const parsed = parseAction(action);
      const label = classOf('invalid' in parsed ? undefined : parsed.action, this.ctx.settings.coso);
      tokens = { ids: this.tokenizer.encode(action).slice(0, this.config.positions), label };
      this.known.set(action, tokens);
    }
    return tokens;
  }

  private feeds(rows: readonly { readonly ids: ArrayLike<number>; readonly label: number }[]) {
    const { ids, mask } = padTokens(
      rows.map((row) => row.ids),
      this.tokenizer.pad,
      this.config.positions,
    );
    return { ids, mask, label: BigInt64Array.from(rows, ({ label }) => BigInt(label)) };
  }
}
