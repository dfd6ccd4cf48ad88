import type { TextLengths } from '../../models/critic/network.js';
import { bucketOf } from '../../models/buckets.js';
import { formatDecision, parseAction } from '../grammar.js';
import type { TextTower } from '../text/text-tower.js';
import type { TextTokenizer } from '../text/tokenizer.js';

/** The critic's text inputs for a state. */
export interface StateTexts {
  /** text of the previous action, '' at the first step */
  readonly previous: string;
  readonly goal: string;
}

/**
 * What the critic's text towers read of an action beside its type: its whole `decision`, coordinates and typed text, or
 * the `typed` text alone, as the released critic does (docs/algorithms.md §2.4).
 */
export type ActionText = 'decision' | 'typed';

/**
 * An action's type and text as inputs of the critic's text towers. An invalid action is its whole text, without a type; for
 * `typed` it is both, as in the released code.
 */
export function actionTexts(text: string, mode: ActionText = 'decision'): { type: string; decision: string } {
  if (text === '') return { type: '', decision: '' };
  const parsed = parseAction(text);
  if ('invalid' in parsed) return { type: mode === 'typed' ? text : '', decision: text };
  const { action } = parsed;
  const typed = action.type === 'TYPE' ? action.text : '';
  return { type: action.type, decision: mode === 'typed' ? typed : formatDecision(action) };
}

/** Feeds of a graph, by the names of its inputs. */
export type Feeds = Record<string, BigInt64Array | Float32Array>;

/** Turns texts into inputs of the critic's network (models/critic/network.ts). */
export interface CriticFeeds {
  /** Feeds of `stateInputs`' texts for some states, padded to `rows` states. */
  states(prefix: string, states: readonly StateTexts[], rows?: number): Promise<Feeds>;
  /** Feeds of `actionInputs`' texts for some actions, padded to `rows` actions. */
  actions(prefix: string, actions: readonly string[], rows?: number): Promise<Feeds>;
}

/** The texts of states by the names of their inputs. */
function stateTexts(
  prefix: string,
  states: readonly StateTexts[],
  mode: ActionText,
): [name: string, kind: keyof TextLengths, texts: string[]][] {
  const previous = states.map((state) => actionTexts(state.previous, mode));
  return [
    [`${prefix}previous_type`, 'type', previous.map(({ type }) => type)],
    [`${prefix}previous_text`, 'action', previous.map(({ decision }) => decision)],
    [`${prefix}goal`, 'goal', states.map(({ goal }) => goal)],
  ];
}

function actionTextsByName(
  prefix: string,
  actions: readonly string[],
  mode: ActionText,
): ReturnType<typeof stateTexts> {
  const texts = actions.map((action) => actionTexts(action, mode));
  return [
    [`${prefix}type`, 'type', texts.map(({ type }) => type)],
    [`${prefix}text`, 'action', texts.map(({ decision }) => decision)],
  ];
}

/** A frozen tower that gives the vectors of texts. */
export type Tower = Pick<TextTower, 'dim' | 'vectors'>;

/** For a network without a text tower: vectors of the texts from frozen towers, one for all or one for each kind of text. */
export class VectorFeeds implements CriticFeeds {
  private readonly towers: Readonly<Record<keyof TextLengths, Tower>>;

  constructor(
    tower: Tower | Readonly<Record<keyof TextLengths, Tower>>,
    private readonly mode: ActionText = 'decision',
  ) {
    this.towers = 'vectors' in tower ? { type: tower, action: tower, goal: tower } : tower;
  }

  states(prefix: string, states: readonly StateTexts[], rows = states.length): Promise<Feeds> {
    return this.feeds(stateTexts(prefix, states, this.mode), rows);
  }

  actions(prefix: string, actions: readonly string[], rows = actions.length): Promise<Feeds> {
    return this.feeds(actionTextsByName(prefix, actions, this.mode), rows);
  }

  private async feeds(named: ReturnType<typeof stateTexts>, rows: number): Promise<Feeds> {
    const feeds: Feeds = {};
    for (const tower of new Set(Object.values(this.towers))) {
      const own = named.filter(([, kind]) => this.towers[kind] === tower);
      // all in one call, so that equal texts are looked up once
      const vectors = (await tower.vectors(own.flatMap(([, , texts]) => texts)))[Symbol.iterator]();
      for (const [name, , texts] of own) {
        const joined = new Float32Array(rows * tower.dim);
        texts.forEach((_, row) => joined.set(vectors.next().value!, row * tower.dim));
        feeds[`${name}.vector`] = joined;
      }
    }
    return feeds;
  }
}

/** Most texts whose tokens are cached, since goals and actions repeat often. */
const REMEMBERED = 200_000;

/** For a network with its own text tower: tokens padded on the right. The first is a mark whose state is the text's vector. */
export class TokenFeeds implements CriticFeeds {
  private readonly known = new Map<string, readonly number[]>();

  /**
   * @param marked whether the tokenizer itself puts a token at the beginning of a text (RoBERTa's <s>); if not, an end token
   * is put there
   */
  constructor(
    private readonly tokenizer: TextTokenizer,
    private readonly lengths: TextLengths,
    private readonly marked = false,
    private readonly mode: ActionText = 'decision',
  ) {}

  /** The smallest lengths in tokens that hold all given texts, but at most `most`. */
  static lengthsOf(
    tokenizer: TextTokenizer,
    texts: { goals: Iterable<string>; actions: Iterable<string> },
    most: number,
    mode: ActionText = 'decision',
  ): TextLengths {
    const longest = (list: Iterable<string>) => {
      let length = 0;
      for (const text of list) length = Math.max(length, tokenizer.encode(text).length);
      return Math.min(most, 1 + length);
    };
    const actions = [...texts.actions].map((action) => actionTexts(action, mode));
    return {
      type: longest(new Set(actions.map(({ type }) => type))),
      action: bucketOf(longest(new Set(actions.map(({ decision }) => decision)))),
      goal: bucketOf(longest(new Set(texts.goals))),
    };
  }

  async states(prefix: string, states: readonly StateTexts[], rows = states.length): Promise<Feeds> {
    return this.feeds(stateTexts(prefix, states, this.mode), rows);
  }

  async actions(prefix: string, actions: readonly string[], rows = actions.length): Promise<Feeds> {
    return this.feeds(actionTextsByName(prefix, actions, this.mode), rows);
  }

  private feeds(named: ReturnType<typeof stateTexts>, rows: number): Feeds {
    const feeds: Feeds = {};
    for (const [name, kind, texts] of named) {
      const length = this.lengths[kind];
      const ids = new BigInt64Array(rows * length).fill(BigInt(this.tokenizer.pad));
      const mask = new Float32Array(rows * length);
      for (let row = 0; row < rows; row++) {
        const tokens = this.tokens(texts[row] ?? '');
        const count = Math.min(length, tokens.length);
        for (let i = 0; i < count; i++) ids[row * length + i] = BigInt(tokens[i]);
        mask.fill(1, row * length, row * length + count);
      }
      feeds[`${name}.ids`] = ids;
      feeds[`${name}.mask`] = mask;
    }
    return feeds;
  }

  private tokens(text: string): readonly number[] {
    let tokens = this.known.get(text);
    if (!tokens) {
      if (this.known.size >= REMEMBERED) this.known.clear();
      const ids = this.tokenizer.encode(text);
      tokens = this.marked ? ids : [this.tokenizer.eos, ...ids];
      this.known.set(text, tokens);
    }
    return tokens;
  }
}
