import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { RunError } from '../../errors.js';
import { machineClock } from '../pool/clock.js';

/** A request without an answer. */
export class WireError extends RunError {
  constructor(
    message: string,
    readonly reason: 'overdue' | 'broken',
    /** false: there was no connection, so the request has reached nobody */
    readonly sent: boolean,
  ) {
    super(message);
  }
}

export interface Answer {
  /** the HTTP status */
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingMessage['headers'];
}

/** Milliseconds that an unused connection is kept. Node servers close theirs after 5 s, and a race with that loses an action. */
const IDLE_MS = 3000;

/**
 * HTTP for WebDriver: each request is sent only once, and a failure tells whether it may have been sent. (fetch does not
 * tell this; docs/decisions/0011 has the reasons.)
 */
export class Wire {
  private readonly agent: HttpAgent;
  private readonly base: URL;

  /** @param authorization value of the Authorization header */
  constructor(
    url: string,
    private readonly authorization: string | undefined,
  ) {
    this.base = new URL(url.replace(/\/+$/, ''));
    const options = { keepAlive: true, timeout: IDLE_MS, scheduling: 'lifo' } as const;
    this.agent = this.base.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /**
   * @param path below the server's
   * @param limit.timeoutMs milliseconds until the last byte of the answer
   * @param limit.longest most bytes of the answer
   * @throws WireError
   */
  async request(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body: string | undefined,
    { timeoutMs, longest }: { readonly timeoutMs: number; readonly longest: number },
  ): Promise<Answer> {
    const url = new URL(this.base.pathname.replace(/\/$/, '') + path, this.base);
    // A request must not go into a connection that the server has closed; the event loop learns of that between two turns.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    return new Promise<Answer>((resolve, reject) => {
      let connected = false;
      let over = false;
      const end = (): boolean => {
        if (over) return false;
        over = true;
        stopTimer();
        return true;
      };
      const fail = (reason: WireError['reason'], why: string): void => {
        if (!end()) return;
        request.destroy();
        reject(new WireError(why, reason, connected));
      };
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request: ClientRequest = send(url, {
        method,
        agent: this.agent,
        headers: {
          accept: 'application/json',
          ...(this.authorization === undefined ? {} : { authorization: this.authorization }),
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }),
        },
      });
      const stopTimer = machineClock.after(timeoutMs, () =>
        fail('overdue', `no answer in ${Math.round(timeoutMs)} ms`),
      );
      request.on('socket', (socket) => {
        if (request.reusedSocket || !socket.connecting) connected = true;
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => (connected = true));
      });
      request.on('error', (error: NodeJS.ErrnoException) => fail('broken', broken(error, connected)));
      request.on('response', (response) => {
        const pieces: Buffer[] = [];
        let length = 0;
        response.on('data', (piece: Buffer) => {
          length += piece.length;
          if (length > longest) fail('broken', `answered with more than ${longest} bytes`);
          else pieces.push(piece);
        });
        response.on('error', () => fail('broken', 'the answer broke off'));
        response.on('close', () => {
          if (!response.complete) fail('broken', 'the answer broke off');
        });
        response.on('end', () => {
          if (!response.complete || !end()) return;
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, text: Buffer.concat(pieces).toString('utf8') });
        });
      });
      request.end(body);
    });
  }

  /** Closes the open connections. */
  close(): void {
    this.agent.destroy();
  }
}

function broken({ code, message }: NodeJS.ErrnoException, connected: boolean): string {
  if (connected) return `the connection broke (${code ?? message})`;
  if (code === 'ECONNREFUSED') return 'nothing listens there (ECONNREFUSED)';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `no such host (${code})`;
  return `no connection (${code ?? message})`;
}
