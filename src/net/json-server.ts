import { setTimeout as sleep } from 'node:timers/promises';
import { bodyText } from './body.js';
import { withoutMark } from '../data/formats/text.js';
import { RunError, UserError } from '../errors.js';
import { Random } from '../random.js';
import { discreet, keepSecret } from '../secrets/known.js';
import { retryAfterMs } from './retry-after.js';
import { parseJson } from '../data/formats/json.js';

export interface JsonServerOptions {
  /** base URL, without the path of a call */
  readonly url: string;
  /** name of the setting that holds the URL, for messages */
  readonly setting: string;
  /** sent as a bearer token, or in `keyHeader`; never in a message */
  readonly apiKey?: string;
  /** the header for the key, for servers that take no bearer token */
  readonly keyHeader?: string;
  /** the environment variable that holds the key, for messages */
  readonly apiKeyEnv: string;
  /** milliseconds that one try may take, until the last byte of its answer */
  readonly timeoutMs: number;
  /** tries after the first */
  readonly retries: number;
  /** longest wait before the first retry, in milliseconds; it doubles with each further retry */
  readonly backoffMs: number;
  /** seeds the random part of the waits, so that requests that failed together are not retried together */
  readonly seed: number;
  /** our page on how to set up the server, for messages */
  readonly docs: string;
  /** called before each try; if it throws, the request ends with that error */
  readonly onTry?: () => void;
}

/** Statuses that every request would get: a wrong key, an unknown model, a server that moved. */
const REFUSES_ALL: ReadonlySet<number> = new Set([301, 302, 303, 307, 308, 401, 403, 404]);

/** The server refuses the request, and would refuse it again. */
export class RefusedRequest extends UserError {
  constructor(
    message: string,
    /** the HTTP status */
    readonly status: number,
  ) {
    super(message);
  }

  /** Whether other requests would be refused as well. */
  get refusesAll(): boolean {
    return REFUSES_ALL.has(this.status);
  }
}

/** An unusable answer; it costs a retry. The message completes the sentence "the server ...". */
export class WrongAnswer extends Error {
  override name = 'WrongAnswer';

  constructor(message: string) {
    super(discreet(message));
  }
}

/** A failed try. The message completes the sentence "the server ..."; the server may ask for a wait. */
class FailedTry extends Error {
  constructor(
    message: string,
    readonly retryAfterMs = 0,
  ) {
    super(discreet(message));
  }
}

function isFailedTry(error: unknown): boolean {
  return error instanceof FailedTry || error instanceof WrongAnswer;
}

/** 4xx statuses that are worth a retry: timeout, conflict, too early, too many requests. */
const PASSING = new Set([408, 409, 425, 429]);

const LONGEST_WAIT_MS = 30_000;
/** Longest wait that a server may ask for. */
const LONGEST_RETRY_AFTER_MS = 120_000;
/** More than any vector takes, and few enough bytes to hold in memory. */
const LONGEST_ANSWER = 16 << 20;
const LONGEST_ERROR_BODY = 64 << 10;
/** Most characters of a server's own words in our messages. */
const QUOTED = 300;

/** A JSON server that is called by POST and not trusted: every answer is checked, and a wrong one costs a retry. */
export class JsonServer {
  constructor(private readonly options: JsonServerOptions) {
    keepSecret(options.apiKey);
  }

  /**
   * @param body JSON
   * @param label names the request; seeds the random part of the waits
   * @param check extracts the result from the parsed answer; throws WrongAnswer if the answer is unusable
   * @throws RefusedRequest at once if the server refuses the request (4xx except 408, 409, 425 and 429); RunError after the
   * last retry, whose cause is a WrongAnswer if the server answered then; the reason of `signal` once it is aborted
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
        if (error instanceof UserError || error instanceof RunError) throw withoutKeysInside(error);
        // whatever else an answer does to the code that reads it: it is the answer that is wrong
        const { message } = error as Error;
        const what = isFailedTry(error) ? message : `gave an answer that cannot be read (${message})`;
        if (attempt === retries) {
          const tries = `${retries + 1} ${retries === 0 ? 'try' : 'tries'}`;
          throw new RunError(
            `${url}: no usable answer in ${tries}; at the last try, the server ${clean(what)}; ` +
              `check the server and ${setting}, then run the same command again: the answers so far are kept`,
            { cause: error },
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
    // not AbortSignal.any: on Node 20 it leaks memory on a long-lived signal with every request
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
      const answer = parse(await text(response, LONGEST_ANSWER));
      const error = errorIn(answer);
      if (error === undefined) return answer;
      const { code } = error as { code?: unknown };
      const status = /^[45]\d\d$/.test(String(code)) ? Number(code) : 0;
      throw this.failure(
        url,
        status,
        `answered 200 with an error: ${wordsOf(error)}`,
        retryAfterMs(response.headers, error),
      );
    } catch (error) {
      if (error instanceof UserError || error instanceof FailedTry || error instanceof WrongAnswer) throw error;
      if (limit.signal.aborted) throw new FailedTry(`took more than ${timeoutMs} ms`);
      throw new FailedTry(unreachable(error));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  /** The error for a status other than 2xx: a RefusedRequest, or a FailedTry if a retry may help. */
  private async refusal(url: string, response: Response): Promise<Error> {
    const { status, headers } = response;
    const { setting } = this.options;
    if (status >= 300 && status < 400) {
      const location = clean(headers.get('location') ?? 'an unknown place');
      await response.body?.cancel();
      return new RefusedRequest(
        `${url}: the server redirects (${status}) to ${location}; set ${setting} to the server's own URL`,
        status,
      );
    }
    const error = errorOf(await text(response, LONGEST_ERROR_BODY).catch(() => ''));
    const words = wordsOf(error);
    return this.failure(
      url,
      status,
      `answered ${status}${words === '' ? '' : `: ${words}`}`,
      retryAfterMs(headers, error),
    );
  }

