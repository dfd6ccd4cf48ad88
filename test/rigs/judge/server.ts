/**
 * A test server for OpenAI's `/v1/chat/completions` and Gemini's `:generateContent`. Its verdict depends only on the task
 * and the screenshot, and it can inject faults.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodePng } from '../../../src/data/formats/png.js';
import type { Frame } from '../../../src/data/formats/frame.js';

/** How the server answers a request: well, or with a fault. */
export type Behaviour =
  | 'well'
  | 'busy' // 429, Retry-After of 0 s
  | 'broken' // 500
  | 'cut' // half an answer, then the connection breaks
  | 'hang'
  | 'half' // a cut answer with finish reason "stop"
  | 'too long' // a cut answer with finish reason "length"
  | 'nonsense' // a poem
  | 'maybe' // Status: maybe
  | 'both' // Status: success, then Status: failure
  | 'page' // 200 with an HTML page
  | 'other model'
  | 'error in 200' // OpenRouter's "Provider returned error"
  | 'no choices'
  | 'null'
  | 'refusal'
  | 'bad picture' // 400
  | 'no key' // 401 that repeats the key
  | 'unknown model' // 404
  | 'moved' // 302
  | 'echo' // a good answer with the key as its reasoning
  | 'no schema'; // 400 if a schema is requested, else well

/** Faults after which a retry may get a good answer. */
export const FAULTS_THAT_PASS: readonly Behaviour[] = [
  'busy',
  'broken',
  'cut',
  'hang',
  'half',
  'too long',
  'nonsense',
  'maybe',
  'both',
  'page',
  'no choices',
  'null',
  'error in 200',
];

/** A request that arrived. */
export interface Asked {
  readonly kind: 'openai' | 'gemini';
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
  readonly system: string;
  /** texts, and pictures as data URLs, in order */
  readonly parts: readonly string[];
  /** the task to judge */
  readonly task: string;
  /** the last picture */
  readonly frame: Frame;
  /** whether a schema is requested */
  readonly json: boolean;
}

export interface JudgeServerOptions {
  readonly model?: string;
  readonly behave?: (asked: Asked, nth: number) => Behaviour;
  readonly decide?: (asked: Asked) => 'success' | 'failure';
}

export const MODEL = 'tiny-vlm';
/** Tokens that every answer reports. */
export const TOKENS = 700;

export class JudgeServer {
  /** all requests in order of arrival */
  readonly asked: Asked[] = [];
  private readonly server: Server;

