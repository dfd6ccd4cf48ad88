import type { TextLengths } from '../models/critic-network.js';
import { bucketOf } from '../models/buckets.js';
import { formatDecision, parseAction } from './grammar.js';
import type { TextTokenizer } from './tokenizer.js';

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

/** Texts kept as tokens; goals and actions come again and again. */
const REMEMBERED = 200_000;

/** Turns texts into the critic's token inputs: a mark first (its state is the text's vector), padded on the right. */
export class CriticFeeds {
  private readonly known = new Map<string, readonly number[]>();

  /**
   * @param marked the tokenizer puts its own token at the beginning of a text (RoBERTa's <s>); otherwise an end token is
   * put there
   */
  constructor(
    private readonly tokenizer: TextTokenizer,
    readonly lengths: TextLengths,
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

  /** Feeds of `stateInputs`' texts for some states, padded to `rows` states. */
  states(
    prefix: string,
    states: readonly StateTexts[],
    rows = states.length,
  ): Record<string, BigInt64Array | Float32Array> {
    const previous = states.map((state) => actionTexts(state.previous));
    return {
      ...this.texts(
        `${prefix}previous_type`,
        previous.map(({ type }) => type),
        rows,
        this.lengths.type,
      ),
      ...this.texts(
        `${prefix}previous_text`,
        previous.map(({ decision }) => decision),
        rows,
        this.lengths.action,
      ),
      ...this.texts(
        `${prefix}goal`,
        states.map(({ goal }) => goal),
        rows,
        this.lengths.goal,
      ),
    };
  }

  /** Feeds of `actionInputs`' texts for some actions, padded to `rows` actions. */
  actions(
    prefix: string,
    actions: readonly string[],
    rows = actions.length,
  ): Record<string, BigInt64Array | Float32Array> {
    const texts = actions.map(actionTexts);
    return {
      ...this.texts(
        `${prefix}type`,
        texts.map(({ type }) => type),
        rows,
        this.lengths.type,
      ),
      ...this.texts(
        `${prefix}text`,
        texts.map(({ decision }) => decision),
        rows,
        this.lengths.action,
      ),
    };
  }

  private texts(
    name: string,
    texts: readonly string[],
    rows: number,
    length: number,
  ): Record<string, BigInt64Array | Float32Array> {
    const ids = new BigInt64Array(rows * length).fill(BigInt(this.tokenizer.pad));
    const mask = new Float32Array(rows * length);
    for (let row = 0; row < rows; row++) {
      const tokens = this.tokens(texts[row] ?? '');
      const count = Math.min(length, tokens.length);
      for (let i = 0; i < count; i++) ids[row * length + i] = BigInt(tokens[i]);
      mask.fill(1, row * length, row * length + count);
    }
    return { [`${name}.ids`]: ids, [`${name}.mask`]: mask };
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
