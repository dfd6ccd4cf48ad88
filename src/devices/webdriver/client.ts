import { RunError, UserError } from '../../errors.js';
import { discreet, withoutKeys } from '../../secrets/known.js';
import { machineClock, TooLate, within } from '../pool/clock.js';
import type { Applied } from '../device.js';
import { oneLine } from '../pool/guard.js';
import { Wire, WireError, type Answer } from './wire.js';
import { jsonObjectIn } from '../../data/formats/json.js';

/** Largest answer in bytes; even a screenshot of 16384 × 16384 is smaller. */
const LONGEST_ANSWER = 64 << 20;
/** Characters of an answer that are looked at for a message. */
const LONGEST_QUOTED = 4096;
/** Milliseconds to wait for a session that comes too late, so that it can be deleted. */
const LATE_MS = 600_000;
const DELETE_MS = 20_000;
/** Milliseconds between two tries of a read, and between two requests for a server's status. */
const PAUSE_MS = 200;

/** Why a call failed; the reaction depends on it. */
export type Failing =
  /** no connection */
  | 'absent'
  /** no answer in time */
  | 'overdue'
  /** the connection broke, or the answer is not WebDriver's */
  | 'broken'
  /** the session has ended */
  | 'lost'
  /** the server does not support or allow this call */
  | 'refused'
  /** the server reports an error */
  | 'failed';

/** A failed WebDriver call, with a one-line message. */
export class CallError extends RunError {
  constructor(
    message: string,
    readonly failing: Failing,
    /** whether the command may have been executed */
    readonly applied: Exclude<Applied, 'yes'>,
    /** WebDriver's error code, or '' */
    readonly code = '',
  ) {
    super(message);
  }
}

/** A server's status. */
export interface ServerStatus {
  readonly ready: boolean;
  /** for messages: `Appium 3.8.0`, `Selenium Grid 4.27.0`, or `a WebDriver server` */
  readonly name: string;
  /** whether it is a single Appium, which gives all sessions the same device by default; Grids and farms choose a free one */
  readonly single: boolean;
}

/** W3C's name of an element's id in JSON. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/**
 * The parts of the W3C WebDriver protocol that a device needs, and of its predecessor, which Selenium Grid 3 still uses. Only
 * `read` retries a call.
 */
export class WebDriverClient {
  private readonly wire: Wire;

  constructor(
    private readonly url: string,
    authorization: string | undefined,
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
   * Waits until the server answers.
   * @param known whether it has answered before; if it never has, its absence is the user's mistake
   * @throws UserError, CallError
   */
  async whenThere(waitMs: number, known: boolean): Promise<ServerStatus> {
    for (const end = machineClock.now() + waitMs; ; await pause(PAUSE_MS)) {
      try {
        return await this.status(Math.max(1000, end - machineClock.now()));
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        // some farms have no /status; if this is not a server at all, the new session will fail
        if (error.failing === 'refused') return { ready: true, name: 'a WebDriver server', single: false };
        if (machineClock.now() + PAUSE_MS < end) continue;
        if (known) throw error;
        throw new UserError(`${error.message}; start the server (docs/webdriver.md) or set device.webdriver.url`);
      }
    }
  }

  /**
   * Requests a session. A session that comes too late is deleted then.
   * @param settled called once the server has finished with the request
   * @throws CallError; UserError if the server refuses the capabilities
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

  /** Deletes a session. @returns whether the server answered, even with an error */
  endSession(id: string): Promise<boolean> {
    return this.call('DELETE', `/session/${encodeURIComponent(id)}`, undefined, DELETE_MS).then(
      () => true,
      (error: unknown) => !(error instanceof CallError) || !['absent', 'overdue'].includes(error.failing),
    );
  }

  /**
   * Makes one call.
   * @param path below the server's
   * @returns the whole answer; `value` is WebDriver's
   * @throws CallError; UserError if the credentials are wrong
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
    return this.checked(what, answer);
  }

  /**
   * A call without side effects, retried while there is time.
   * @param left milliseconds left
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

  private checked(what: string, { status, text, headers }: Answer): { value?: unknown; sessionId?: unknown } {
    const fail = (why: string, failing: Failing, applied: 'no' | 'unknown', code = '') =>
      new CallError(this.named(what, why), failing, applied, code);
    if (status === 401 || status === 403) {
      throw new UserError(
        this.named(
          what,
          `the server refuses the user name or key (${status}); put them into environment variables and name those in device.webdriver.user_env and key_env`,
        ),
      );
    }
    if (status >= 300 && status < 400) {
      throw fail(
        `the server redirects (${status}) to ${oneLine(headers.location ?? '?')}; set device.webdriver.url to the server's own URL`,
        'refused',
        'no',
      );
    }
    const body = parsed(text);
    if (body === undefined) {
      const start =
        text.trim() === ''
          ? 'nothing'
          : JSON.stringify(oneLine(withoutKeys(text.slice(0, LONGEST_QUOTED))).slice(0, 60));
      if (status === 404 || status === 405) {
        throw fail(
          `HTTP ${status}: no WebDriver server at this path; correct the path of device.webdriver.url (Grid 3 and Appium 1: /wd/hub)`,
          'refused',
          'no',
        );
      }
      if (status === 429) throw fail('HTTP 429: too many requests', 'failed', 'no');
      throw fail(`HTTP ${status}: expected JSON, got ${start}`, status >= 400 ? 'failed' : 'broken', 'unknown');
    }
    const error = errorIn(body, status);
    if (!error) return body;
    throw fail(
      `${error.message}${hint(error.message, error.code)}`,
      ...classified(error.code, error.message, status),
      error.code,
    );
  }

  /** A message with the server and the call in front, without keys. @param what the call */
  private named(what: string, why: string): string {
    return discreet(`${this.url}: ${what}: ${why}`);
  }
}

/** A session on one of the server's devices. */
export class WebDriverSession {
  readonly id: string;
  /** the capabilities that the server reports */
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

