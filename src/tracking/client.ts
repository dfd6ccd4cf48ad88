import { UserError } from '../errors.js';
import { bodyText } from '../net/body.js';
import { jsonObjectIn } from '../data/formats/json.js';
import { discreet, keepSecret } from '../secrets/known.js';

/** The server cannot be reached, or cannot answer now: the same request may work later. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** The server refuses the request, and would refuse it again. */
export class Refused extends UserError {
  override name = 'Refused';

  /** @param code MLflow's `error_code`, empty if the answer has none */
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** Environment variables with the credentials, by the names that MLflow's own client uses. */
const TOKEN = 'MLFLOW_TRACKING_TOKEN';
const USER = 'MLFLOW_TRACKING_USERNAME';
const PASSWORD = 'MLFLOW_TRACKING_PASSWORD';

const WORDS = 200;

/** The REST API of an MLflow tracking server (https://mlflow.org/docs/latest/rest-api.html), one try a request. */
export class MlflowClient {
  private readonly authorization: string | undefined;

  /**
   * @param url of the server, without `/api`
   * @param timeoutMs time limit of a request
   * @param env holds the credentials
   */
  constructor(
    readonly url: string,
    private readonly timeoutMs: number,
    env: Readonly<Record<string, string | undefined>> = process.env,
  ) {
    const { [TOKEN]: token, [USER]: user, [PASSWORD]: password } = env;
    const basic = Buffer.from(`${user ?? ''}:${password ?? ''}`).toString('base64');
    this.authorization = token ? `Bearer ${token}` : user ? `Basic ${basic}` : undefined;
    for (const secret of [token, password, user ? basic : undefined]) keepSecret(secret);
  }

  /** @throws Unavailable or Refused */
  get(path: string, query: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.ask('GET', `${path}?${new URLSearchParams(query).toString()}`, undefined, signal);
  }

  /** @throws Unavailable or Refused */
  post(path: string, body: object, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.ask('POST', path, JSON.stringify(body), signal);
  }

  private async ask(
    method: string,
    path: string,
    body: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Record<string, unknown>> {
    const limit = AbortSignal.timeout(this.timeoutMs);
    let status: number;
    let text: string;
    try {
      const response = await fetch(`${this.url.replace(/\/+$/, '')}/api/2.0/mlflow/${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(this.authorization === undefined ? {} : { authorization: this.authorization }),
        },
        body,
        redirect: 'manual',
        signal: signal ? AbortSignal.any([limit, signal]) : limit,
      });
      ({ status } = response);
      text = await bodyText(response);
    } catch (error) {
      if (limit.aborted) throw new Unavailable(`no answer in ${this.timeoutMs / 1000} s`);
      throw new Unavailable(reasonOf(error));
    }
    const answer = parsed(text);
    if (status === 200 && answer) return answer;
    const words = clean(String(answer?.message ?? answer?.error_code ?? text));
    if (status === 200) throw new Unavailable(`answered with no JSON: ${words}`);
    if (status >= 500 || status === 408 || status === 429) throw new Unavailable(`answered ${status}: ${words}`);
    const hint =
      status === 401 || status === 403
        ? `; put credentials in ${TOKEN}, or in ${USER} and ${PASSWORD}`
        : status >= 300 && status < 400
          ? '; set mlflow.url to the address that it names'
          : '';
    throw new Refused(`${this.url}: MLflow answered ${status}: ${words}${hint}`, String(answer?.error_code ?? ''));
  }
}

/** The server's words as one line of bounded length, without keys. */
function clean(words: string): string {
  const line = discreet(words)
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > WORDS ? `${line.slice(0, WORDS)}…` : line;
}

function parsed(text: string): Record<string, unknown> | undefined {
  return jsonObjectIn(text);
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}