  private constructor(private readonly options: JudgeServerOptions) {
    this.server = createServer((request, response) => {
      this.serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(t: { after(fn: () => unknown): void }, options: JudgeServerOptions = {}): Promise<JudgeServer> {
    const judge = new JudgeServer(options);
    await new Promise<void>((resolve) => judge.server.listen(0, '127.0.0.1', resolve));
    t.after(async () => {
      const closed = new Promise((resolve) => judge.server.close(resolve));
      judge.server.closeAllConnections();
      await closed;
    });
    return judge;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') {
      response.end(JSON.stringify({ data: [{ id: this.options.model ?? MODEL }] }));
      return;
    }
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const asked = read(request, JSON.parse(Buffer.concat(pieces).toString('utf8')) as Record<string, unknown>);
    const same = (one: Asked) => one.task === asked.task && one.parts.join() === asked.parts.join();
    const nth = this.asked.filter(same).length;
    this.asked.push(asked);
    const behaviour = this.options.behave?.(asked, nth) ?? 'well';
    const status = this.options.decide?.(asked) ?? 'success';
    const json = (code: number, value: unknown, headers: Record<string, string> = {}): void => {
      response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    };
    const say = (text: string, ways: Ways = {}): void =>
      json(200, envelope(asked.kind, text, { model: this.options.model ?? MODEL, ...ways }));
    const good = asked.json
      ? JSON.stringify({ reasoning: 'It shows what it should.', status })
      : `Q: What should it show?\nA: It shows what it should.\nStatus: ${status}`;
    const key = String(request.headers.authorization ?? request.headers['x-goog-api-key']);
    switch (behaviour) {
      case 'busy':
        return json(429, { error: { message: 'too many requests' } }, { 'retry-after': '0' });
      case 'broken':
        return json(500, { error: { message: 'internal error' } });
      case 'cut': {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
        response.write('{"choices": [', () => response.destroy());
        return;
      }
      case 'hang':
        return;
      case 'half':
        return say(good.slice(0, -5));
      case 'too long':
        return say(good.slice(0, 10), { ended: asked.kind === 'openai' ? 'length' : 'MAX_TOKENS' });
      case 'nonsense':
        return say('Roses are red.');
      case 'maybe':
        return say(asked.json ? '{"reasoning": "", "status": "maybe"}' : 'Status: maybe');
      case 'both':
        return say('Status: success\nor rather\nStatus: failure');
      case 'page':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>');
        return;
      case 'other model':
        return say(good, { model: 'another' });
      case 'error in 200':
        return json(200, { error: { message: 'Provider returned error', code: 502 } });
      case 'no choices':
        return json(200, { model: MODEL, choices: [], candidates: [] });
      case 'null':
        return json(200, null);
      case 'refusal':
        return asked.kind === 'openai'
          ? say('', { refusal: 'I cannot help with that.' })
          : json(200, { promptFeedback: { blockReason: 'SAFETY' } });
      case 'bad picture':
        return json(400, { error: { message: 'cannot read the image' } });
      case 'no key':
        return json(401, { error: { message: `bad key ${key}` } });
      case 'unknown model':
        return json(404, { error: { message: 'no such model' } });
      case 'moved':
        response.writeHead(302, { location: `https://login.example/?${key}` }).end();
        return;
      case 'echo':
        return say(asked.json ? JSON.stringify({ reasoning: key, status }) : `${key}\nStatus: ${status}`);
      case 'no schema':
        return asked.json ? json(400, { error: { message: 'response_format is not supported' } }) : say(good);
      case 'well':
        return say(good);
    }
  }
}

function read(request: IncomingMessage, body: Record<string, unknown>): Asked {
  const url = request.url ?? '';
  const kind = url.endsWith(':generateContent') ? 'gemini' : 'openai';
  const { system, parts, json } = kind === 'gemini' ? gemini(body) : openai(body);
  const pictures = parts.filter((part) => part.startsWith('data:image/'));
  const task = /^Task: (.*)$/m.exec(parts.at(-1)!)![1];
  const frame = decodePng(Buffer.from(pictures.at(-1)!.replace(/^data:[^,]*,/, ''), 'base64'));
  return { kind, url, headers: request.headers, body, system, parts, task, frame, json };
}

function openai(body: Record<string, unknown>) {
  const [system, user] = body.messages as [{ content: string }, { content: Part[] }];
  const parts = user.content.map(({ text, image_url }) => text ?? image_url!.url);
  const format = body.response_format as { type: string } | undefined;
  return { system: system.content, parts, json: format?.type === 'json_schema' };
}

interface Part {
  readonly text?: string;
  readonly image_url?: { readonly url: string };
  readonly inlineData?: { readonly mimeType: string; readonly data: string };
}

function gemini(body: Record<string, unknown>) {
  const { parts: words } = body.systemInstruction as { parts: [{ text: string }] };
  const [{ parts }] = body.contents as [{ parts: Part[] }];
  const config = body.generationConfig as { responseSchema?: unknown };
  return {
    system: words[0].text,
    parts: parts.map(({ text, inlineData }) => text ?? `data:${inlineData!.mimeType};base64,${inlineData!.data}`),
    json: config.responseSchema !== undefined,
  };
}

interface Ways {
  readonly model?: string;
  readonly ended?: string;
  readonly refusal?: string;
}

function envelope(kind: Asked['kind'], text: string, { model, ended, refusal }: Ways) {
  return kind === 'openai'
    ? {
        id: 'chatcmpl-1',
        model,
        choices: [
          {
            index: 0,
            finish_reason: ended ?? 'stop',
            message: { role: 'assistant', content: text, refusal: refusal ?? null },
          },
        ],
        usage: { prompt_tokens: TOKENS - 20, completion_tokens: 20, total_tokens: TOKENS },
      }
    : {
        modelVersion: model,
        candidates: [{ finishReason: ended ?? 'STOP', content: { role: 'model', parts: [{ text }] } }],
        usageMetadata: { promptTokenCount: TOKENS - 20, totalTokenCount: TOKENS },
      };
}
