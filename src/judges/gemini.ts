import { withoutThoughts } from '../net/completion.js';
import { JsonServer, WrongAnswer, type JsonServerOptions } from '../net/json-server.js';
import { ModelName } from '../net/model-name.js';
import { withoutKeys } from '../secrets/known.js';
import {
  DeclinedAnswer,
  type AnswerForm,
  type ChatModel,
  type ChatOptions,
  type Format,
  type Question,
} from './chat.js';
import { brief } from '../net/brief.js';

interface Generated {
  readonly modelVersion?: unknown;
  readonly candidates?: unknown;
  readonly promptFeedback?: { readonly blockReason?: unknown };
  readonly usageMetadata?: { readonly totalTokenCount?: unknown };
}

interface Candidate {
  readonly finishReason?: unknown;
  readonly content?: { readonly parts?: unknown };
}

/** Finish reasons by which Gemini declines to answer; the same question would meet them again. */
const DECLINED = new Set(['SAFETY', 'RECITATION', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY']);

/**
 * Gemini by its REST API (https://ai.google.dev/api/generate-content): `POST /v1beta/models/M:generateContent`, with
 * inline pictures. The key goes into a header, never into the URL.
 */
export class GeminiModel<A> implements ChatModel<A> {
  readonly kind = 'gemini';
  readonly model: string;
  private readonly server: JsonServer;
  private readonly name: ModelName;

  constructor(
    server: JsonServerOptions,
    model: string,
    private readonly options: ChatOptions,
    private readonly form: AnswerForm<A>,
  ) {
    this.model = model.replace(/^models\//, '');
    this.server = new JsonServer({ ...server, keyHeader: 'x-goog-api-key' });
    this.name = new ModelName(this.model, `${options.section}.model`, options.warn);
  }

  ask(
    { system, parts }: Question,
    format: Format,
    label: string,
    onTokens: (tokens: number | undefined) => void,
    signal: AbortSignal,
  ): Promise<A> {
    const { maxTokens, reasoning, temperature } = this.options;
    const body = JSON.stringify({
      systemInstruction: { parts: [{ text: system }] },
      contents: [
        {
          role: 'user',
          parts: parts.map((part) =>
            typeof part === 'string' ? { text: part } : { inlineData: { mimeType: part.type, data: part.base64 } },
          ),
        },
      ],
      generationConfig: {
        ...(reasoning ? {} : { temperature }),
        ...(maxTokens === 0 ? {} : { maxOutputTokens: maxTokens }),
        ...(format === 'json' ? { responseMimeType: 'application/json', responseSchema: this.form.schema } : {}),
      },
    });
    const path = `/v1beta/models/${encodeURIComponent(this.model)}:generateContent`;
    return this.server.post(path, body, label, (answer) => this.read(answer, onTokens), signal);
  }

  private read(answer: unknown, onTokens: (tokens: number | undefined) => void): A {
    if (typeof answer !== 'object' || answer === null) throw new WrongAnswer(`answered ${brief(answer)}`);
    const { modelVersion, candidates, promptFeedback, usageMetadata } = answer as Generated;
    const tokens = usageMetadata?.totalTokenCount;
    onTokens(typeof tokens === 'number' ? tokens : undefined);
    this.name.check(modelVersion);
    if (typeof promptFeedback?.blockReason === 'string')
      throw new DeclinedAnswer(`the model declined to answer: ${brief(promptFeedback.blockReason)}`);
    const [candidate] = (Array.isArray(candidates) ? candidates : []) as Candidate[];
    if (typeof candidate !== 'object' || candidate === null)
      throw new WrongAnswer(`answered no candidates: ${brief(answer)}`);
    const { finishReason, content } = candidate;
    if (typeof finishReason === 'string' && DECLINED.has(finishReason))
      throw new DeclinedAnswer(`the model declined to answer: ${finishReason}`);
    if (finishReason === 'MAX_TOKENS')
      throw new WrongAnswer(`cut its answer short (MAX_TOKENS); raise ${this.options.section}.max_tokens`);
    const pieces = Array.isArray(content?.parts)
      ? (content.parts as ({ text?: unknown; thought?: unknown } | null)[])
      : [];
    const texts = pieces.filter((piece) => piece?.thought !== true).map((piece) => piece?.text);
    if (texts.length === 0 || !texts.every((piece) => typeof piece === 'string'))
      throw new WrongAnswer(`answered no text: ${brief(candidate)}`);
    return this.form.read(withoutThoughts(texts.join('')), withoutKeys);
  }
}
