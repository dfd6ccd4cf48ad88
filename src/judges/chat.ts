import { RunError } from '../errors.js';
import type { Answer } from './status.js';

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

/** A model behind a server that answers questions about pictures. */
export interface ChatModel {
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
  ): Promise<Answer>;
}

/** The model declines to answer this question (safety rules, a filter); asking again would not help. */
export class DeclinedAnswer extends RunError {}

/** The JSON schema of an answer; Gemini takes the same one without `additionalProperties`. */
export const ANSWER_SCHEMA = {
  type: 'object',
  properties: {
    reasoning: { type: 'string' },
    status: { type: 'string', enum: ['success', 'failure'] },
  },
  required: ['reasoning', 'status'],
} as const;

export interface ChatOptions {
  /** most tokens of an answer, reasoning included; 0: the server's own limit */
  readonly maxTokens: number;
  /** whether the model reasons before it answers; such models accept no temperature */
  readonly reasoning: boolean;
  /** called once if the server answers for a model of another name */
  readonly warn?: (line: string) => void;
}
