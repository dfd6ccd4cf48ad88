import { modelOf, readCompletion } from '../../net/completion.js';
import { JsonServer, type JsonServerOptions } from '../../net/json-server.js';
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
  const { text, call, refusal, finish } = readCompletion(answer);
  const model = modelOf(answer);
  return {
    text: [text, call, text === '' && call === '' ? refusal : ''].filter((piece) => piece !== '').join('\n'),
    cut: finish === 'length',
    model: typeof model === 'string' ? model : undefined,
  };
}
