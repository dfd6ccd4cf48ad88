/**
 * A test server with vLLM's wire format (`/v1/embeddings` with messages, `/v1/chat/completions`). Its vectors depend only on
 * the request's content: picture, text and position. It can inject faults.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodePng } from '../../../src/data/formats/png.js';

/** How the server answers a request: well, or with a fault. */
export type Behaviour =
  | 'well'
  | 'busy' // 429, Retry-After of 0 s
  | 'busy a second' // 429, Retry-After of 1 s
  | 'busy until' // 429, Retry-After as a date 1 s after the server's own
  | 'broken' // 500 with a message
  | 'starting' // 503 with an HTML page
  | 'cut' // half an answer, then the connection breaks
  | 'hang' // no answer at all
  | 'slow' // 200 ms
  | 'narrow' // one float too few
  | 'nan'
  | 'zeros'
  | 'empty' // no embedding
  | 'two' // two embeddings
  | 'floats' // a list instead of base64
  | 'ragged' // bytes that are not whole floats
  | 'other model'
  | 'not JSON'
  | 'half JSON'
  | 'page' // 200 with an HTML page
  | 'null'
  | 'unknown model' // 404
  | 'no key' // 401 that repeats the key
  | 'moved' // 302
  | 'maybe' // a chat answer that is neither Yes nor No
  | 'unit'; // a vector of norm 1, as from a pooler with activation

/** Faults after which a retry may get a good answer. */
export const FAULTS_THAT_PASS: readonly Behaviour[] = [
  'busy',
  'broken',
  'starting',
  'cut',
  'hang',
  'narrow',
  'nan',
  'zeros',
  'empty',
  'two',
  'floats',
  'ragged',
  'not JSON',
  'half JSON',
  'page',
  'null',
];

export interface Asked {
  readonly path: string;
  /** names the content: picture, text, position */
  readonly content: string;
  readonly body: EmbeddingRequest;
  readonly key?: string;
}

export interface EmbeddingRequest {
  readonly model: string;
  readonly messages: readonly { role: string; content: unknown }[];
  readonly continue_final_message?: boolean;
  readonly add_generation_prompt?: boolean;
  readonly encoding_format?: string;
  readonly use_activation?: boolean;
}

export interface VllmServerOptions {
  readonly model?: string;
  readonly dim?: number;
  /** how the nth request (from 0) with some content is treated */
  readonly behave?: (asked: Asked, nth: number) => Behaviour;
  /** milliseconds before every good answer */
  readonly delayMs?: number;
}

/** A well-behaved server's vector for some content: dim floats in (-1, 1), not all equal. */
export function vectorOf(content: string, dim: number): Float32Array {
  const out = new Float32Array(dim);
  for (let i = 0; i < dim; i++) {
    out[i] = createHash('sha256').update(`${content}/${i}`).digest().readInt32LE(0) / 2 ** 31;
  }
  return out;
}

const MODEL = 'tiny-llava';

export class VllmServer {
  /** all requests in order of arrival */
  readonly asked: Asked[] = [];
  /** contents of the requests that were answered well, repeats included */
  readonly answered: string[] = [];
  private server?: Server;
  private port = 0;

  private constructor(private readonly options: VllmServerOptions) {}

