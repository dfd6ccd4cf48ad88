import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { UserError } from '../../errors.js';
import { bucketOf } from '../../models/buckets.js';
import { readJson } from '../../models/checkpoint/checkpoint.js';
import { Charsmap } from './charsmap.js';
import { isPlain, patternsIn, timed } from './timed.js';

/** Texts as input of a model: rows of token ids of equal length, padded on the right. */
export interface TokenBatch {
  /** [rows, length] token ids, row by row */
  readonly ids: BigInt64Array;
  /** [rows, length] 1 at real tokens, 0 at padding */
  readonly mask: Float32Array;
  readonly rows: number;
  readonly length: number;
}

export interface TokenizerOptions {
  /** most tokens of a text, special tokens included. @default 512 (docs/algorithms.md §1) */
  readonly maxLength?: number;
  /**
   * where longer texts are cut: 'left' keeps the task at the end of Auto-UI's prompt, 'right' keeps the beginning. The
   * special tokens before and after a text always stay. @default 'left'
   */
  readonly truncate?: 'left' | 'right';
  /** what fills short rows: the end-of-sequence token as in the released code, or the tokenizer's pad token. @default 'eos' */
  readonly pad?: 'eos' | 'pad';
}

/** Most milliseconds that a tokenizer's regular expressions may take for a text. */
const SLOWEST = 3000;

/** A Hugging Face tokenizer read from a folder's tokenizer.json and tokenizer_config.json. */
export class TextTokenizer {
  readonly eos: number;
  readonly pad: number;
  /** the token for text that is not in the vocabulary; undefined if the tokenizer has none */
  readonly unknown: number | undefined;
  /** number of token ids, added tokens included */
  readonly vocabulary: number;
  readonly maxLength: number;
  private readonly truncate: 'left' | 'right';
  /** special tokens that the tokenizer puts before and after a text */
  private readonly around: { readonly before: readonly number[]; readonly after: readonly number[] };

  private constructor(
    private readonly tokenizer: Tokenizer,
    private readonly files: TokenizerFiles,
    options: TokenizerOptions,
  ) {
    const id = (token: string) => {
      const found = tokenizer.token_to_id(token);
      if (found === undefined) {
        throw new UserError(`${files.source}: the special token ${JSON.stringify(token)} is not in the vocabulary`);
      }
      return found;
    };
    this.eos = id(files.special('eos_token') ?? '</s>');
    const pad = files.special('pad_token');
    if (options.pad !== 'pad') this.pad = this.eos;
    else this.pad = pad === undefined ? (tokenizer.token_to_id('<pad>') ?? this.eos) : id(pad);
    this.unknown = tokenizer.token_to_id(files.special('unk_token') ?? '<unk>');
    this.vocabulary = 1 + [...tokenizer.get_vocab(true).values()].reduce((most, one) => Math.max(most, one), -1);
    this.maxLength = options.maxLength ?? 512;
    this.truncate = options.truncate ?? 'left';
    this.around = this.bounded(1, () => specialTokens(tokenizer));
    const least = this.around.before.length + this.around.after.length;
    if (this.maxLength <= least) {
      throw new RangeError(
        `maxLength: expected more than ${files.source}'s ${least} special tokens, got ${this.maxLength}`,
      );
    }
  }

  /** Reads a checkpoint folder's tokenizer. @throws UserError if a file is missing or not a tokenizer's */
  static load(folder: string, options: TokenizerOptions = {}): TextTokenizer {
    const files = readTokenizerFiles(folder);
    let tokenizer: Tokenizer;
    try {
      tokenizer = new Tokenizer(files.definition, files.config);
      useCharsmaps(tokenizer.normalizer);
    } catch (error) {
      throw new UserError(
        `${files.source}: cannot be used (${(error as Error).message.replace('[object Object]', 'an object')}); export it again with save_pretrained`,
      );
    }
    return new TextTokenizer(tokenizer, files, options);
  }

  /** @param source names tokenizer and model @throws UserError if the tokenizer has more ids than the model's `vocab_size` */
  mustFit(vocabulary: number, source: string): void {
    if (this.vocabulary <= vocabulary) return;
    throw new UserError(
      `${source}: the tokenizer has ${this.vocabulary} ids, but config.json has vocab_size ${vocabulary}; take both from the same model`,
    );
  }

  /** Token ids with the tokenizer's own special tokens (a final eos for T5), cut to maxLength. */
  encode(text: string): number[] {
    const { ids } = this.bounded(text.length, () => this.tokenizer.encode(text));
    if (!ids.every(Number.isInteger))
      throw new UserError(
        `${this.files.source}: has no id for some text, not even that of an unknown token; export it again`,
      );
    if (ids.length <= this.maxLength) return ids;
    const { before, after } = this.around;
    const content = ids.slice(before.length, ids.length - after.length);
    const room = this.maxLength - before.length - after.length;
    const kept = this.truncate === 'left' ? content.slice(-room) : content.slice(0, room);
    return [...before, ...kept, ...after];
  }

  /** The text of token ids, without special tokens. */
  decode(ids: ArrayLike<number>): string {
    // the library refuses an empty list
    if (ids.length === 0) return '';
    const options = { skip_special_tokens: true, clean_up_tokenization_spaces: this.files.cleansUp };
    return this.bounded(ids.length, () => this.tokenizer.decode(Array.from(ids), options));
  }

  /** Runs regular expressions of strangers: those that might take forever are ended. */
  private bounded<T>(length: number, work: () => T): T {
    if (this.files.plain) return work();
    return timed(work, SLOWEST, () => {
      const { source } = this.files;
      return new UserError(
        `${source}: its regular expressions take more than ${SLOWEST / 1000} s for a text of length ${length}; use the tokenizer of the original model`,
      );
    });
  }

