import { setTimeout as sleep } from 'node:timers/promises';
import { RunError, UserError } from '../errors.js';
import { Random } from '../random.js';

export interface JsonServerOptions {
  /** where it is, without the path of a call */
  readonly url: string;
  /** the setting that says so, for messages */
  readonly setting: string;
  /** sent as a bearer token, or in `keyHeader`; never in a message */
  readonly apiKey?: string;
  /** the header that the key alone is sent in, for servers that want no bearer token */
  readonly keyHeader?: string;
  /** the environment variable that the key comes from, for messages */
  readonly apiKeyEnv: string;
  /** milliseconds that one try may take, until the last byte of its answer */
  readonly timeoutMs: number;
  /** tries after the first */
  readonly retries: number;
  /** milliseconds before the first retry at most; doubled with each further one */
  readonly backoffMs: number;
  /** decides how much of each wait is waited, so that requests that failed together do not come back together */
  readonly seed: number;
  /** the page of ours that says how the server is set up, for messages */
  readonly docs: string;
  /** told before each try; what it throws ends the request */
  readonly onTry?: () => void;
}

/** Statuses that no other request would change: a key that is wrong, a model that is not there, a server that moved. */
const REFUSES_ALL: ReadonlySet<number> = new Set([301, 302, 303, 307, 308, 401, 403, 404]);

/** The server refuses the request: sent again it would be refused again. */
export class RefusedRequest extends UserError {
  constructor(
    message: string,
    /** HTTP's */
    readonly status: number,
  ) {
    super(message);
  }

  /** Whether other requests would be refused as well. */
  get refusesAll(): boolean {
    return REFUSES_ALL.has(this.status);
  }
}

/** An answer that must not be used: costs a retry. The message is the end of the sentence "the server ...". */
export class WrongAnswer extends Error {
  override name = 'WrongAnswer';
}

/** One try that failed: what the server did, and how long it wants to be left alone. */
class FailedTry extends Error {
  constructor(
    message: string,
    readonly retryAfterMs = 0,
  ) {
    super(message);
  }
}

/** Statuses of a client's mistakes that are not: timeouts, conflicts, too early, too many. */
const PASSING = new Set([408, 409, 425, 429]);

const LONGEST_WAIT_MS = 30_000;
/** A server that asks for more is asked again after this. */
const LONGEST_RETRY_AFTER_MS = 120_000;
/** More than any vector takes, and few enough bytes to hold. */
const LONGEST_ANSWER = 16 << 20;
const LONGEST_COMPLAINT = 64 << 10;
/** Characters of a server's own words in our messages. */
const QUOTED = 300;

/** A server that is spoken to by POST in JSON, and not trusted: what it answers is checked, and asked again where it is wrong. */
export class JsonServer {
  constructor(private readonly options: JsonServerOptions) {}

