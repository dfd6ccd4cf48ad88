import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { UserError } from '../errors.js';
import { bucketOf } from '../models/buckets.js';
import { readJson } from '../models/checkpoint.js';

/** Texts as a model takes them: rows of equal length, padded on the right. */
export interface TokenBatch {
  /** [rows, length] token ids, row by row */
  readonly ids: BigInt64Array;
  /** [rows, length] 1 at real tokens, 0 at padding */
  readonly mask: Float32Array;
  readonly rows: number;
  readonly length: number;
}

export interface TokenizerOptions {
  /** tokens of a text at most, its special tokens included. @default 512 (ALGORITHMS §1) */
  readonly maxLength?: number;
  /**
   * what longer texts lose: their beginning, so that the task at the end of Auto-UI's prompt stays, or their end. The
   * special tokens before and after a text always stay. @default 'left'
   */
  readonly truncate?: 'left' | 'right';
  /** what fills short rows: the end-of-sequence token as in the released code, or the tokenizer's own. @default 'eos' */
  readonly pad?: 'eos' | 'pad';
}

/** A Hugging Face tokenizer read from a folder's tokenizer.json and tokenizer_config.json. */
export class TextTokenizer {
  readonly eos: number;
  readonly pad: number;
  /** number of token ids, added tokens included */
  readonly vocabulary: number;
  readonly maxLength: number;
  private readonly truncate: 'left' | 'right';
  /** special tokens that the tokenizer puts before and after a text */
  private readonly around: { readonly before: readonly number[]; readonly after: readonly number[] };

  private constructor(
    private readonly tokenizer: Tokenizer,
    names: { eos: string; pad: string },
    source: string,
    options: TokenizerOptions,
  ) {
    const id = (token: string) => {
      const found = tokenizer.token_to_id(token);
      if (found === undefined)
        throw new UserError(`${source}: its special token ${JSON.stringify(token)} is not in tokenizer.json`);
      return found;
    };
    this.eos = id(names.eos);
    this.pad = options.pad === 'pad' ? id(names.pad) : this.eos;
    this.vocabulary = 1 + Math.max(...tokenizer.get_vocab(true).values());
    this.maxLength = options.maxLength ?? 512;
    this.truncate = options.truncate ?? 'left';
    this.around = specialTokens(tokenizer);
    const { before, after } = this.around;
    if (this.maxLength <= before.length + after.length) {
      throw new UserError(
        `${source}: maxLength: expected more than its ${before.length + after.length} special tokens, got ${this.maxLength}`,
      );
    }
  }

  /** Read a checkpoint folder's tokenizer. Throws UserError where a file is missing or not a tokenizer's. */
  static load(folder: string, options: TokenizerOptions = {}): TextTokenizer {
    const source = join(folder, 'tokenizer.json');
    const definition = readJson(source);
    const config = readJson(join(folder, 'tokenizer_config.json'));
    if (!isObject(definition) || !isObject(definition.model) || !isObject(config)) {
      throw new UserError(
        `${source}: not a Hugging Face tokenizer.json with its tokenizer_config.json; export it again`,
      );
    }
    let tokenizer: Tokenizer;
    try {
      tokenizer = new Tokenizer(definition, config);
    } catch (error) {
      throw new UserError(
        `${source}: cannot be used (${(error as Error).message}); export it again with save_pretrained`,
      );
    }
    const eos = tokenText(config.eos_token) ?? '</s>';
    return new TextTokenizer(tokenizer, { eos, pad: tokenText(config.pad_token) ?? eos }, source, options);
  }

  /** Token ids with the tokenizer's own special tokens (a final eos for T5), cut to maxLength. */
  encode(text: string): number[] {
    const { ids } = this.tokenizer.encode(text);
    if (ids.length <= this.maxLength) return ids;
    const { before, after } = this.around;
    const content = ids.slice(before.length, ids.length - after.length);
    const room = this.maxLength - before.length - after.length;
    const kept = this.truncate === 'left' ? content.slice(-room) : content.slice(0, room);
    return [...before, ...kept, ...after];
  }

  /** Text of token ids, special tokens left out. */
  decode(ids: ArrayLike<number>): string {
    // the library refuses to decode nothing
    return ids.length === 0 ? '' : this.tokenizer.decode(Array.from(ids), { skip_special_tokens: true });
  }

  /** Encode texts into one padded batch whose length is a bucket (models/buckets.ts), or `length` if given. */
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

/** What the tokenizer puts around a text. */
function specialTokens(tokenizer: Tokenizer): { before: number[]; after: number[] } {
  const content: number[] = tokenizer.encode('a', { add_special_tokens: false }).ids;
  const ids: number[] = tokenizer.encode('a').ids;
  const start = ids.findIndex((_, i) => content.every((id, j) => ids[i + j] === id));
  return { before: ids.slice(0, start), after: ids.slice(start + content.length) };
}

/** A special token in tokenizer_config.json is a string or an object with `content`. */
function tokenText(token: unknown): string | undefined {
  if (typeof token === 'string') return token;
  return isObject(token) && typeof token.content === 'string' ? token.content : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
