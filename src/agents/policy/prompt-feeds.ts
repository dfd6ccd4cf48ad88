import { bucketOf } from '../../models/buckets.js';
import type { RobertaConfig } from '../../models/roberta/roberta.js';
import type { Feeds } from '../critic/critic-feeds.js';
import type { TextTower } from '../text/text-tower.js';
import { padTokens, type TextTokenizer } from '../text/tokenizer.js';

/** Turns prompts into the inputs of DigiRL's value functions (models/value.ts). */
export interface PromptFeeds {
  /** length of a prompt's vector */
  readonly dim: number;
  /** the encoder of prompts, if it is trained together with the value functions */
  readonly tower?: RobertaConfig;
  /**
   * Feeds for some prompts: `text` [B, dim], or `ids` and `mask` [B, length] if the tower is trained.
   * @returns the feeds, and the length to which tokens are padded (0 for vectors)
   */
  of(prompts: readonly string[]): Promise<{ readonly feeds: Feeds; readonly length: number }>;
}

/** Vectors from a frozen tower. */
export class PromptVectors implements PromptFeeds {
  constructor(private readonly texts: Pick<TextTower, 'dim' | 'vectors'>) {}

  get dim(): number {
    return this.texts.dim;
  }

  async of(prompts: readonly string[]): Promise<{ feeds: Feeds; length: number }> {
    const text = new Float32Array(prompts.length * this.dim);
    (await this.texts.vectors(prompts)).forEach((vector, row) => text.set(vector, row * this.dim));
    return { feeds: { text }, length: 0 };
  }
}

/** Most prompts whose tokens are cached, since prompts repeat often. */
const REMEMBERED = 100_000;

/** Tokens for a trained tower: an end token, whose hidden state is the text's vector, then the prompt's last tokens. */
export class PromptTokens implements PromptFeeds {
  private readonly known = new Map<string, readonly number[]>();

  constructor(
    private readonly tokenizer: TextTokenizer,
    readonly tower: RobertaConfig,
    private readonly longest: number,
    /** whether the tokenizer itself begins a text with a token (RoBERTa's <s>); if not, an end token is put there */
    private readonly marked = false,
  ) {}

  get dim(): number {
    return this.tower.hidden_size;
  }

  async of(prompts: readonly string[]): Promise<{ feeds: Feeds; length: number }> {
    const rows = prompts.map((prompt) => this.tokens(prompt));
    const length = Math.min(bucketOf(Math.max(...rows.map((row) => row.length))), this.longest);
    const { ids, mask } = padTokens(rows, this.tokenizer.pad, length);
    return { feeds: { ids, mask }, length };
  }

  private tokens(prompt: string): readonly number[] {
    let tokens = this.known.get(prompt);
    if (!tokens) {
      if (this.known.size >= REMEMBERED) this.known.clear();
      const ids = this.tokenizer.encode(prompt);
      const [first, rest] = this.marked ? [ids[0], ids.slice(1)] : [this.tokenizer.eos, ids];
      tokens = [first, ...rest.slice(-(this.longest - 1))];
      this.known.set(prompt, tokens);
    }
    return tokens;
  }
}
