import { TokenFeeds, VectorFeeds, actionTexts, type CriticFeeds } from '../../src/agents/critic/critic-feeds.js';
import type { CriticFile } from '../../src/agents/critic/critic.js';
import { TextTower } from '../../src/agents/text/text-tower.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { UserError } from '../../src/errors.js';
import type { Parameters } from '../../src/graph/index.js';
import type { TextLengths } from '../../src/models/critic/network.js';
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
}

/** The texts of the critic's data: they decide how long its inputs are. */
export interface Texts {
  readonly goals: Iterable<string>;
  readonly actions: Iterable<string>;
}

/** How the critic reads texts. */
export interface CriticText {
  /** length of a text's vector */
  readonly dim: number;
  readonly feeds: CriticFeeds;
  /** what it adds to the critic's config.json */
  readonly file: Pick<CriticFile, 'text' | 'text_tower' | 'marked'>;
  /** folder of the tokenizer's files that the critic keeps beside its own tower */
  readonly tokenizer?: string;
  /** weights that its own tower starts from; none for a fresh one */
  readonly weights?: Parameters;
  /** makes the vectors of texts before they are needed a batch at a time */
  warm?(texts: Texts): Promise<void>;
}

/** The data set of the run that holds the tokenizer, where it is not a folder's. */
export function tokenizerDataset(
  { tokenizer }: Pick<TextSettings, 'tokenizer'>,
  models: ModelSettings,
): string | undefined {
  return models.text !== '' || isFolder(tokenizer) ? undefined : tokenizer;
}

/**
 * With `models.text`: that RoBERTa, frozen (its vectors are made once and kept for all runs) or as the start of a tower
 * that is trained. Without: a fresh tower, to be trained.
 * @throws UserError where a folder is no RoBERTa checkpoint, or a fresh tower would never be trained
 */
export async function criticText(ctx: StageContext<TextSettings>, texts: () => Texts): Promise<CriticText> {
  const { settings } = ctx;
  const folder = modelsOf(ctx.config).text;
  if (folder === '') return freshText(ctx, texts());
  return settings.train_text_tower ? trainedText(folder, texts(), settings) : frozenText(ctx, folder);
}

/** Texts whose vectors are made together while warming up. */
const CHUNK = 256;

async function frozenText(ctx: StageContext<TextSettings>, folder: string): Promise<CriticText> {
  const tower = await TextTower.open(await runtimeOf(ctx), folder, cachesOf(ctx));
  return {
    dim: tower.dim,
    feeds: new VectorFeeds(tower),
    file: { text_tower: { folder, fingerprint: tower.fingerprint } },
    warm: async ({ goals, actions }) => {
      const parts = [...actions].map(actionTexts).flatMap(({ type, decision }) => [type, decision]);
      const distinct = [...new Set([...goals, ...parts])];
      const progress = ctx.progress(distinct.length, 'vectors of texts');
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

async function trainedText(folder: string, texts: Texts, { text_tokens: most }: TextSettings): Promise<CriticText> {
  const { config: tower, params: weights } = await loadRoberta(folder);
  const tokenizer = TextTokenizer.load(folder);
  tokenizer.mustFit(tower.vocab_size, folder);
  const lengths = TokenFeeds.lengthsOf(tokenizer, texts, most);
  const positions = tower.max_position_embeddings - tower.pad_token_id - 1;
  if (longest(lengths) > positions) {
    throw new UserError(
      `${folder}: reads ${positions} tokens at most, and there are texts of ${longest(lengths)}; set critic.text_tokens=${positions}`,
    );
  }
  const feeds = new TokenFeeds(tokenizer, lengths, true);
  return {
    dim: tower.hidden_size,
    feeds,
    file: { text: { tower, lengths }, marked: true },
    tokenizer: folder,
    weights,
  };
}

async function freshText(ctx: StageContext<TextSettings>, texts: Texts): Promise<CriticText> {
  const { settings } = ctx;
  if (!settings.train_text_tower) {
    throw new UserError(
      'critic.train_text_tower=false: a fresh text tower would stay random; name a pre-trained one with models.text=FOLDER, or train it',
    );
  }
  const folder = tokenizerFolder(ctx, settings.tokenizer);
  const tokenizer = TextTokenizer.load(folder);
  const lengths = TokenFeeds.lengthsOf(tokenizer, texts, settings.text_tokens);
  const tower = freshTower(tokenizer, settings, longest(lengths));
  const feeds = new TokenFeeds(tokenizer, lengths);
  return { dim: tower.hidden_size, feeds, file: { text: { tower, lengths }, marked: false }, tokenizer: folder };
}

/** An encoder of RoBERTa's class for texts of at most `tokens` tokens. */
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

/** Where a fresh tower's tokenizer lies: a folder that is named as such, or a data set of the run. */
export function tokenizerFolder(ctx: StageContext<unknown>, tokenizer: string): string {
  return isFolder(tokenizer) ? tokenizer : ctx.dataset(tokenizer);
}

function longest({ type, action, goal }: TextLengths): number {
  return Math.max(type, action, goal);
}

function isFolder(tokenizer: string): boolean {
  return tokenizer.startsWith('/') || tokenizer.startsWith('.');
}