  /**
   * @param body JSON
   * @param label names the request, for the random part of the waits
   * @param check takes what is wanted out of the parsed answer; throws WrongAnswer where it is not as it should be
   * @throws RefusedRequest where the server refuses the request (4xx but for 408, 409, 425, 429), at once; RunError after the
   * last retry; what `signal` was aborted with
   */
  async post<T>(
    path: string,
    body: string,
    label: string,
    check: (answer: unknown) => T,
    signal: AbortSignal,
  ): Promise<T> {
    const { retries, setting, backoffMs, seed } = this.options;
    const url = this.options.url + path;
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      this.options.onTry?.();
      try {
        return check(await this.try(url, body, signal));
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof FailedTry || error instanceof WrongAnswer)) throw error;
        if (attempt === retries) {
          const tries = `${retries + 1} ${retries === 0 ? 'try' : 'tries'}`;
          throw new RunError(
            `${url}: no good answer in ${tries}; the last time the server ${this.clean(error.message)}; ` +
              `check the server and ${setting}, then run the same command again: it keeps the answers it has`,
          );
        }
        const most = Math.min(LONGEST_WAIT_MS, backoffMs * 2 ** attempt);
        const wait = most * (0.5 + 0.5 * new Random(seed, 'retry', label, attempt).next());
        const asked = error instanceof FailedTry ? Math.min(error.retryAfterMs, LONGEST_RETRY_AFTER_MS) : 0;
        await sleep(Math.max(wait, asked), undefined, { signal });
      }
    }
  }

  private async try(url: string, body: string, signal: AbortSignal): Promise<unknown> {
    const { apiKey, keyHeader, timeoutMs } = this.options;
    const limit = new AbortController();
    // not AbortSignal.any: on Node 20 it leaves something on a long-lived signal for every request
    const stop = (): void => limit.abort();
    const timer = setTimeout(stop, timeoutMs);
    signal.addEventListener('abort', stop, { once: true });
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(!apiKey ? {} : keyHeader ? { [keyHeader]: apiKey } : { authorization: `Bearer ${apiKey}` }),
        },
        body,
        redirect: 'manual',
        signal: limit.signal,
      });
      if (!response.ok) throw await this.refusal(url, response);
      const answer = await text(response, LONGEST_ANSWER);
      // whatever a server sends back, the key goes no further than here
      return parse(apiKey ? answer.replaceAll(apiKey, '***') : answer);
    } catch (error) {
      if (error instanceof UserError || error instanceof FailedTry || error instanceof WrongAnswer) throw error;
      if (limit.signal.aborted) throw new FailedTry(`took more than ${timeoutMs} ms`);
      throw new FailedTry(unreachable(error));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  /** What a status other than 2xx means: the user's mistake, or one more try. */
  private async refusal(url: string, response: Response): Promise<Error> {
    const { status, headers } = response;
    const { setting, apiKeyEnv, apiKey } = this.options;
    if (status >= 300 && status < 400) {
      const location = this.clean(headers.get('location') ?? 'somewhere else');
      await response.body?.cancel();
      return new RefusedRequest(
        `${url}: the server redirects (${status}) to ${location}; set ${setting} to where it is`,
        status,
      );
    }
    const words = complaint(await text(response, LONGEST_COMPLAINT).catch(() => ''));
    const said = `answered ${status}${words === '' ? '' : `: ${words}`}`;
    if (status >= 500 || PASSING.has(status)) return new FailedTry(said, retryAfter(headers));
    const hints: Record<number, string> = {
      401: `${apiKey ? 'check' : 'put'} the key in the environment variable ${apiKeyEnv}`,
      403: `${apiKey ? 'check' : 'put'} the key in the environment variable ${apiKeyEnv}`,
      404: `check ${setting} and the name under which the model is served`,
      413: 'let the server take larger requests: pictures are sent as PNG',
    };
    const hint = hints[status] ?? `check how it was started (${this.options.docs})`;
    return new RefusedRequest(`${url}: the server ${this.clean(said)}; ${hint}`, status);
  }

  /** A line of bounded length without the key, whatever the server has put into it. */
  private clean(words: string): string {
    const { apiKey } = this.options;
    const line = (apiKey ? words.replaceAll(apiKey, '***') : words).replace(/\s+/g, ' ').trim();
    return line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line;
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new WrongAnswer(`answered no JSON, but ${JSON.stringify(body.slice(0, 60))}`);
  }
}

/** The body of a response as text. @throws FailedTry where it is longer than `most` bytes */
async function text(response: Response, most: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += piece.length;
    // leaving the loop cancels the rest
    if (length > most) throw new FailedTry(`answered more than ${most} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** The message in an error's body: vLLM's and OpenAI's `error.message`, FastAPI's `detail`, or the text without its tags. */
function complaint(body: string): string {
  let message: unknown;
  try {
    const { error, message: plain, detail } = JSON.parse(body) as Record<string, unknown>;
    message = (error as { message?: unknown } | undefined)?.message ?? plain ?? detail ?? error;
  } catch {
    message = body.replace(/<(style|script)[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ');
  }
  return (typeof message === 'string' ? message : JSON.stringify(message ?? '')).trim();
}

/** Milliseconds of a Retry-After header: seconds, or a date (RFC 9110 §10.2.3), which is compared with the server's own. */
function retryAfter(headers: Headers): number {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const ms = Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return ms > 0 ? ms : 0;
}

/** What kept a request from being answered, from fetch's nested causes. */
function unreachable(error: unknown): string {
  const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
  if (cause?.code === 'ECONNREFUSED') return 'could not be reached (ECONNREFUSED)';
  const why = cause?.code ?? cause?.message ?? message;
  return message === 'terminated' ? `broke off in the middle (${why})` : `could not be reached (${why})`;
}
