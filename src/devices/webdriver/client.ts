import { RunError, UserError } from '../../errors.js';
import { machineClock, TooLate, within } from '../pool/clock.js';
import type { Applied } from '../device.js';
import { oneLine } from '../pool/guard.js';
import type { Secrets } from './template.js';
import { Wire, WireError, type Answer } from './wire.js';

/** Largest answer that is read, in bytes: a screenshot of 16384 × 16384 is never this large. */
const LONGEST_ANSWER = 64 << 20;
/** Milliseconds that a session which is not wanted any more is waited for, so that it can be deleted. */
const LATE_MS = 600_000;
const DELETE_MS = 20_000;
/** Milliseconds between two tries of a read, and between two looks at a server. */
const PAUSE_MS = 200;

/** Why a call failed: what can be done about it depends on it. */
export type Failing =
  /** there was no connection */
  | 'absent'
  | 'overdue'
  /** the connection broke, or what came is no answer */
  | 'broken'
  /** the session is no more */
  | 'lost'
  /** the server will not do such a thing */
  | 'refused'
  /** the server says that it failed */
  | 'failed';

/** A call of WebDriver's that failed, in one line. */
export class CallError extends RunError {
  constructor(
    message: string,
    readonly failing: Failing,
    /** whether what was asked for happened */
    readonly applied: Exclude<Applied, 'yes'>,
    /** WebDriver's error code, or '' */
    readonly code = '',
  ) {
    super(message);
  }
}

/** What a server says about itself. */
export interface ServerStatus {
  readonly ready: boolean;
  /** for people: `Appium 3.8.0`, `Selenium Grid 4.27.0`, or `a WebDriver server` */
  readonly name: string;
  /** one Appium, whose sessions all get the same device unless they are told otherwise; Grids and farms choose a free one */
  readonly single: boolean;
}

/** W3C's name of an element's id in JSON. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/**
 * The W3C WebDriver protocol (and where Selenium Grid 3 still speaks it, the wire protocol before it) as far as a device needs
 * it. No call is repeated, but for `read`.
 */
export class WebDriverClient {
  private readonly wire: Wire;

  constructor(
    private readonly url: string,
    authorization: string | undefined,
    private readonly secrets: Secrets,
    private readonly retries: number,
  ) {
    this.wire = new Wire(url, authorization);
  }

  /** @throws CallError, UserError */
  async status(timeoutMs: number): Promise<ServerStatus> {
    const body = await this.call('GET', '/status', undefined, timeoutMs);
    return serverStatus(body.value);
  }

  /**
   * Wait until the server answers that it is there.
   * @param known whether it has been there before: one that never was is the user's mistake
   */
  async whenThere(waitMs: number, known: boolean): Promise<ServerStatus> {
    for (const end = machineClock.now() + waitMs; ; await pause(PAUSE_MS)) {
      try {
        return await this.status(Math.max(1000, end - machineClock.now()));
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        // some farms have no /status; what is not a server at all, the new session will say
        if (error.failing === 'refused') return { ready: true, name: 'a WebDriver server', single: false };
        if (machineClock.now() + PAUSE_MS < end) continue;
        if (known) throw error;
        throw new UserError(`${error.message}; start the server (docs/webdriver.md) or set device.webdriver.url`);
      }
    }
  }

  /**
   * Ask for a session. One that comes after its time is deleted when it comes.
   * @param told.settled called once the server has nothing more to do with the request
   * @throws CallError, UserError where the server refuses what is asked for
   */
  async newSession(
    capabilities: Readonly<Record<string, unknown>>,
    timeoutMs: number,
    settled: () => void = () => undefined,
  ): Promise<WebDriverSession> {
    const body = JSON.stringify({ capabilities: { alwaysMatch: capabilities, firstMatch: [{}] } });
    const asked = this.call('POST', '/session', body, timeoutMs + LATE_MS)
      .catch((error: unknown) => {
        if (!(error instanceof CallError)) throw error;
        if (error.failing === 'refused') throw new UserError(error.message);
        if (error.code !== 'invalid argument') throw error;
        throw new UserError(`${error.message}; check device.webdriver.capabilities`);
      })
      .then(
        (answer) =>
          new WebDriverSession(
            this,
            sessionOf(answer, (why) => this.named('new session', why)),
          ),
      );
    asked.finally(settled).catch(() => undefined);
    try {
      return await within(machineClock, timeoutMs, () => asked, { late: (session) => void session.end() });
    } catch (error) {
      if (!(error instanceof TooLate)) throw error;
      throw new CallError(this.named('new session', `no session in ${timeoutMs} ms`), 'overdue', 'unknown');
    }
  }

  /** Delete a session. @returns whether the server has answered, be it that there is none */
  endSession(id: string): Promise<boolean> {
    return this.call('DELETE', `/session/${encodeURIComponent(id)}`, undefined, DELETE_MS).then(
      () => true,
      (error: unknown) => !(error instanceof CallError) || !['absent', 'overdue'].includes(error.failing),
    );
  }

