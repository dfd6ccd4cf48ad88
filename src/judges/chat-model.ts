import type { JsonServerOptions } from '../net/json-server.js';
import type { AnswerForm, ChatModel, ChatOptions } from './chat.js';
import { GeminiModel } from './gemini.js';
import { OpenAiModel } from './openai.js';

/** The model of a judge behind its server. @param kind `gemini`; others speak OpenAI's API */
export function chatModel<A>(
  kind: string,
  server: JsonServerOptions,
  model: string,
  options: ChatOptions,
  form: AnswerForm<A>,
): ChatModel<A> {
  return kind === 'gemini'
    ? new GeminiModel(server, model, options, form)
    : new OpenAiModel(server, model, options, form);
}