  /** The error for a failure with an HTTP status; 0 if there is none. */
  private failure(url: string, status: number, what: string, afterMs: number): Error {
    const { setting, apiKeyEnv, apiKey } = this.options;
    if (status < 400 || status >= 500 || PASSING.has(status)) return new FailedTry(what, afterMs);
    const hints: Record<number, string> = {
      401: `${apiKey ? 'check' : 'put'} the key in the environment variable ${apiKeyEnv}`,
      403: `${apiKey ? 'check' : 'put'} the key in the environment variable ${apiKeyEnv}`,
      404: `check ${setting} and the model's name on the server`,
      413: 'raise the size of requests that the server accepts: screenshots are sent as PNG',
    };
    const hint = hints[status] ?? `check how the server was started (${this.options.docs})`;
    return new RefusedRequest(`${url}: the server ${clean(what)}; ${hint}`, status);
  }
}

/** The server's words as one line of bounded length, without keys. */
function clean(words: string): string {
  const line = discreet(words).replace(/\s+/g, ' ').trim();
  return line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line;
}

/** The error without keys in its message, which may quote an answer. */
function withoutKeysInside(error: unknown): unknown {
  if (error instanceof Error) error.message = discreet(error.message);
  return error;
}

function parse(body: string): unknown {
  try {
    return parseJson(withoutMark(body));
  } catch (error) {
    const what = (error as Error).message;
    throw new WrongAnswer(
      `did not answer with JSON${what === 'not valid JSON' ? '' : ` (${what})`}, but with ${JSON.stringify(body.length > 60 ? `${body.slice(0, 60)}…` : body)}`,
    );
  }
}

/** The error in an answer with status 200 and no result (OpenRouter, and proxies in front of others). */
function errorIn(answer: unknown): unknown {
  const { error, choices, candidates, data } = (answer ?? {}) as Record<string, unknown>;
  const hasResult = [choices, candidates, data].some((list) => Array.isArray(list) && list.length > 0);
  return hasResult || !error || (typeof error !== 'string' && typeof error !== 'object') ? undefined : error;
}

/** The body of a response as text. @throws FailedTry if it is longer than `most` bytes */
function text(response: Response, most: number): Promise<string> {
  return bodyText(response, most, () => new FailedTry(`answered more than ${most} bytes`));
}

/** The `error` in an error's body, or the body: parsed if it is JSON, else its text without HTML tags. */
function errorOf(body: string): unknown {
  try {
    const json = parseJson(body);
    // Gemini's streaming servers wrap it into a list
    const whole = (Array.isArray(json) ? json[0] : json) as { error?: unknown } | null;
    return typeof whole?.error === 'object' && whole.error !== null ? whole.error : whole;
  } catch {
    return body.replace(/<(style|script)[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ');
  }
}

/** The words of an error: its `message` (vLLM, OpenAI) or `detail` (FastAPI), or all of it; without a full stop at the end. */
function wordsOf(error: unknown): string {
  const { message, detail, error: plain } = (typeof error === 'object' ? (error ?? {}) : {}) as Record<string, unknown>;
  const words = message ?? detail ?? plain ?? error ?? '';
  return (typeof words === 'string' ? words : JSON.stringify(words)).trim().replace(/\.$/, '');
}

/** Why a request got no answer, from fetch's nested causes. */
function unreachable(error: unknown): string {
  const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
  if (cause?.code === 'ECONNREFUSED') return 'could not be reached (ECONNREFUSED)';
  const why = cause?.code ?? cause?.message ?? message;
  return message === 'terminated' ? `broke off in the middle (${why})` : `could not be reached (${why})`;
}
