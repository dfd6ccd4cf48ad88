import { JsonServer, WrongAnswer, type JsonServerOptions } from '../net/json-server.js';
import { ANSWER_SCHEMA, DeclinedAnswer, type ChatModel, type ChatOptions, type Format, type Question } from './chat.js';
import { brief, parseStatus, type Answer } from './status.js';

interface Completion {
  readonly model?: unknown;
  readonly choices?: unknown;
  readonly usage?: { readonly total_tokens?: unknown };
}

interface Choice {
  readonly finish_reason?: unknown;
  readonly message?: { readonly content?: unknown; readonly refusal?: unknown };
}

/**
 * A model behind `POST /v1/chat/completions` (OpenAI's API reference, "Create chat completion"). vLLM, llama.cpp, Ollama,
 * SGLang and OpenRouter offer the same API. Pictures are sent as data URLs.
 */
export class OpenAiModel implements ChatModel {
  readonly kind = 'openai';
  private readonly server: JsonServer;

  constructor(
    server: JsonServerOptions,
    readonly model: string,
    private readonly options: ChatOptions,
  ) {
    this.server = new JsonServer(server);
  }

  ask(
    { system, parts }: Question,
    format: Format,
    label: string,
    onTokens: (tokens: number | undefined) => void,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { maxTokens, reasoning } = this.options;
    const content = parts.map((part) =>
      typeof part === 'string'
        ? { type: 'text', text: part }
        : { type: 'image_url', image_url: { url: `data:${part.type};base64,${part.base64}` } },
    );
    const schema = { ...ANSWER_SCHEMA, additionalProperties: false };
    const body = JSON.stringify({
      model: this.model,
      messages: [
        { role: 'system', content: system },
        { role: 'user', content },
      ],
      ...(reasoning ? {} : { temperature: 0 }),
      // OpenAI's reasoning models accept only the newer name, many other servers only the older one
      ...(maxTokens === 0 ? {} : { [reasoning ? 'max_completion_tokens' : 'max_tokens']: maxTokens }),
      ...(format === 'json'
        ? { response_format: { type: 'json_schema', json_schema: { name: 'verdict', strict: true, schema } } }
        : {}),
    });
    return this.server.post('/v1/chat/completions', body, label, (answer) => this.read(answer, onTokens), signal);
  }

  private read(answer: unknown, onTokens: (tokens: number | undefined) => void): Answer {
    if (typeof answer !== 'object' || answer === null) throw new WrongAnswer(`answered ${brief(answer)}`);
    const { model, choices, usage } = answer as Completion;
    onTokens(typeof usage?.total_tokens === 'number' ? usage.total_tokens : undefined);
    // OpenAI answers with the name of a dated snapshot: gpt-4o-2024-08-06 for gpt-4o
    if (model !== this.model && !(typeof model === 'string' && model.startsWith(`${this.model}-`))) {
      throw new WrongAnswer(`answered for the model ${brief(model)}, expected ${brief(this.model)} (judge.model)`);
    }
    const [choice] = (Array.isArray(choices) ? choices : []) as Choice[];
    if (typeof choice !== 'object' || choice === null) throw new WrongAnswer(`answered no choices: ${brief(answer)}`);
    const { finish_reason: reason, message } = choice;
    if (typeof message?.refusal === 'string' && message.refusal !== '')
      throw new DeclinedAnswer(`the model declined to answer: ${brief(message.refusal)}`);
    if (reason === 'content_filter') throw new DeclinedAnswer('the model declined to answer: content_filter');
    if (reason === 'length')
      throw new WrongAnswer('cut its answer short (finish_reason length); raise judge.max_tokens');
    if (typeof message?.content !== 'string') throw new WrongAnswer(`answered no text: ${brief(choice)}`);
    return parseStatus(message.content);
  }
}
