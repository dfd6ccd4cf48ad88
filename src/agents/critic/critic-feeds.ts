import type { TextLengths } from '../../models/critic/network.js';
import { bucketOf } from '../../models/buckets.js';
import { formatDecision, parseAction } from '../grammar.js';
import type { TextTower } from '../text/text-tower.js';
import type { TextTokenizer } from '../text/tokenizer.js';

/** What the critic is told of a state, beside its vectors. */
export interface StateTexts {
  /** text of the action before, '' at the first step */
  readonly previous: string;
  readonly goal: string;
}

/** An action's type and decision as the critic's text tower reads them; an invalid one is all text and no type. */
export function actionTexts(text: string): { type: string; decision: string } {
  if (text === '') return { type: '', decision: '' };
  const parsed = parseAction(text);
  return 'invalid' in parsed
    ? { type: '', decision: text }
    : { type: parsed.action.type, decision: formatDecision(parsed.action) };
}

/** Feeds of a graph, by the names of its inputs. */
export type Feeds = Record<string, BigInt64Array | Float32Array>;

/** Turns texts into what the critic's network reads (models/critic-network.ts). */
export interface CriticFeeds {
  /** Feeds of `stateInputs`' texts for some states, padded to `rows` states. */
  states(prefix: string, states: readonly StateTexts[], rows?: number): Promise<Feeds>;
  /** Feeds of `actionInputs`' texts for some actions, padded to `rows` actions. */
  actions(prefix: string, actions: readonly string[], rows?: number): Promise<Feeds>;
}

/** The texts of states and actions by the names of their inputs. */
function stateTexts(
  prefix: string,
  states: readonly StateTexts[],
): [name: string, kind: keyof TextLengths, texts: string[]][] {
  const previous = states.map((state) => actionTexts(state.previous));
  return [
    [`${prefix}previous_type`, 'type', previous.map(({ type }) => type)],
    [`${prefix}previous_text`, 'action', previous.map(({ decision }) => decision)],
    [`${prefix}goal`, 'goal', states.map(({ goal }) => goal)],
  ];
}

function actionTextsByName(prefix: string, actions: readonly string[]): ReturnType<typeof stateTexts> {
  const texts = actions.map(actionTexts);
  return [
    [`${prefix}type`, 'type', texts.map(({ type }) => type)],
    [`${prefix}text`, 'action', texts.map(({ decision }) => decision)],
  ];
}

/** For a network without a text tower: the vectors that a tower makes of the texts, which stays as it is. */
export class VectorFeeds implements CriticFeeds {
  constructor(private readonly tower: Pick<TextTower, 'dim' | 'vectors'>) {}

  states(prefix: string, states: readonly StateTexts[], rows = states.length): Promise<Feeds> {
    return this.feeds(stateTexts(prefix, states), rows);
  }

  actions(prefix: string, actions: readonly string[], rows = actions.length): Promise<Feeds> {
    return this.feeds(actionTextsByName(prefix, actions), rows);
  }

  private async feeds(named: ReturnType<typeof stateTexts>, rows: number): Promise<Feeds> {
    const { dim } = this.tower;
    // all of them in one call: equal texts are looked up once
    const vectors = (await this.tower.vectors(named.flatMap(([, , texts]) => texts)))[Symbol.iterator]();
    const feeds: Feeds = {};
    for (const [name, , texts] of named) {
      const joined = new Float32Array(rows * dim);
      texts.forEach((_, row) => joined.set(vectors.next().value!, row * dim));
      feeds[`${name}.vector`] = joined;
    }
    return feeds;
  }
}

/** Texts kept as tokens; goals and actions come again and again. */
const REMEMBERED = 200_000;

/** For a network with its own text tower: tokens, a mark first (its state is the text's vector), padded on the right. */
export class TokenFeeds implements CriticFeeds {
  private readonly known = new Map<string, readonly number[]>();

  /**
   * @param marked the tokenizer puts its own token at the beginning of a text (RoBERTa's <s>); otherwise an end token is
   * put there
   */
  constructor(
    private readonly tokenizer: TextTokenizer,
    private readonly lengths: TextLengths,
    private readonly marked = false,
  ) {}

  /** Lengths that hold all of some texts, but for the ends of those of more than `most` tokens. */
  static lengthsOf(
    tokenizer: TextTokenizer,
    texts: { goals: Iterable<string>; actions: Iterable<string> },
    most: number,
  ): TextLengths {
    const longest = (list: Iterable<string>) => {
      let length = 0;
      for (const text of list) length = Math.max(length, tokenizer.encode(text).length);
      return Math.min(most, 1 + length);
    };
    const actions = [...texts.actions].map(actionTexts);
    return {
      type: longest(new Set(actions.map(({ type }) => type))),
      action: bucketOf(longest(new Set(actions.map(({ decision }) => decision)))),
      goal: bucketOf(longest(new Set(texts.goals))),
    };
  }

  async states(prefix: string, states: readonly StateTexts[], rows = states.length): Promise<Feeds> {
    return this.feeds(stateTexts(prefix, states), rows);
  }

  async actions(prefix: string, actions: readonly string[], rows = actions.length): Promise<Feeds> {
    return this.feeds(actionTextsByName(prefix, actions), rows);
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