  /**
   * One call. @param path below the server's
   * @returns the whole answer, whose `value` is WebDriver's
   * @throws CallError, or UserError where nobody is let in
   */
  async call(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body: string | undefined,
    timeoutMs: number,
    longest = LONGEST_ANSWER,
  ): Promise<{ readonly value?: unknown; readonly sessionId?: unknown }> {
    const what = `${method} ${path.replace(/^\/session\/[^/]+/, '/session/...')}`;
    let answer: Answer;
    try {
      answer = await this.wire.request(method, path, body, { timeoutMs, longest });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const failing = !error.sent && error.reason === 'broken' ? 'absent' : error.reason;
      throw new CallError(this.named(what, error.message), failing, error.sent ? 'unknown' : 'no');
    }
    return this.understood(what, answer);
  }

  /**
   * A call that changes nothing, asked again where it fails, for as long as `left` says that there is time.
   * @param left milliseconds
   */
  async read(path: string, left: () => number): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      try {
        return (await this.call('GET', path, undefined, left())).value;
      } catch (error) {
        const passing = error instanceof CallError && ['absent', 'broken', 'failed'].includes(error.failing);
        if (!passing || attempt >= this.retries || left() <= 2 * PAUSE_MS) throw error;
        await pause(PAUSE_MS);
      }
    }
  }

  close(): void {
    this.wire.close();
  }

  private understood(what: string, { status, text, headers }: Answer): { value?: unknown; sessionId?: unknown } {
    const fail = (why: string, failing: Failing, applied: 'no' | 'unknown', code = '') =>
      new CallError(this.named(what, why), failing, applied, code);
    if (status === 401 || status === 403) {
      throw new UserError(
        this.named(
          what,
          `the server lets nobody in without the right name and key (${status}); put them in environment variables and name those in device.webdriver.user_env and key_env`,
        ),
      );
    }
    if (status >= 300 && status < 400) {
      throw fail(
        `the server redirects (${status}) to ${oneLine(headers.location ?? '?')}; set device.webdriver.url`,
        'refused',
        'no',
      );
    }
    const body = parsed(text);
    if (body === undefined) {
      const said = text.trim() === '' ? 'nothing' : JSON.stringify(oneLine(text.slice(0, 200)).slice(0, 60));
      if (status === 404 || status === 405) {
        throw fail(
          `HTTP ${status}: no WebDriver is there; set the path of device.webdriver.url (Grid 3 and Appium 1: /wd/hub)`,
          'refused',
          'no',
        );
      }
      if (status === 429) throw fail('HTTP 429: too many requests', 'failed', 'no');
      throw fail(`HTTP ${status}, expected JSON, got ${said}`, status >= 400 ? 'failed' : 'broken', 'unknown');
    }
    const said = complaint(body, status);
    if (!said) return body;
    throw fail(
      `${said.message}${hint(said.message, said.code)}`,
      ...judged(said.code, said.message, status),
      said.code,
    );
  }

  /** @param what was asked */
  private named(what: string, why: string): string {
    return this.secrets.clean(`${this.url}: ${what}: ${why}`);
  }
}

/** A session, and so a device, at the server. */
export class WebDriverSession {
  readonly id: string;
  /** what the server says it has given */
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** resolves after `end`: whether the server has answered */
  readonly gone: Promise<boolean>;
  private ended = false;
  private tellGone!: (answered: boolean) => void;

  constructor(
    private readonly client: WebDriverClient,
    { id, capabilities }: { id: string; capabilities: Readonly<Record<string, unknown>> },
  ) {
    this.id = id;
    this.capabilities = capabilities;
    this.gone = new Promise((resolve) => (this.tellGone = resolve));
  }

  /** A call that changes something, sent once. @throws CallError */
  async post(path: string, body: unknown, timeoutMs: number, longest?: number): Promise<unknown> {
    return (await this.client.call('POST', this.path(path), JSON.stringify(body), timeoutMs, longest)).value;
  }

  /** A call that changes nothing, repeated where it fails. @throws CallError */
  read(path: string, left: () => number): Promise<unknown> {
    return this.client.read(this.path(path), left);
  }

  /** A command of the driver's own, sent once. @throws CallError */
  execute(script: string, args: unknown, timeoutMs: number, longest?: number): Promise<unknown> {
    return this.post('/execute/sync', { script, args: [args] }, timeoutMs, longest);
  }

  /** The id of the element that has the focus. @throws CallError, of which nothing was applied */
  async activeElement(timeoutMs: number): Promise<string> {
    let value: unknown;
    try {
      ({ value } = await this.client.call('GET', this.path('/element/active'), undefined, timeoutMs));
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      throw new CallError(error.message, error.failing, 'no', error.code);
    }
    const { [ELEMENT]: id, ELEMENT: old } = (value ?? {}) as Record<string, unknown>;
    if (typeof id === 'string') return id;
    if (typeof old === 'string') return old;
    throw new CallError('the server names no element that has the focus', 'failed', 'no');
  }

