import { JsonServer, WrongAnswer, type JsonServerOptions } from '../../net/json-server.js';
import { quote } from './answers/answer.js';
import type { Message } from './template.js';

export interface ServedChatOptions {
  readonly server: JsonServerOptions;
  readonly model: string;
  readonly temperature: number;
  readonly maxTokens: number;
  /** further fields of the request, such as top_p */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A model's answer. */
export interface Said {
  readonly text: string;
  /** whether it was cut off at `maxTokens` */
  readonly cut: boolean;
  /** the model's name according to the server */
  readonly model: string | undefined;
}

interface Completion {
  readonly model?: unknown;
  readonly choices?: unknown;
}

interface Choice {
  readonly finish_reason?: unknown;
  readonly message?: { readonly content?: unknown; readonly refusal?: unknown; readonly tool_calls?: unknown };
}

/** A model behind `POST /v1/chat/completions` (OpenAI's API reference, "Create chat completion"). */
export class ServedChat {
  private readonly server: JsonServer;

  constructor(private readonly options: ServedChatOptions) {
    this.server = new JsonServer(options.server);
  }

  /**
   * @param label names the request; seeds the random part of the waits between tries
   * @param seed for the model's sampling; undefined: not sent
   * @throws RefusedRequest if the server refuses the request; RunError after the last retry
   */
  ask(messages: readonly Message[], label: string, seed: number | undefined, signal: AbortSignal): Promise<Said> {
    const { model, temperature, maxTokens, body } = this.options;
    const request = {
      model,
      messages,
      temperature,
      ...(maxTokens === 0 ? {} : { max_tokens: maxTokens }),
      ...(seed === undefined ? {} : { seed }),
      ...body,
    };
    return this.server.post('/v1/chat/completions', JSON.stringify(request), label, read, signal);
  }
}

/** The answer in a completion; a refusal is an answer too. @throws WrongAnswer if there is none */
function read(answer: unknown): Said {
  const { model, choices } = (answer ?? {}) as Completion;
  const [choice] = (Array.isArray(choices) ? choices : []) as Choice[];
  const message = choice?.message;
  if (typeof message !== 'object' || message === null) {
    throw new WrongAnswer(`answered no choices: ${quote(JSON.stringify(answer) ?? 'nothing')}`);
  }
  const { content, refusal } = message;
  // reasoning models answer after their thoughts
  const text = contentText(content).replace(/^\s*<think>[\s\S]*?<\/think>\s*/, '');
  const called = calledFunction(message.tool_calls);
  return {
    text: [text, called, text === '' && called === '' && typeof refusal === 'string' ? refusal : '']
      .filter((piece) => piece !== '')
      .join('\n'),
    cut: choice.finish_reason === 'length',
    model: typeof model === 'string' ? model : undefined,
  };
}

/** Some servers give the content as a list of parts. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: { text?: unknown }) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

/** A function call that the server has parsed (vLLM's --enable-auto-tool-choice), put back into the model's own form. */
function calledFunction(calls: unknown): string {
  const [call] = (Array.isArray(calls) ? calls : []) as {
    readonly function?: { readonly name?: unknown; readonly arguments?: unknown };
  }[];
  const { name, arguments: given } = call?.function ?? {};
  if (typeof name !== 'string' || typeof given !== 'string') return '';
  return `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${given}}\n</tool_call>`;
}