  /** A call with side effects, sent once. @throws CallError */
  async post(path: string, body: unknown, timeoutMs: number, longest?: number): Promise<unknown> {
    return (await this.client.call('POST', this.path(path), JSON.stringify(body), timeoutMs, longest)).value;
  }

  /** A call without side effects, retried if it fails. @throws CallError */
  read(path: string, left: () => number): Promise<unknown> {
    return this.client.read(this.path(path), left);
  }

  /** One of the driver's own commands, sent once. @throws CallError */
  execute(script: string, args: unknown, timeoutMs: number, longest?: number): Promise<unknown> {
    return this.post('/execute/sync', { script, args: [args] }, timeoutMs, longest);
  }

  /** The id of the focused element. @throws CallError with `applied` "no" */
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
    throw new CallError("the server's answer names no focused element", 'failed', 'no');
  }

  /** Deletes the session, once. A failure does not matter, since servers end unused sessions. */
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
  return jsonObjectIn(text);
}

/** Error codes of the protocol before W3C's, as W3C's names. */
const OLD_CODES: Readonly<Record<number, string>> = {
  6: 'invalid session id',
  7: 'no such element',
  9: 'unknown command',
  13: 'unknown error',
  28: 'script timeout',
  33: 'session not created',
  61: 'invalid argument',
};

/** The error in an answer, without stack traces; undefined if there is none. */
function errorIn(body: Record<string, unknown>, status: number): { code: string; message: string } | undefined {
  const value = (typeof body.value === 'object' && body.value !== null ? body.value : {}) as Record<string, unknown>;
  const old = typeof body.status === 'number' && body.status !== 0 ? body.status : undefined;
  const code =
    typeof value.error === 'string' ? value.error : old === undefined ? undefined : (OLD_CODES[old] ?? 'unknown error');
  if (code === undefined && status < 400) return undefined;
  const message = typeof value.message === 'string' ? value.message : typeof body.value === 'string' ? body.value : '';
  return { code: code ?? `HTTP ${status}`, message: plain(message) || (code ?? `HTTP ${status}`) };
}

/** A driver's message without its build, machine and stack trace. */
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

/** Messages of servers that do not support or allow a command as they were started. */
const NEVER = /insecure feature|Could not find a driver for|Unsupported execute method/i;

/** The kind of failure of an error, and whether the command may have been executed. */
function classified(code: string, message: string, status: number): [failing: Failing, applied: 'no' | 'unknown'] {
  if (code === 'invalid session id' || LOST.test(message)) {
    // an unexpected shutdown can happen during the command
    return ['lost', /unexpectedly/i.test(message) ? 'unknown' : 'no'];
  }
  if (code === 'unknown command' || code === 'unknown method' || NEVER.test(message)) return ['refused', 'no'];
  const before = ['invalid argument', 'unsupported operation', 'no such element'].includes(code) || status === 429;
  return ['failed', before ? 'no' : 'unknown'];
}

/** What to do about a known error. */
function hint(message: string, code: string): string {
  const feature = /insecure feature '([\w:-]+)'/i.exec(message)?.[1];
  if (feature) return `; start Appium with --allow-insecure uiautomator2:${feature.replace(/^.*:/, '')}`;
  if (/Could not find a driver for/i.test(message)) return '; install it: appium driver install uiautomator2';
  if (/Could not find a connected Android device|not in the list of connected devices/i.test(message)) {
    return '; compare device.webdriver.udids with the output of `adb devices`';
  }
  if (code === 'unknown command')
    return '; the server does not know this command: check the command and the path of device.webdriver.url';
  return '';
}

function sessionOf(
  body: { value?: unknown; sessionId?: unknown },
  named: (why: string) => string,
): { id: string; capabilities: Readonly<Record<string, unknown>> } {
  const value = (typeof body.value === 'object' && body.value !== null ? body.value : {}) as Record<string, unknown>;
  const id = value.sessionId ?? body.sessionId;
  if (typeof id !== 'string' || id === '') {
    throw new CallError(named("the server's answer has no session id"), 'broken', 'unknown');
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
