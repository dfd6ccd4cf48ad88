import {
  TokenFeeds,
  VectorFeeds,
  actionTexts,
  type ActionText,
  type CriticFeeds,
} from '../../src/agents/critic/critic-feeds.js';
import type { CriticFile } from '../../src/agents/critic/critic.js';
import { TextTower } from '../../src/agents/text/text-tower.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { UserError } from '../../src/errors.js';
import type { Parameters } from '../../src/graph/index.js';
import type { TextLengths, Towers } from '../../src/models/critic/network.js';
import type { RobertaConfig } from '../../src/models/roberta/roberta.js';
import { loadRoberta } from '../../src/models/roberta/checkpoint.js';
import type { StageContext } from '../../src/runner/stage.js';
import { cachesOf, modelsOf, runtimeOf } from '../resources.js';
import type { ModelSettings } from '../sections.js';

/** Settings of the critic's text tower, beside `models.text`. */
export interface TextSettings {
  readonly tokenizer: string;
  readonly text_width: number;
  readonly text_layers: number;
  readonly text_heads: number;
  readonly text_tokens: number;
  readonly train_text_tower: boolean;
  readonly towers: Towers;
  readonly action_text: ActionText;
}

/** The texts of the critic's data: they determine the length of its inputs. */
export interface Texts {
  readonly goals: Iterable<string>;
  readonly actions: Iterable<string>;
}

/** How the critic reads texts. */
export interface CriticText {
  /** length of a text's vector */
  readonly dim: number;
  readonly feeds: CriticFeeds;
  /** its part of the critic's config.json */
  readonly file: Pick<CriticFile, 'text' | 'text_tower' | 'marked' | 'action_text'>;
  /** folder of the tokenizer, which is copied beside the critic's own tower */
  readonly tokenizer?: string;
  /** initial weights of its own tower; undefined for a new one */
  readonly weights?: Parameters;
  /** computes the vectors of texts in advance, in large batches */
  warm?(texts: Texts): Promise<void>;
}

/** The data set of the run that contains the tokenizer; undefined if it comes from a folder. */
export function tokenizerDataset(
  { tokenizer }: Pick<TextSettings, 'tokenizer'>,
  models: ModelSettings,
): string | undefined {
  return models.text !== '' || isFolder(tokenizer) ? undefined : tokenizer;
}

/**
 * With `models.text`: that RoBERTa, either frozen (its vectors are cached for all runs) or as the initial weights of a
 * trained tower. Without: a new tower, which is trained.
 * @throws UserError if a folder is not a RoBERTa checkpoint, or a new tower would never be trained
 */
export async function criticText(ctx: StageContext<TextSettings>, texts: () => Texts): Promise<CriticText> {
  const { settings } = ctx;
  const folder = modelsOf(ctx.config).text;
  if (folder === '') return freshText(ctx, texts());
  return settings.train_text_tower ? trainedText(folder, texts(), settings) : frozenText(ctx, folder);
}

/** Texts encoded together by `warm`. */
const CHUNK = 256;

async function frozenText(ctx: StageContext<TextSettings>, folder: string): Promise<CriticText> {
  const mode = ctx.settings.action_text;
  // three frozen towers of the same weights are one
  const tower = await TextTower.open(await runtimeOf(ctx), folder, cachesOf(ctx));
  return {
    dim: tower.dim,
    feeds: new VectorFeeds(tower, mode),
    file: { text_tower: { folder, fingerprint: tower.fingerprint }, action_text: mode },
    warm: async ({ goals, actions }) => {
      const parts = [...actions]
        .map((action) => actionTexts(action, mode))
        .flatMap(({ type, decision }) => [type, decision]);
      const distinct = [...new Set([...goals, ...parts])];
      const progress = ctx.progress(distinct.length, 'texts encoded');
      for (let start = 0; start < distinct.length; start += CHUNK) {
        ctx.signal.throwIfAborted();
        const texts = distinct.slice(start, start + CHUNK);
        await tower.vectors(texts);
        progress.advance(texts.length);
      }
      progress.done();
    },
  };
}

async function trainedText(
  folder: string,
  texts: Texts,
  { text_tokens: most, towers, action_text: mode }: TextSettings,
): Promise<CriticText> {
  const { config: tower, params: weights } = await loadRoberta(folder);
  const tokenizer = TextTokenizer.load(folder);
  tokenizer.mustFit(tower.vocab_size, folder);
  const lengths = TokenFeeds.lengthsOf(tokenizer, texts, most, mode);
  const positions = tower.max_position_embeddings - tower.pad_token_id - 1;
  if (longest(lengths) > positions) {
    throw new UserError(
      `${folder}: reads at most ${positions} tokens, but a text has ${longest(lengths)}; set critic.text_tokens=${positions}`,
    );
  }
  const feeds = new TokenFeeds(tokenizer, lengths, true, mode);
  return {
    dim: tower.hidden_size,
    feeds,
    file: { text: { tower, lengths, towers }, marked: true, action_text: mode },
    tokenizer: folder,
    weights,
  };
}

async function freshText(ctx: StageContext<TextSettings>, texts: Texts): Promise<CriticText> {
  const { settings } = ctx;
  if (!settings.train_text_tower) {
    throw new UserError(
      'critic.train_text_tower=false: a new text tower would stay random; set models.text=FOLDER to a pre-trained one, or train it',
    );
  }
  const { towers, action_text: mode } = settings;
  const folder = tokenizerFolder(ctx, settings.tokenizer);
  const tokenizer = TextTokenizer.load(folder);
  const lengths = TokenFeeds.lengthsOf(tokenizer, texts, settings.text_tokens, mode);
  const tower = freshTower(tokenizer, settings, longest(lengths));
  const feeds = new TokenFeeds(tokenizer, lengths, false, mode);
  const file = { text: { tower, lengths, towers }, marked: false, action_text: mode };
  return { dim: tower.hidden_size, feeds, file, tokenizer: folder };
}

/** A new encoder with the architecture of RoBERTa for texts of at most `tokens` tokens. */
export function freshTower(
  { vocabulary }: TextTokenizer,
  { text_width, text_layers, text_heads }: Pick<TextSettings, 'text_width' | 'text_layers' | 'text_heads'>,
  tokens: number,
): RobertaConfig {
  return {
    vocab_size: vocabulary,
    hidden_size: text_width,
    num_hidden_layers: text_layers,
    num_attention_heads: text_heads,
    intermediate_size: 4 * text_width,
    max_position_embeddings: tokens + 2,
    type_vocab_size: 1,
    pad_token_id: 1,
    layer_norm_eps: 1e-5,
    hidden_act: 'gelu',
  };
}

/** The folder of a new tower's tokenizer: the named folder, or a data set of the run. */
export function tokenizerFolder(ctx: StageContext<unknown>, tokenizer: string): string {
  return isFolder(tokenizer) ? tokenizer : ctx.dataset(tokenizer);
}

function longest({ type, action, goal }: TextLengths): number {
  return Math.max(type, action, goal);
}

function isFolder(tokenizer: string): boolean {
  return tokenizer.startsWith('/') || tokenizer.startsWith('.');
}
