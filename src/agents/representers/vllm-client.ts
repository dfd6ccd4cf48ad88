import { encodePng } from '../../data/formats/png.js';
import type { AskedVlm, VlmQuestion } from './asking-representer.js';
import { JsonServer, WrongAnswer, type JsonServerOptions } from '../../net/json-server.js';
import type { Answer } from './vlm-prompt.js';

export interface VllmOptions {
  /** the pooling server */
  readonly server: JsonServerOptions;
  /** a server of the same model that generates; needed where the answer is 'generated' */
  readonly chat?: JsonServerOptions;
  /** name under which the model is served */
  readonly model: string;
  /** where the hidden state is taken: at the answer's last token, or at the prompt's, where the answer begins */
  readonly position: 'answer' | 'prompt';
  /** the answer that is put into the model's mouth at position 'answer', or its own */
  readonly answer: 'yes' | 'no' | 'generated';
  readonly concurrency: number;
  /** told once where the vectors look as if the server had normalised them */
  readonly warn?: (line: string) => void;
}

/** Norms of normalised vectors are as near to 1 as float32 allows; those of hidden states are in the tens. */
const UNIT = 1e-3;
/** Likeliest first tokens among which an answer is looked for where the first is neither Yes nor No. */
const LIKELIEST = 20;

/**
 * A VLM behind vLLM's pooling server: `POST /v1/embeddings` with `messages` (vLLM's form of OpenAI's embeddings API, see
 * https://docs.vllm.ai, "Pooling models") gives the last token's hidden state where the server was started with
 * `--runner pooling --convert embed --pooler-config '{"pooling_type": "LAST", "use_activation": false}'`.
 */
export class VllmClient implements AskedVlm {
  readonly manner: string;
  readonly concurrency: number;
  private readonly server: JsonServer;
  private readonly chat?: JsonServer;
  private warned = false;

  constructor(private readonly options: VllmOptions) {
    const { position, answer, concurrency, server, chat } = options;
    this.manner = position === 'prompt' ? 'prompt' : `answer ${answer}`;
    this.concurrency = concurrency;
    this.server = new JsonServer(server);
    if (position === 'answer' && answer === 'generated') {
      if (!chat) throw new Error('VllmClient: answer "generated" needs a chat server');
      this.chat = new JsonServer(chat);
    }
  }

  async vector({ key, frame, text }: VlmQuestion, dim: number | undefined, signal: AbortSignal): Promise<Float32Array> {
    const { model, position } = this.options;
    const url = `data:image/png;base64,${(await encodePng(frame)).toString('base64')}`;
    const content = [
      { type: 'image_url', image_url: { url } },
      { type: 'text', text },
    ];
    const question = { role: 'user', content };
    const messages: unknown[] = [question];
    if (position === 'answer') messages.push({ role: 'assistant', content: await this.answer(key, question, signal) });
    const body = JSON.stringify({
      model,
      messages,
      // the last token is the answer's, or the one before an answer
      continue_final_message: position === 'answer',
      add_generation_prompt: position === 'prompt',
      encoding_format: 'base64',
      embed_dtype: 'float32',
      endianness: 'little',
      // the hidden state itself, also where the server's pooler would normalise by default
      use_activation: false,
    });
    const vector = await this.server.post(
      '/v1/embeddings',
      body,
      key,
      (answer) => embedding(answer, model, dim),
      signal,
    );
    this.lookAtNorm(vector);
    return vector;
  }

  /** The answer that the model is represented with. */
  private async answer(key: string, question: unknown, signal: AbortSignal): Promise<Answer> {
    const { model, answer } = this.options;
    if (!this.chat) return answer === 'no' ? 'No' : 'Yes';
    const body = JSON.stringify({
      model,
      messages: [question],
      temperature: 0,
      max_tokens: 1,
      logprobs: true,
      top_logprobs: LIKELIEST,
    });
    return this.chat.post('/v1/chat/completions', body, `answer ${key}`, (got) => yesOrNo(got, model), signal);
  }

