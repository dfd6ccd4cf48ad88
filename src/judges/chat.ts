import { RunError } from '../errors.js';

/** A picture to send: its file's bytes, in base64. */
export interface Picture {
  readonly type: 'image/png' | 'image/jpeg' | 'image/webp';
  readonly base64: string;
}

/** A question: the system prompt, then texts and pictures in order. */
export interface Question {
  readonly system: string;
  readonly parts: readonly (string | Picture)[];
}

/** The form of the answer: JSON by a schema that the server enforces, or plain text. */
export type Format = 'json' | 'text';

/** What the answer to a question is, and how it is read from the model's text. */
export interface AnswerForm<A> {
  /** name of the schema: letters and underscores */
  readonly name: string;
  /** JSON schema of the answer; Gemini takes the same one without `additionalProperties` */
  readonly schema: Readonly<Record<string, unknown>>;
  /**
   * @param text the model's text without its thoughts
   * @param clean hides the server's key in words that are kept
   * @throws WrongAnswer if it is no answer
   */
  read(text: string, clean: (words: string) => string): A;
}

/** A model behind a server that answers questions about pictures. @typeParam A what it answers */
export interface ChatModel<A> {
  readonly kind: string;
  readonly model: string;
  /**
   * @param label names the request; seeds the random part of the waits between tries
   * @param onTokens called with the tokens of every answer, good or bad; undefined if the server does not report them
   * @throws DeclinedAnswer; RefusedRequest; RunError after the last retry
   */
  ask(
    question: Question,
    format: Format,
    label: string,
    onTokens: (tokens: number | undefined) => void,
    signal: AbortSignal,
  ): Promise<A>;
}

/** The model declines to answer this question (safety rules, a filter); asking again would not help. */
export class DeclinedAnswer extends RunError {}

export interface ChatOptions {
  /** section of the settings, for messages: `judge` */
  readonly section: string;
  /** sampling temperature; 0 is greedy */
  readonly temperature: number;
  /** most tokens of an answer, reasoning included; 0: the server's own limit */
  readonly maxTokens: number;
  /** whether the model reasons before it answers; such models accept no temperature */
  readonly reasoning: boolean;
  /** called once if the server answers for a model of another name */
  readonly warn?: (line: string) => void;
}