  /** Delete it, once; that this fails is nobody's concern: the server ends sessions that nobody uses. */
  end(): Promise<boolean> {
    if (!this.ended) {
      this.ended = true;
      void this.client.endSession(this.id).then(this.tellGone);
    }
    return this.gone;
  }

  private path(path: string): string {
    return `/session/${encodeURIComponent(this.id)}${path}`;
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null && !Array.isArray(body)
      ? (body as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Codes of the protocol before W3C's, as its names. */
const OLD_CODES: Readonly<Record<number, string>> = {
  6: 'invalid session id',
  7: 'no such element',
  9: 'unknown command',
  13: 'unknown error',
  28: 'script timeout',
  33: 'session not created',
  61: 'invalid argument',
};

/** What an answer complains of, without stack traces; undefined: it is none. */
function complaint(body: Record<string, unknown>, status: number): { code: string; message: string } | undefined {
  const value = (typeof body.value === 'object' && body.value !== null ? body.value : {}) as Record<string, unknown>;
  const old = typeof body.status === 'number' && body.status !== 0 ? body.status : undefined;
  const code =
    typeof value.error === 'string' ? value.error : old === undefined ? undefined : (OLD_CODES[old] ?? 'unknown error');
  if (code === undefined && status < 400) return undefined;
  const message = typeof value.message === 'string' ? value.message : typeof body.value === 'string' ? body.value : '';
  return { code: code ?? `HTTP ${status}`, message: plain(message) || (code ?? `HTTP ${status}`) };
}

/** The first words of a driver's message: what is behind them is its build, its machine and its stack. */
function plain(message: string): string {
  const first = message
    .replace(/^An unknown server-side error occurred while processing the command\.\s*(Original error:\s*)?/, '')
    .replace(
      /\s*\n\s*(at |Build info:|System info:|Driver info:|Command duration|Host info:|For documentation)[\s\S]*$/,
      '',
    );
  return oneLine(first);
}

const LOST =
  /is either terminated or not started|not among the last \d+ terminated sessions|Session \[.*\] (was terminated|not available)|unexpectedly shut ?down|Unable to find session|instrumentation process is not running/i;

/** What a server says that will not do such a thing for anybody, until it is started otherwise. */
const NEVER = /insecure feature|Could not find a driver for|Unsupported execute method/i;

/** What an error means for the session, and whether what was asked for can have happened. */
function judged(code: string, message: string, status: number): [failing: Failing, applied: 'no' | 'unknown'] {
  if (code === 'invalid session id' || LOST.test(message)) {
    // said of a command that was under way, too
    return ['lost', /unexpectedly/i.test(message) ? 'unknown' : 'no'];
  }
  if (code === 'unknown command' || code === 'unknown method' || NEVER.test(message)) return ['refused', 'no'];
  const before = ['invalid argument', 'unsupported operation', 'no such element'].includes(code) || status === 429;
  return ['failed', before ? 'no' : 'unknown'];
}

/** What to do about an error that is known. */
function hint(message: string, code: string): string {
  const feature = /insecure feature '([\w:-]+)'/i.exec(message)?.[1];
  if (feature) return `; start Appium with --allow-insecure uiautomator2:${feature.replace(/^.*:/, '')}`;
  if (/Could not find a driver for/i.test(message)) return '; install it: appium driver install uiautomator2';
  if (/Could not find a connected Android device|not in the list of connected devices/i.test(message)) {
    return '; `adb devices` lists those that are there (device.webdriver.udids)';
  }
  if (code === 'unknown command')
    return '; the server knows no such command (is the path of device.webdriver.url right?)';
  return '';
}

function sessionOf(
  body: { value?: unknown; sessionId?: unknown },
  named: (why: string) => string,
): { id: string; capabilities: Readonly<Record<string, unknown>> } {
  const value = (typeof body.value === 'object' && body.value !== null ? body.value : {}) as Record<string, unknown>;
  const id = value.sessionId ?? body.sessionId;
  if (typeof id !== 'string' || id === '') {
    throw new CallError(named('the server answers without a session id'), 'broken', 'unknown');
  }
  return { id, capabilities: (value.capabilities ?? value) as Readonly<Record<string, unknown>> };
}

function serverStatus(value: unknown): ServerStatus {
  const { ready, build, nodes, java } = (value ?? {}) as Record<string, unknown>;
  const { version, revision } = (build ?? {}) as Record<string, unknown>;
  const of = typeof version === 'string' ? ` ${version}` : '';
  const grid = Array.isArray(nodes) || java !== undefined || revision !== undefined;
  const appium = !grid && of !== '';
  const name = grid ? `Selenium Grid${of}` : appium ? `Appium${of}` : 'a WebDriver server';
  return { ready: ready !== false, name, single: appium };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => machineClock.after(ms, resolve));
}