  private lookAtNorm(vector: Float32Array): void {
    if (this.warned) return;
    this.warned = true;
    if (Math.abs(norm(vector) - 1) > UNIT) return;
    const { server, warn } = this.options;
    warn?.(
      `${server.url}: the vectors have length 1, as if the server normalised them; start it with --pooler-config '{"pooling_type": "LAST", "use_activation": false}'`,
    );
  }
}

/**
 * The vector in an answer of `/v1/embeddings`: float32, little-endian, base64.
 * @param dim floats that it must have; undefined: any number
 * @throws WrongAnswer saying what is wrong with it
 */
export function embedding(answer: unknown, model: string, dim: number | undefined): Float32Array {
  const { data } = ofModel(answer, model) as { data?: unknown };
  if (!Array.isArray(data)) throw new WrongAnswer(`answered without a list of embeddings: ${brief(answer)}`);
  if (data.length !== 1) throw new WrongAnswer(`answered ${data.length} embeddings, expected 1`);
  const { embedding: text } = (data[0] ?? {}) as { embedding?: unknown };
  if (typeof text !== 'string') throw new WrongAnswer(`answered an embedding that is no base64 text: ${brief(text)}`);
  const bytes = Buffer.from(text, 'base64');
  // Buffer.from skips what is no base64
  if (bytes.length === 0 || bytes.length % 4 !== 0 || bytes.toString('base64') !== text) {
    throw new WrongAnswer(`answered an embedding that is not whole float32 numbers in base64: ${bytes.length} bytes`);
  }
  const length = bytes.length / 4;
  if (dim !== undefined && length !== dim) {
    throw new WrongAnswer(
      `answered ${length} floats, expected ${dim} as before (another model under the name ${JSON.stringify(model)}?)`,
    );
  }
  const vector = Float32Array.from({ length }, (_, i) => bytes.readFloatLE(4 * i));
  const bad = vector.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new WrongAnswer(`answered ${vector[bad]} as float ${bad} of ${length}`);
  if (!(norm(vector) > 0)) throw new WrongAnswer(`answered ${length} zeros`);
  return vector;
}

/**
 * Yes or No in an answer of `/v1/chat/completions`: what was said, or else the likelier of the two as the first token.
 * @throws WrongAnswer where it is neither
 */
export function yesOrNo(answer: unknown, model: string): Answer {
  const { choices } = ofModel(answer, model) as { choices?: unknown };
  const [choice] = (Array.isArray(choices) ? choices : []) as Choice[];
  const said = choice?.message?.content;
  const tokens = choice?.logprobs?.content?.[0]?.top_logprobs ?? [];
  const likeliest = tokens
    .filter(({ token, logprob }) => typeof logprob === 'number' && asAnswer(token) !== undefined)
    .sort((a, b) => b.logprob - a.logprob)[0];
  const found = asAnswer(said) ?? asAnswer(likeliest?.token);
  if (!found) throw new WrongAnswer(`answered neither Yes nor No: ${brief(said ?? answer)}`);
  return found;
}

interface Choice {
  readonly message?: { readonly content?: unknown };
  readonly logprobs?: {
    readonly content?: readonly { readonly top_logprobs?: { token: unknown; logprob: number }[] }[];
  };
}

function asAnswer(text: unknown): Answer | undefined {
  const word = typeof text === 'string' ? /^[^a-z]*(yes|no)(?![a-z])/i.exec(text)?.[1].toLowerCase() : undefined;
  return word === undefined ? undefined : word === 'yes' ? 'Yes' : 'No';
}

/** The answer, if it is an object and of the model that was asked. */
function ofModel(answer: unknown, model: string): object {
  if (typeof answer !== 'object' || answer === null) throw new WrongAnswer(`answered ${brief(answer)}`);
  const { model: from } = answer as { model?: unknown };
  if (from !== model) throw new WrongAnswer(`answered for the model ${brief(from)}, expected ${brief(model)}`);
  return answer;
}

function norm(vector: Float32Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
