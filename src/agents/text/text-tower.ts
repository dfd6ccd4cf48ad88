import { Forward, input, type Parameters, type Runtime } from '../../graph/index.js';
import { bucketOf } from '../../models/buckets.js';
import { CachedVectors, type OpenCache } from '../../models/cached-vectors.js';
import { checkpointFingerprint } from '../../models/checkpoint/fingerprint.js';
import { loadRoberta } from '../../models/roberta/checkpoint.js';
import { readRobertaConfig, robertaPooled, type RobertaConfig } from '../../models/roberta/roberta.js';
import { TextTokenizer, padTokens } from './tokenizer.js';

/**
 * Tokens of a batch, padding included: enough for fast products. Texts of one length always run in batches of the same
 * number of rows, since the runtime picks its algorithm for a product by the number of rows.
 */
const BATCH_TOKENS = 192;

/** Most tokens of a text, as in Digi-Q's code. */
const MAX_TOKENS = 512;

/** A batch's shape. */
interface Shape {
  readonly rows: number;
  readonly length: number;
}

/**
 * Computes pooled RoBERTa vectors of texts (docs/algorithms.md §2.4). The weights are read at the first text whose vector is
 * not cached. A text's vector does not depend on its batch, to the last bit: the text is padded to the bucket of its own
 * length, and its batch is filled up to the number of rows for that length.
 */
export class TextTower {
  readonly dim: number;
  private readonly known: CachedVectors<string>;
  private forward?: Promise<Forward<Shape>>;

  private constructor(
    private readonly runtime: Runtime,
    /** reads the weights */
    private readonly load: () => Promise<Parameters>,
    private readonly config: RobertaConfig,
    private readonly tokenizer: TextTokenizer,
    /** the checkpoint's; see checkpointFingerprint */
    readonly fingerprint: string,
    cache?: Awaited<ReturnType<OpenCache>>,
  ) {
    this.dim = config.hidden_size;
    this.known = new CachedVectors((texts, keep) => this.compute(texts, keep), cache);
  }

  /**
   * @param folder of a RoBERTa checkpoint with its tokenizer
   * @param openCache opens the cache of vectors by text
   * @throws UserError if a file is missing, broken or not RoBERTa's
   */
  static async open(runtime: Runtime, folder: string, openCache?: OpenCache): Promise<TextTower> {
    const config = readRobertaConfig(folder);
    const tokenizer = tokenizerOf(folder, config);
    const fingerprint = await checkpointFingerprint(folder);
    const cache = await openCache?.(`roberta-${fingerprint}`, config.hidden_size);
    const load = async () => (await loadRoberta(folder)).params;
    return new TextTower(runtime, load, config, tokenizer, fingerprint, cache);
  }

  /**
   * A tower whose weights belong to another model.
   * @param folder with the tokenizer @throws UserError if it is missing, broken, or has more ids than the tower
   */
  static of(runtime: Runtime, config: RobertaConfig, params: Parameters, folder: string): TextTower {
    return new TextTower(runtime, () => Promise.resolve(params), config, tokenizerOf(folder, config), '');
  }

  /** The vectors of texts, in order. Texts with more tokens than the model has positions lose their end. */
  vectors(texts: readonly string[]): Promise<Float32Array[]> {
    return this.known.get(texts, (text) => text);
  }

  private async compute(texts: readonly string[], keep: (index: number, vector: Float32Array) => void): Promise<void> {
    this.forward ??= this.opened();
    const forward = await this.forward;
    const buckets = new Map<number, { index: number; ids: number[] }[]>();
    texts.forEach((text, index) => {
      const ids = this.tokenizer.encode(text);
      const length = Math.min(bucketOf(ids.length), this.tokenizer.maxLength);
      if (!buckets.has(length)) buckets.set(length, []);
      buckets.get(length)!.push({ index, ids });
    });
    for (const [length, members] of [...buckets].sort(([a], [b]) => a - b)) {
      const rows = Math.max(2, Math.round(BATCH_TOKENS / length));
      for (let start = 0; start < members.length; start += rows) {
        const batch = members.slice(start, start + rows);
        const { ids, mask } = padTokens(
          Array.from({ length: rows }, (_, i) => batch[i]?.ids ?? []),
          this.tokenizer.pad,
          length,
        );
        const { vectors } = await forward.run({ rows, length }, { ids, mask });
        batch.forEach(({ index }, i) => keep(index, (vectors as Float32Array).slice(i * this.dim, (i + 1) * this.dim)));
      }
    }
  }

  private async opened(): Promise<Forward<Shape>> {
    const params = await this.load();
    return new Forward<Shape>(this.runtime, params, (p, { rows, length }) => ({
      vectors: robertaPooled(p, this.config, input('ids', [rows, length], 'int64'), input('mask', [rows, length])),
    }));
  }
}

function tokenizerOf(folder: string, config: RobertaConfig): TextTokenizer {
  // positions count from pad_token_id + 1
  const positions = config.max_position_embeddings - config.pad_token_id - 1;
  const maxLength = Math.min(MAX_TOKENS, positions);
  const tokenizer = TextTokenizer.load(folder, { pad: 'pad', truncate: 'right', maxLength });
  tokenizer.mustFit(config.vocab_size, folder);
  return tokenizer;
}
