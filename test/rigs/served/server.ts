/**
 * A test server for OpenAI's `/v1/chat/completions` that answers like an agent, by a script: a function of the request. It
 * can inject faults.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { imageId } from '../../../src/data/images.js';
import { decodePng } from '../../../src/data/formats/png.js';

export type Behaviour =
  | 'well'
  | 'busy' // 429, Retry-After of 0 s
  | 'broken' // 500
  | 'bad gateway' // 502 with a page
  | 'cut' // half an answer, then the connection breaks
  | 'hang'
  | 'page' // 200 with an HTML page
  | 'no choices'
  | 'too long a prompt' // 400
  | 'no key' // 401 that repeats the key
  | 'length'; // a cut answer with finish reason "length"

/** Faults after which a retry may get a good answer. */
export const FAULTS_THAT_PASS: readonly Behaviour[] = [
  'busy',
  'broken',
  'bad gateway',
  'cut',
  'hang',
  'page',
  'no choices',
];

interface Part {
  readonly text?: string;
  readonly image_url?: { readonly url: string };
}

interface Message {
  readonly role: string;
  readonly content: string | readonly Part[];
}

/** A request that arrived. */
export interface Asked {
  readonly headers: IncomingMessage['headers'];
  readonly body: Readonly<Record<string, unknown>>;
  readonly messages: readonly Message[];
  /** all texts of all messages */
  readonly text: string;
  /** pictures as data URLs, in order */
  readonly pictures: readonly string[];
}

export const MODEL = 'lab/tiny-agent';

export interface ServedServerOptions {
  readonly answer: (asked: Asked) => string;
  /** `nth`: how often the same question was asked before */
  readonly behave?: (asked: Asked, nth: number) => Behaviour;
}

/** The content id of a picture that was sent as a PNG. */
export function sentId(url: string): string {
  return imageId(decodePng(Buffer.from(url.replace(/^data:image\/png;base64,/, ''), 'base64')));
}

export class ServedServer {
  /** all requests in order of arrival */
  readonly asked: Asked[] = [];
  /** the most requests in flight at once */
  mostAtATime = 0;
  private atATime = 0;
  private readonly server: Server;

  private constructor(private readonly options: ServedServerOptions) {
    this.server = createServer((request, response) => {
      this.atATime++;
      this.mostAtATime = Math.max(this.mostAtATime, this.atATime);
      response.once('close', () => this.atATime--);
      this.serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(t: { after(fn: () => unknown): void }, options: ServedServerOptions): Promise<ServedServer> {
    const agent = new ServedServer(options);
    await new Promise<void>((resolve) => agent.server.listen(0, '127.0.0.1', resolve));
    t.after(async () => {
      const closed = new Promise((resolve) => agent.server.close(resolve));
      agent.server.closeAllConnections();
      await closed;
    });
    return agent;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') {
      response.end(JSON.stringify({ data: [{ id: MODEL }] }));
      return;
    }
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const asked = read(request, JSON.parse(Buffer.concat(pieces).toString('utf8')) as Record<string, unknown>);
    const same = (one: Asked) => one.text === asked.text && one.pictures.join() === asked.pictures.join();
    const nth = this.asked.filter(same).length;
    this.asked.push(asked);
    const behaviour = this.options.behave?.(asked, nth) ?? 'well';
    const json = (code: number, value: unknown, headers: Record<string, string> = {}): void => {
      response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    };
    const say = (content: string, ended = 'stop'): void =>
      json(200, {
        id: 'chatcmpl-1',
        model: MODEL,
        choices: [{ index: 0, finish_reason: ended, message: { role: 'assistant', content } }],
        usage: { prompt_tokens: 900, completion_tokens: 40, total_tokens: 940 },
      });
    switch (behaviour) {
      case 'busy':
        return json(429, { error: { message: 'too many requests' } }, { 'retry-after': '0' });
      case 'broken':
        return json(500, { error: { message: 'internal error' } });
      case 'bad gateway':
        response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad gateway</html>');
        return;
      case 'cut':
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
        response.write('{"choices": [', () => response.destroy());
        return;
      case 'hang':
        return;
      case 'page':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>');
        return;
      case 'no choices':
        return json(200, { model: MODEL, choices: [] });
      case 'too long a prompt':
        return json(400, { error: { message: "This model's maximum context length is 4096 tokens" } });
      case 'no key':
        return json(401, { error: { message: `bad key ${String(request.headers.authorization)}` } });
      case 'length':
        return say(this.options.answer(asked).slice(0, 20), 'length');
      case 'well':
        return say(this.options.answer(asked));
    }
  }
}

function read(request: IncomingMessage, body: Record<string, unknown>): Asked {
  const messages = body.messages as Message[];
  const parts = messages.flatMap(({ content }) => (typeof content === 'string' ? [{ text: content }] : content));
  return {
    headers: request.headers,
    body,
    messages,
    text: parts.map(({ text }: Part) => text ?? '').join('\n'),
    pictures: parts.flatMap(({ image_url: image }: Part) => (image ? [image.url] : [])),
  };
}
