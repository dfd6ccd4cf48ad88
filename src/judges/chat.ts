import { RunError } from '../errors.js';
import type { Answer } from './status.js';

/** A picture as it is sent: the bytes of its file. */
export interface Picture {
  readonly type: 'image/png' | 'image/jpeg' | 'image/webp';
  readonly base64: string;
}

/** A question: who the model is to be, and texts and pictures in their order. */
export interface Question {
  readonly system: string;
  readonly parts: readonly (string | Picture)[];
}

/** How an answer is to be written: in JSON by a schema that the server enforces, or in plain text. */
export type Format = 'json' | 'text';

/** A model behind a server that answers questions about pictures. */
export interface ChatModel {
  readonly kind: string;
  readonly model: string;
  /**
   * @param label names the request, for the random part of the waits between tries
   * @param onTokens told of the tokens of every answer that came, good or not; undefined where the server does not say
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

/** The model will not answer this question (its safety rules, a filter): asked again it would not either. */
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
  /** of the model's answers, its reasons included; 0: as many as the server likes */
  readonly maxTokens: number;
  /** a model that reasons before it answers: such models take no temperature */
  readonly reasoning: boolean;
}
