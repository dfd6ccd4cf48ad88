import { modelOf, readCompletion, tokensOf } from '../net/completion.js';
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

/**
 * A model behind `POST /v1/chat/completions` (OpenAI's API reference, "Create chat completion"). vLLM, llama.cpp, Ollama,
 * SGLang and OpenRouter offer the same API. Pictures are sent as data URLs.
 */
export class OpenAiModel<A> implements ChatModel<A> {
  readonly kind = 'openai';
  private readonly server: JsonServer;
  private readonly name: ModelName;

  constructor(
    server: JsonServerOptions,
    readonly model: string,
    private readonly options: ChatOptions,
    private readonly form: AnswerForm<A>,
  ) {
    this.server = new JsonServer(server);
    this.name = new ModelName(model, `${options.section}.model`, options.warn);
  }

  ask(
    { system, parts }: Question,
    format: Format,
    label: string,
    onTokens: (tokens: number | undefined) => void,
    signal: AbortSignal,
  ): Promise<A> {
    const { maxTokens, reasoning, temperature } = this.options;
    const content = parts.map((part) =>
      typeof part === 'string'
        ? { type: 'text', text: part }
        : { type: 'image_url', image_url: { url: `data:${part.type};base64,${part.base64}` } },
    );
    const schema = { ...this.form.schema, additionalProperties: false };
    const body = JSON.stringify({
      model: this.model,
      messages: [
        { role: 'system', content: system },
        { role: 'user', content },
      ],
      ...(reasoning ? {} : { temperature }),
      // OpenAI's reasoning models accept only the newer name, many other servers only the older one
      ...(maxTokens === 0 ? {} : { [reasoning ? 'max_completion_tokens' : 'max_tokens']: maxTokens }),
      ...(format === 'json'
        ? { response_format: { type: 'json_schema', json_schema: { name: this.form.name, strict: true, schema } } }
        : {}),
    });
    return this.server.post('/v1/chat/completions', body, label, (answer) => this.read(answer, onTokens), signal);
  }

  private read(answer: unknown, onTokens: (tokens: number | undefined) => void): A {
    if (typeof answer !== 'object' || answer === null) throw new WrongAnswer(`answered ${brief(answer)}`);
    onTokens(tokensOf(answer));
    this.name.check(modelOf(answer));
    const { text, thoughts, refusal, finish } = readCompletion(answer);
    if (refusal !== '') throw new DeclinedAnswer(`the model declined to answer: ${brief(refusal)}`);
    if (finish === 'content_filter') throw new DeclinedAnswer('the model declined to answer: content_filter');
    if (finish === 'length')
      throw new WrongAnswer(`cut its answer short (finish_reason length); raise ${this.options.section}.max_tokens`);
    return this.form.read(text !== '' ? text : wholly(thoughts), withoutKeys);
  }
}

/**
 * Thoughts that are nothing but the answer in JSON: vLLM's reasoning parsers take it for thoughts if the model has not
 * thought. @throws WrongAnswer for other thoughts, since what is weighed in them is no verdict
 */
function wholly(thoughts: string): string {
  if (/^\s*\{[\s\S]*\}\s*$/.test(thoughts)) return thoughts;
  throw new WrongAnswer(thoughts === '' ? 'answered no text' : `answered no text, only thoughts: ${brief(thoughts)}`);
}
