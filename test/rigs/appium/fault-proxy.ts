import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listenOnLoopback } from './loopback.js';

/**
 * A fault of a request: `hang` never answers, `reset` ends the connection without an answer, a number is the status of an
 * answer that is not WebDriver's. With `before` the server does not get the request, with `after` it does.
 */
export interface Injected {
  readonly how: 'hang' | 'reset' | number;
  readonly when: 'before' | 'after';
}

/** A call to a WebDriver server. */
export interface Call {
  readonly method: string;
  /** without the session */
  readonly path: string;
  readonly session: string | undefined;
  readonly body: string;
}

/** A proxy between critiq and a server that injects faults into the calls that a test chooses. */
export class FaultProxy {
  /** chooses the fault of each call; undefined: none */
  inject: (call: Call) => Injected | undefined = () => undefined;
  /** all calls in order */
  readonly calls: Call[] = [];
  private server: Server | undefined;

  private constructor(private readonly target: URL) {}

  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(target));
    proxy.server = createServer((from, to) => void proxy.pass(from, to));
    await listenOnLoopback(proxy.server);
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server!.address() as AddressInfo).port}${this.target.pathname.replace(/\/$/, '')}`;
  }

  /** Number of calls to a path, in any session. */
  count(method: string, path: string): number {
    return this.calls.filter((call) => call.method === method && call.path === path).length;
  }

  async close(): Promise<void> {
    this.server!.closeAllConnections();
    await new Promise((resolve) => this.server!.close(resolve));
  }

  private async pass(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of from as AsyncIterable<Buffer>) pieces.push(piece);
    const body = Buffer.concat(pieces);
    const url = from.url!;
    const [, session, path] = /\/session\/([^/]+)(.*)$/.exec(url) ?? [undefined, undefined, url];
    const call: Call = { method: from.method!, path: path!, session, body: body.toString('utf8') };
    this.calls.push(call);
    const injected = this.inject(call);
    const fail = (): void => {
      if (injected!.how === 'reset') from.socket.resetAndDestroy();
      else if (injected!.how !== 'hang') to.writeHead(injected!.how).end('injected by the proxy');
    };
    if (injected?.when === 'before') return fail();
    const { host: _, connection: __, ...headers } = from.headers;
    const onward = request(
      { host: this.target.hostname, port: this.target.port, path: url, method: from.method, headers, agent: false },
      (answer) => {
        if (injected) {
          answer.resume().on('end', fail);
          return;
        }
        to.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(to);
        answer.on('error', () => from.socket.destroy());
      },
    );
    onward.on('error', () => from.socket.destroy());
    onward.end(body);
  }
}
