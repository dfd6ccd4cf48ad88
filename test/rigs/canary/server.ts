/**
 * A test server that repeats the keys of every request in its answer, in each encoding in turn: in good answers of every
 * API that critiq calls, in errors, headers, redirects, ids and nonsense.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ENCODINGS } from './encodings.js';

/** How the server answers; the key is in all of them. */
export const BEHAVIOURS = ['good', 'odd', 'error in 200', 'JSON error', 'page', 'busy', 'redirect', 'status', 'model'] as const; // prettier-ignore
export type Behaviour = (typeof BEHAVIOURS)[number];

export const MODEL = 'canary';
type Encode = (text: string) => string;

export class EchoServer {
  /** requests that arrived where a redirect pointed to */
  readonly strayed: string[] = [];
  behaviour: Behaviour = 'good';
  /** what a good chat answer says besides the key; by the request's text */
  say: (asked: string, key: string) => string = (_, key) => `It shows ${key}.\nStatus: success`;
  private count = 0;
  private readonly servers: Server[] = [];

  async start(): Promise<string> {
    const elsewhere = await this.listen((request, response) => {
      this.strayed.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
      response.end('{}');
    });
    return this.listen((request, response) => {
      this.serve(request, response, elsewhere).catch(() => response.destroy());
    });
  }

  async stop(): Promise<void> {
    for (const server of this.servers) {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    }
  }

  private async listen(serve: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(serve);
    this.servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  private async serve(request: IncomingMessage, response: ServerResponse, elsewhere: string): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString('utf8');
    const key = keyOf(request);
    const encodings = Object.entries<Encode>(ENCODINGS);
    const [name, encode] = encodings[this.count++ % encodings.length];
    // base64 holds what stands beside the key as well
    const echo = name.startsWith('base64') ? encode(`${'key='.slice(this.count % 4)}${key}!`) : encode(key);
    const send = (status: number, text: string, type = 'application/json', headers: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-type': type, 'x-canary': encodeURIComponent(key), ...headers }).end(text);
    // a JSON document in which the encoding itself may be an escape of JSON
    const json = (value: unknown): string => JSON.stringify(value).replaceAll('@KEY@', inJson(name, echo));
    switch (this.behaviour) {
      case 'odd':
        return void send(
          200,
          [json('@KEY@'), json({ value: '@KEY@' }), `${echo}{`, 'null', json(['@KEY@'])][this.count % 5],
        );
      case 'error in 200':
        return void send(200, json({ error: { message: 'bad key @KEY@', code: 500 }, value: { error: 'unknown error', message: 'bad key @KEY@' }, error_code: '@KEY@' })); // prettier-ignore
      case 'JSON error':
        return void send([400, 401, 403, 404, 500][this.count % 5], json({ error: { message: 'bad key @KEY@' }, value: { error: 'session not created', message: 'bad @KEY@' }, message: 'bad key @KEY@', detail: [{ msg: '@KEY@' }] })); // prettier-ignore
      case 'page':
        return void send([200, 401, 404, 502][this.count % 4], `<html><p>bad key ${echo}</p></html>`, 'text/html');
      case 'busy':
        return void send(429, json({ error: { message: `slow down, @KEY@` }, message: '@KEY@' }), 'application/json', {
          'retry-after': '0',
        });
      case 'redirect': {
        const location = `${elsewhere}/login?next=${encodeURIComponent(echo)}&key=${encodeURIComponent(echo)}`;
        return void send(302, json({ value: '@KEY@' }), 'application/json', { location });
      }
      case 'status':
        response.writeHead(500, `bad ${encodeURIComponent(key)}`).end();
        return;
      case 'good':
      case 'model':
        send(200, json(this.good(request, body)));
    }
  }

  private good({ url = '', method }: IncomingMessage, body: string): unknown {
    const model = this.behaviour === 'model' ? '@KEY@' : MODEL;
    const text = this.say(body, '@KEY@');
    if (url === '/v1/models') return { data: [{ id: '@KEY@' }, { id: model }] };
    if (url.endsWith('/chat/completions'))
      return { model, choices: [{ finish_reason: 'stop', message: { content: text, reasoning: '@KEY@' } }] };
    if (url.endsWith(':generateContent'))
      return { modelVersion: model, candidates: [{ finishReason: 'STOP', content: { parts: [{ text }] } }] };
    if (url.endsWith('/embeddings'))
      return { model, data: [{ embedding: Buffer.from(new Float32Array([1, 2, 3]).buffer).toString('base64') }] };
    if (url.includes('/mlflow/'))
      return { experiment: { experiment_id: '@KEY@' }, experiment_id: '@KEY@', run: { info: { run_id: '@KEY@' } } };
    if (url === '/status') return { value: { ready: true, build: { version: '@KEY@' } } };
    if (url === '/session' && method === 'POST')
      return { value: { sessionId: 's @KEY@', capabilities: { udid: '@KEY@' } } };
    return { value: '@KEY@' };
  }
}

/** Encodings that are escapes of JSON themselves stand in the document as they are. */
function inJson(name: string, echo: string): string {
  return name === 'json' || name === 'php' ? echo : JSON.stringify(echo).slice(1, -1);
}

/** What the request proves itself with: without `Bearer`, or the password of `Basic`. */
function keyOf({ headers }: IncomingMessage): string {
  const { authorization = '', 'x-goog-api-key': goog } = headers;
  if (typeof goog === 'string') return goog;
  const [kind, value = ''] = authorization.split(' ');
  if (kind !== 'Basic') return value;
  return Buffer.from(value, 'base64').toString('utf8').replace(/^[^:]*:/, ''); // prettier-ignore
}
