import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ACTION_TYPES } from '../../data/action.js';
import { writeAtomic } from '../../data/store/atomic.js';

/** The vocabulary of the pocket tokenizer. All other text becomes one token per character. */
export interface PocketVocabulary {
  /** parts of names (`best`, `mart`, `.com`); their tokens never include a space */
  readonly pieces: readonly string[];
  /** ordinary words; each has a token with and one without a leading space */
  readonly words: readonly string[];
  /** the coordinate grid: a point is the centre of one of rows × columns cells */
  readonly grid: { readonly rows: number; readonly columns: number };
}

export const PAD = '<pad>';
export const EOS = '</s>';
export const UNK = '<unk>';

/** Coordinate of the centre of cell `index` of `count`, with four decimals as in Auto-UI's actions. */
export function gridCentre(index: number, count: number): string {
  return ((index + 0.5) / count).toFixed(4);
}

/**
 * A tokenizer.json (Hugging Face `tokenizers` format, BPE without merges). Its tokens are the fixed parts of Auto-UI's
 * actions and prompts, the coordinates of the grid, words and single characters. So an action is 14 tokens plus its typed
 * text instead of about 70, and a word that is copied from the goal into `typed_text` is the same token there.
 */
export function pocketTokenizer(vocabulary: PocketVocabulary): { tokenizer: object; config: object } {
  const { rows, columns } = vocabulary.grid;
  const fixed = [
    'Action Plan: [',
    ']; Action Decision: ',
    '"action_type": "',
    '", "touch_point": "[',
    ']", "lift_point": "[',
    ']", "typed_text": "',
    'Previous Actions: ',
    ' Goal: ',
    ' Question: ',
    'Yes',
    'No',
    '-1.0, ',
    '-1.0',
    ...ACTION_TYPES,
    ...Array.from({ length: rows }, (_, r) => `${gridCentre(r, rows)}, `),
    ...Array.from({ length: columns }, (_, c) => gridCentre(c, columns)),
  ];
  const spaced = vocabulary.words.map((word) => ` ${word}`);
  const characters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const vocab = new Map<string, number>();
  for (const token of [PAD, EOS, UNK, ...fixed, ...vocabulary.pieces, ...spaced, ...vocabulary.words, ...characters]) {
    if (!vocab.has(token)) vocab.set(token, vocab.size);
  }
  // A word must not be followed by a letter or digit; pieces are parts of names, so they may be.
  const pattern = [
    anyOf(fixed),
    `${anyOf([...spaced, ...vocabulary.words])}(?![A-Za-z0-9])`,
    anyOf(vocabulary.pieces),
    '[\\s\\S]',
  ].join('|');
  const special = (content: string, id: number) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [PAD, EOS, UNK].map(special),
      normalizer: null,
      pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: EOS, type_id: 0 } }],
        pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { [EOS]: { id: EOS, ids: [1], tokens: [EOS] } },
      },
      decoder: { type: 'Fuse' },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: UNK,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: true,
        vocab: Object.fromEntries(vocab),
        merges: [],
      },
    },
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      pad_token: PAD,
      eos_token: EOS,
      unk_token: UNK,
      model_max_length: 512,
      clean_up_tokenization_spaces: false,
    },
  };
}

/** Writes tokenizer.json and tokenizer_config.json into a checkpoint folder. Returns the number of tokens. */
export async function writePocketTokenizer(folder: string, vocabulary: PocketVocabulary): Promise<number> {
  const { tokenizer, config } = pocketTokenizer(vocabulary);
  mkdirSync(folder, { recursive: true });
  await writeAtomic(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeAtomic(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  return Object.keys((tokenizer as { model: { vocab: object } }).model.vocab).length;
}

interface Trie {
  readonly next: Map<string, Trie>;
  end: boolean;
}

/**
 * A pattern that matches the longest of the tokens, with common prefixes factored out. A plain alternation of hundreds of
 * tokens is tried one by one at every character, which took most of the time of a rollout.
 */
function anyOf(tokens: readonly string[]): string {
  const root: Trie = { next: new Map(), end: false };
  for (const token of tokens) {
    let at = root;
    for (const character of token) {
      let next = at.next.get(character);
      if (!next) at.next.set(character, (next = { next: new Map(), end: false }));
      at = next;
    }
    at.end = true;
  }
  return trieRegex(root);
}

function trieRegex({ next, end }: Trie): string {
  const branches = [...next].map(([character, rest]) => escapeRegex(character) + trieRegex(rest));
  if (branches.length === 0) return '';
  if (branches.length === 1 && !end) return branches[0];
  return `(?:${branches.join('|')})${end ? '?' : ''}`;
}

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