  static async start(t: { after(fn: () => unknown): void }, options: VllmServerOptions = {}): Promise<VllmServer> {
    const server = new VllmServer(options);
    await server.listen();
    t.after(() => server.kill());
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts, or restarts at the same port. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      this.serve(request, response).catch(() => response.destroy());
    });
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  /** Stops as by kill -9: every connection breaks. */
  async kill(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') {
      const data = [{ id: this.options.model ?? MODEL, object: 'model' }];
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', data }));
      return;
    }
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = JSON.parse(Buffer.concat(pieces).toString('utf8')) as EmbeddingRequest;
    const key = request.headers.authorization?.replace(/^Bearer /, '');
    const asked: Asked = { path: request.url ?? '', content: contentOf(body), body, key };
    const nth = this.asked.filter(({ path, content }) => path === asked.path && content === asked.content).length;
    this.asked.push(asked);
    const behaviour = this.options.behave?.(asked, nth) ?? 'well';
    const json = (status: number, value: unknown, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    };
    const { model = MODEL, dim = 8, delayMs = 0 } = this.options;
    if (delayMs > 0) await sleep(delayMs);
    const wrong = mistakeIn(body, asked.path, model);
    if (wrong)
      return json(wrong.status, { error: { message: wrong.message, type: 'BadRequestError', code: wrong.status } });

    const vector = vectorOf(asked.content, dim);
    const good = asked.path === '/v1/embeddings' ? embeddings(model, [vector]) : chat(model, asked.content);
    switch (behaviour) {
      case 'busy':
        return json(429, { error: { message: 'too many requests' } }, { 'retry-after': '0' });
      case 'busy a second':
        return json(429, { error: { message: 'too many requests' } }, { 'retry-after': '1' });
      case 'busy until': {
        const now = 1e12;
        const date = (ms: number): string => new Date(ms).toUTCString();
        return json(429, {}, { date: date(now), 'retry-after': date(now + 1000) });
      }
      case 'broken':
        return json(500, { error: { message: 'EngineCore encountered an issue', type: 'InternalServerError' } });
      case 'starting':
        response.writeHead(503, { 'content-type': 'text/html' }).end('<html><h1>Service\nUnavailable</h1></html>');
        return;
      case 'cut': {
        const text = JSON.stringify(good);
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(text.length) });
        response.write(text.slice(0, text.length / 2), () => response.destroy());
        return;
      }
      case 'hang':
        return;
      case 'slow':
        await sleep(200);
        return json(200, good);
      case 'narrow':
        return json(200, embeddings(model, [vector.slice(1)]));
      case 'nan':
        return json(200, embeddings(model, [vector.map((value, i) => (i === 3 ? NaN : value))]));
      case 'zeros':
        return json(200, embeddings(model, [new Float32Array(dim)]));
      case 'empty':
        return json(200, embeddings(model, []));
      case 'two':
        return json(200, embeddings(model, [vector, vector]));
      case 'floats':
        return json(200, {
          ...embeddings(model, []),
          data: [{ index: 0, object: 'embedding', embedding: [...vector] }],
        });
      case 'ragged':
        return json(200, { ...embeddings(model, []), data: [{ index: 0, embedding: base64(vector).slice(0, -4) }] });
      case 'other model':
        return json(200, { ...good, model: 'another' });
      case 'not JSON':
        response.end('Internal Server Error');
        return;
      case 'half JSON':
        response.end(JSON.stringify(good).slice(0, -20));
        return;
      case 'page':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>');
        return;
      case 'null':
        return json(200, null);
      case 'unknown model':
        return json(404, { error: { message: `The model \`${body.model}\` does not exist.`, code: 404 } });
      case 'no key':
        return json(401, { error: `Unauthorized: ${key ?? 'no key'}` });
      case 'moved':
        response.writeHead(302, { location: 'https://login.example/' }).end();
        return;
      case 'maybe':
        return json(200, { ...good, choices: [{ index: 0, message: { role: 'assistant', content: 'Maybe' } }] });
      case 'unit': {
        const length = Math.hypot(...vector);
        return json(200, embeddings(model, [vector.map((value) => value / length)]));
      }
      case 'well':
        this.answered.push(asked.content);
        return json(200, good);
    }
  }
}

/** A hash of everything that decides a vector: the messages and the position flags. */
function contentOf({ messages, continue_final_message, add_generation_prompt }: EmbeddingRequest): string {
  return createHash('sha256')
    .update(JSON.stringify([messages, continue_final_message, add_generation_prompt]))
    .digest('hex');
}

/** The error that vLLM would answer with, if any. */
function mistakeIn(
  body: EmbeddingRequest,
  path: string,
  model: string,
): { status: number; message: string } | undefined {
  const bad = (message: string) => ({ status: 400, message });
  if (body.model !== model) return { status: 404, message: `The model \`${body.model}\` does not exist.` };
  if (path !== '/v1/embeddings' && path !== '/v1/chat/completions') return { status: 404, message: 'Not Found' };
  if (body.continue_final_message && body.add_generation_prompt) {
    return bad('Cannot set both `continue_final_message` and `add_generation_prompt` to True.');
  }
  const [user] = body.messages;
  const parts = user.content as { type: string; text?: string; image_url?: { url: string } }[];
  const url = parts.find(({ type }) => type === 'image_url')?.image_url?.url ?? '';
  try {
    decodePng(Buffer.from(/^data:image\/png;base64,(.+)$/.exec(url)![1], 'base64'));
  } catch {
    return bad('cannot identify image file');
  }
  return path === '/v1/embeddings' && body.encoding_format !== 'base64' ? bad('expected base64') : undefined;
}

function embeddings(model: string, vectors: readonly Float32Array[]) {
  return {
    id: 'embd-1',
    object: 'list',
    created: 0,
    model,
    data: vectors.map((vector, index) => ({ index, object: 'embedding', embedding: base64(vector) })),
    usage: { prompt_tokens: 600, total_tokens: 600 },
  };
}

/** Yes or No by content, in models' various spellings. */
function chat(model: string, content: string) {
  const ways = [' Yes', 'no.', '\nNo', 'YES'];
  const said = ways[parseInt(content.slice(0, 2), 16) % ways.length];
  return { id: 'chatcmpl-1', model, choices: [{ index: 0, message: { role: 'assistant', content: said } }] };
}

function base64(vector: Float32Array): string {
  const bytes = Buffer.alloc(4 * vector.length);
  vector.forEach((value, i) => bytes.writeFloatLE(value, 4 * i));
  return bytes.toString('base64');
}
