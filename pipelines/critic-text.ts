import { TextTokenizer } from '../src/agents/tokenizer.js';
import { UserError } from '../src/errors.js';
import type { Parameters } from '../src/graph/index.js';
import type { TextLengths } from '../src/models/critic-network.js';
import type { RobertaConfig } from '../src/models/roberta.js';
import { loadRoberta } from '../src/models/roberta-checkpoint.js';
import type { StageContext } from '../src/runner/stage.js';

/** Settings of the critic's text tower. */
export interface TextSettings {
  readonly tokenizer: string;
  readonly text_tower: string;
  readonly text_width: number;
  readonly text_layers: number;
  readonly text_heads: number;
  readonly train_text_tower: boolean;
}

/** What the critic reads texts with: an encoder of RoBERTa's class, pre-trained or fresh. */
export interface CriticText {
  readonly tokenizer: TextTokenizer;
  /** folder of the tokenizer's files */
  readonly folder: string;
  /** whether the tokenizer marks the beginning of a text itself (see CriticFeeds) */
  readonly marked: boolean;
  /** weights to start from; none for a fresh tower */
  readonly weights?: Parameters;
  /** the architecture, for texts of these lengths */
  config(lengths: TextLengths): RobertaConfig;
}

/** The data set of the run that holds the tokenizer, where it is not a folder's. */
export function tokenizerDataset({ tokenizer, text_tower }: TextSettings): string | undefined {
  return text_tower !== '' || isFolder(tokenizer) ? undefined : tokenizer;
}

/** @throws UserError where a folder is no RoBERTa checkpoint, or a fresh tower would never be trained */
export async function criticText(ctx: StageContext<TextSettings>): Promise<CriticText> {
  const { settings } = ctx;
  if (settings.text_tower !== '') {
    const folder = settings.text_tower;
    const { config, params } = await loadRoberta(folder);
    const tokenizer = TextTokenizer.load(folder);
    if (tokenizer.vocabulary > config.vocab_size) {
      throw new UserError(
        `${folder}: its tokenizer has ${tokenizer.vocabulary} tokens, its config.json a vocab_size of ${config.vocab_size}; are they of the same model?`,
      );
    }
    const positions = config.max_position_embeddings - config.pad_token_id - 1;
    const checked = ({ type, action, goal }: TextLengths): RobertaConfig => {
      const longest = Math.max(type, action, goal);
      if (longest <= positions) return config;
      throw new UserError(
        `${folder}: reads ${positions} tokens at most, and there are texts of ${longest}; set critic.text_tokens=${positions}`,
      );
    };
    return { tokenizer, folder, marked: true, weights: params, config: checked };
  }
  if (!settings.train_text_tower) {
    throw new UserError(
      'critic.train_text_tower=false: a fresh text tower would stay random; name a pre-trained one with critic.text_tower=FOLDER, or train it',
    );
  }
  const folder = isFolder(settings.tokenizer) ? settings.tokenizer : ctx.dataset(settings.tokenizer);
  const tokenizer = TextTokenizer.load(folder);
  const config = ({ type, action, goal }: TextLengths): RobertaConfig => ({
    vocab_size: tokenizer.vocabulary,
    hidden_size: settings.text_width,
    num_hidden_layers: settings.text_layers,
    num_attention_heads: settings.text_heads,
    intermediate_size: 4 * settings.text_width,
    max_position_embeddings: Math.max(type, action, goal) + 2,
    type_vocab_size: 1,
    pad_token_id: 1,
    layer_norm_eps: 1e-5,
    hidden_act: 'gelu',
  });
  return { tokenizer, folder, marked: false, config };
}

function isFolder(tokenizer: string): boolean {
  return tokenizer.startsWith('/') || tokenizer.startsWith('.');
}