  /** Whether a token is special or has neither letters nor digits. */
  isPunctuation(id: number): boolean {
    return !/[\p{L}\p{N}]/u.test(this.decode([id]));
  }

  /** Encodes texts into one padded batch whose length is a bucket (models/buckets.ts), or `length` if given. */
  batch(texts: readonly string[], length?: number): TokenBatch {
    const rows = texts.map((text) => this.encode(text));
    return padTokens(rows, this.pad, length ?? bucketOf(Math.max(1, ...rows.map((row) => row.length))));
  }
}

/** Rows of token ids padded on the right to `length`; longer rows keep their end. */
export function padTokens(rows: readonly ArrayLike<number>[], pad: number, length: number): TokenBatch {
  const ids = new BigInt64Array(rows.length * length).fill(BigInt(pad));
  const mask = new Float32Array(rows.length * length);
  rows.forEach((row, r) => {
    const skipped = Math.max(0, row.length - length);
    for (let i = skipped; i < row.length; i++) {
      ids[r * length + i - skipped] = BigInt(row[i]);
      mask[r * length + i - skipped] = 1;
    }
  });
  return { ids, mask, rows: rows.length, length };
}

/** The special tokens that the tokenizer puts around a text. */
function specialTokens(tokenizer: Tokenizer): { before: number[]; after: number[] } {
  const content: number[] = tokenizer.encode('a', { add_special_tokens: false }).ids;
  const ids: number[] = tokenizer.encode('a').ids;
  const start = ids.findIndex((_, i) => content.every((id, j) => ids[i + j] === id));
  return { before: ids.slice(0, start), after: ids.slice(start + content.length) };
}

/** A folder's tokenizer files. */
interface TokenizerFiles {
  /** path of tokenizer.json */
  readonly source: string;
  readonly definition: object;
  readonly config: object;
  special(name: string): string | undefined;
  /** whether all its regular expressions are known to be fast */
  readonly plain: boolean;
  /** whether decoding removes the spaces before punctuation */
  readonly cleansUp: boolean;
}

/** Files of older formats, which have no tokenizer.json. */
const OLDER = ['spiece.model', 'vocab.json', 'merges.txt'];

function readTokenizerFiles(folder: string): TokenizerFiles {
  const source = join(folder, 'tokenizer.json');
  const older = OLDER.filter((name) => existsSync(join(folder, name)));
  if (!existsSync(source) && older.length > 0) {
    throw new UserError(
      `${folder}: has ${older.join(' and ')} but no tokenizer.json, which critiq needs; create it with: python -c "from transformers import AutoTokenizer as T; T.from_pretrained('${folder}').save_pretrained('${folder}')"`,
    );
  }
  const definition = readJson(source);
  const config = readJson(join(folder, 'tokenizer_config.json'));
  if (!isObject(definition) || !isObject(definition.model) || !isObject(config)) {
    throw new UserError(`${source}: not a Hugging Face tokenizer.json with its tokenizer_config.json; export it again`);
  }
  checkIds(source, definition);
  const map = existsSync(join(folder, 'special_tokens_map.json'))
    ? readJson(join(folder, 'special_tokens_map.json'))
    : {};
  const special = (name: string) => tokenText(config[name]) ?? (isObject(map) ? tokenText(map[name]) : undefined);
  // the default is true in transformers 4 and false in 5, which writes `backend` into the file; BPE never cleans up
  const says = config.clean_up_tokenization_spaces ?? !('backend' in config);
  const { normalizer, pre_tokenizer, post_processor, decoder } = definition;
  const plain = patternsIn([normalizer, pre_tokenizer, post_processor, decoder]).every(isPlain);
  return { source, definition, config, plain, special, cleansUp: says === true && definition.model.type !== 'BPE' };
}

/** Most ids: the largest vocabularies have 300,000. The package makes a table of all ids up to the largest. */
const MOST_IDS = 1 << 22;

/** @throws UserError for an id that is none, or so large that it would cost memory by itself */
function checkIds(source: string, definition: Record<string, unknown>): void {
  const { vocab } = definition.model as { vocab?: unknown };
  const added = definition.added_tokens ?? [];
  if (!Array.isArray(added)) throw new UserError(`${source}: added_tokens: expected a list; export it again`);
  const ids: (readonly [token: string, id: unknown])[] = [
    ...(isObject(vocab) ? Object.entries(vocab) : []),
    ...added.map(
      (token: unknown) => (isObject(token) ? [String(token.content), token.id] : ['', undefined]) as [string, unknown],
    ),
  ];
  const wrong = ids.find(([, id]) => !(Number.isInteger(id) && (id as number) >= 0 && (id as number) < MOST_IDS));
  if (wrong)
    throw new UserError(
      `${source}: token ${JSON.stringify(wrong[0])}: expected an id from 0 to ${MOST_IDS - 1}, got ${JSON.stringify(wrong[1])}; export it again`,
    );
}

/** A normaliser of the package; a character table has `charsmap`, a sequence has `normalizers`. */
interface Normalizer {
  readonly charsmap?: unknown;
  readonly normalizers?: readonly (Normalizer | null)[];
  normalize(text: string): string;
}

/** Makes the package's normalisers use their character tables. */
function useCharsmaps(normalizer: Normalizer | null): void {
  normalizer?.normalizers?.forEach(useCharsmaps);
  if (typeof normalizer?.charsmap !== 'string') return;
  const table = Charsmap.parse(normalizer.charsmap);
  normalizer.normalize = (text) => table.normalize(text);
}

/** A special token in tokenizer_config.json is a string or an object with `content`. */
function tokenText(token: unknown): string | undefined {
  if (typeof token === 'string') return token;
  return isObject(token) && typeof token.content === 'string' ? token.content : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
