import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodePng } from '../../../src/data/formats/png.js';
import type { Action } from '../../../src/data/action.js';
import type { Task } from '../../../src/data/task.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { Phone, phoneTasks } from '../../../src/devices/phone/index.js';

/** How a call is answered. "Done" means that its command was executed before. */
export type Fault =
  | 'well'
  /** done; 500 with a stack trace */
  | '500'
  /** done; a gateway's error page */
  | '502'
  /** not done; the connection is reset */
  | 'reset'
  /** done; the connection is reset */
  | 'done, reset'
  /** done; never answered */
  | 'hang'
  /** done; half an answer */
  | 'half'
  /** done; an answer that is not JSON */
  | 'no json'
  /** not done; the session has ended */
  | 'lost'
  /** done; Appium's message for a session that ends during a command */
  | 'lost in the middle'
  /** an invalid screenshot, of another size, or of a single colour */
  | 'no png'
  | 'truncated png'
  | 'wrong size'
  | 'blank'
  /** not done; nothing has the focus */
  | 'no focus'
  /** refused: the server has no such command */
  | 'unknown command'
  | 'insecure'
  | 'busy';

/** A call that arrived. */
export interface Call {
  readonly method: string;
  /** without the base path and the session */
  readonly path: string;
  readonly session?: string;
  /** of `/execute/sync` */
  readonly script?: string;
  readonly args: Record<string, unknown>;
  readonly headers: IncomingMessage['headers'];
  /** number of earlier calls in this session with the same method, path and script */
  readonly nth: number;
}

export interface ServerOptions {
  readonly base?: string;
  /** the server's protocol @default 'appium' */
  readonly dialect?: 'appium' | 'grid3' | 'grid4';
  readonly behave?: (call: Call) => Fault;
  /** milliseconds that a new session takes */
  readonly sessionMs?: number;
  /** the required Authorization header */
  readonly authorization?: string;
  /** answers to scripts that replace the server's own */
  readonly scripts?: Readonly<Record<string, (args: Record<string, unknown>, phone: Phone) => unknown>>;
}

interface Session {
  readonly udid: string;
  readonly capabilities: Record<string, unknown>;
}

/** The task of a phone before its first `test: begin`. */
const [SOME_TASK] = phoneTasks({ set: 'general', split: 'train', count: 1, seed: 0 });

const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
const BLANK: Frame = { width: 270, height: 585, rgba: new Uint8ClampedArray(4 * 270 * 585).fill(255) };

/**
 * A test server that behaves like Appium with UiAutomator2 (or like the hub of a Selenium Grid), with embedded phones as
 * devices. It records all calls and can inject faults.
 */
export class ScriptedServer {
  readonly calls: Call[] = [];
  /** the executed commands, with the phone's udid */
  readonly done: { readonly udid: string; readonly what: string }[] = [];
  readonly sessions = new Map<string, Session>();
  /** sessions opened */
  made = 0;
  /** sessions ended */
  ended = 0;
  /** sessions ended because another was opened on their device */
  killed = 0;
  readonly phones = new Map<string, Phone>();
  private readonly asked = new Map<string, number>();
  private server: Server;
  private port = 0;

  private constructor(private readonly options: ServerOptions) {
    this.server = this.listener();
  }

  static async start(t: { after(fn: () => unknown): void }, options: ServerOptions = {}): Promise<ScriptedServer> {
    const server = new ScriptedServer(options);
    await server.up();
    t.after(() => server.down());
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}${this.options.base ?? ''}`;
  }

  /** Number of calls of a kind: `POST /actions`, or the name of a script. */
  count(what: string): number {
    return this.calls.filter(({ method, path, script }) => script === what || `${method} ${path}` === what).length;
  }

  /** Starts to listen, on the same port as before. */
  async up(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
  }

  /** Stops and forgets all sessions; the phones keep their state. */
  async down(): Promise<void> {
    for (const id of [...this.sessions.keys()]) this.end(id);
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
    this.server = this.listener();
  }

  /** Ends a session, as newCommandTimeout does. */
  end(id: string): void {
    if (this.sessions.delete(id)) this.ended++;
  }

  private listener(): Server {
    return createServer((request, response) => {
      this.serve(request, response).catch((error: unknown) => {
        // the test then fails at its own expectation
        if (!response.headersSent) response.writeHead(500).end(String(error));
        else response.destroy();
      });
    });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const text = Buffer.concat(pieces).toString('utf8');
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    const { base = '', authorization, behave } = this.options;
    const json = (status: number, value: unknown, session?: string): void => {
      const old = this.options.dialect === 'grid3' && status >= 400;
      const { message } = (value ?? {}) as { message?: string };
      const content = old
        ? { status: 13, sessionId: null, value: { class: 'org.openqa.grid.common.exception.GridException', message } }
        : { value, ...(session && { sessionId: session }) };
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(content));
    };
    const error = (status: number, code: string, message: string): void =>
      json(status, { error: code, message, stacktrace: `Error: ${message}\n    at UiAutomator2 (/usr/lib/x.js:1:2)` });
    const url = request.url ?? '';
    if (!url.startsWith(`${base}/`)) return void response.writeHead(404).end('The URL was not found');
    const [, session, rest] = /^\/session\/([^/]+)(.*)$/.exec(url.slice(base.length)) ?? [];
    const path = session === undefined ? url.slice(base.length) : rest;
    const method = request.method ?? '';
    const script = path === '/execute/sync' ? (body.script as string) : undefined;
    const key = `${session} ${method} ${path} ${script}`;
    const nth = this.asked.get(key) ?? 0;
    this.asked.set(key, nth + 1);
    const args = script === undefined ? body : ((body.args as Record<string, unknown>[])[0] ?? {});
    const call: Call = { method, path, session, script, args, headers: request.headers, nth };
    this.calls.push(call);
    if (authorization !== undefined && request.headers.authorization !== authorization) {
      return error(401, 'unauthorized', `bad key ${request.headers.authorization}`);
    }
    const fault = behave?.(call) ?? 'well';
    if (fault === 'reset') return void response.destroy();
    if (fault === 'no focus') return error(404, 'no such element', 'no element has the focus');
    if (fault === 'busy') return error(429, 'too many requests', 'wait');
    if (fault === 'lost' && session !== undefined) this.end(session);
    if (fault === 'unknown command') return error(404, 'unknown command', 'The requested resource could not be found');
    if (fault === 'insecure') {
      const feature = "Potentially insecure feature 'adb_shell' has not been enabled.";
      return error(
        500,
        'unknown error',
        `An unknown server-side error occurred while processing the command. Original error: ${feature}`,
      );
    }
    const open = session === undefined ? undefined : this.sessions.get(session);
    if (session !== undefined && !open) {
      return this.options.dialect === 'grid3'
        ? error(
            500,
            'unknown error',
            `Session [${session}] was terminated due to TIMEOUT\nBuild info: version: '3.141.59'\nSystem info: host: 'x'`,
          )
        : error(404, 'invalid session id', 'A session is either terminated or not started');
    }
    let value: unknown;
    try {
      value = await this.answer(call, open);
    } catch (refused) {
      const { status, code, message } = refused as Refusal;
      return error(status, code, message);
    }
    if (method === 'POST' && path === '/session' && fault === 'well') {
      const made = value as { sessionId: string };
      return json(200, value, made.sessionId);
    }
    switch (fault) {
      case '500':
        return error(
          500,
          'unknown error',
          'An unknown server-side error occurred while processing the command. Original error: socket hang up',
        );
      case '502':
        return void response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad Gateway</html>');
      case 'done, reset':
        return void response.destroy();
      case 'hang':
        return;
      case 'half':
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' });
        response.write('{"value": "iVBOR', () => response.destroy());
        return;
      case 'no json':
        return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>');
      case 'lost in the middle':
        this.end(session!);
        return error(404, 'invalid session id', 'The driver was unexpectedly shut down!');
      case 'no png':
        return json(200, Buffer.from('nothing').toString('base64'));
      case 'truncated png':
        return json(200, (value as string).slice(0, 400));
      case 'wrong size':
        return json(200, await base64({ width: 90, height: 90, rgba: new Uint8ClampedArray(4 * 8100).fill(7, 0, 9) }));
      case 'blank':
        return json(200, await base64(BLANK));
      default:
        return json(200, value ?? null);
    }
  }

  private async answer({ method, path, session, script, args }: Call, open: Session | undefined): Promise<unknown> {
    if (path === '/status') return this.status();
    if (method === 'POST' && path === '/session') return this.newSession(args);
    if (!open) throw new Refusal(404, 'unknown command', 'The requested resource could not be found');
    const phone = this.phoneOf(open.udid);
    const act = (action: Action, what: string = action.type): null => {
      this.done.push({ udid: open.udid, what });
      phone.apply(action);
      return null;
    };
    if (method === 'DELETE' && path === '') return this.end(session!);
    if (path === '/timeouts') return { command: 60_000, implicit: 0 };
    if (path === '/screenshot') return base64(phone.frame());
    if (path === '/window/rect') return { x: 0, y: 0, width: 135, height: 292 };
    if (path === '/element/active') {
      if (phone.state.focus === undefined) throw new Refusal(404, 'no such element', 'no element has the focus');
      return { [ELEMENT]: 'focused' };
    }
    if (path === '/element/focused/value')
      return act({ type: 'TYPE', text: String(args.text) }, `type ${String(args.text)}`);
    if (path === '/actions') return this.touch(args, open, phone);
    if (path === '/appium/device/press_keycode') return this.key(Number(args.keycode), act);
    if (path === '/appium/start_recording_screen') return '';
    if (path === '/appium/stop_recording_screen') return Buffer.from('film').toString('base64');
    const own = script === undefined ? undefined : this.options.scripts?.[script];
    if (own) return own(args, phone);
    switch (script) {
      case 'mobile: pressKey':
        return this.key(Number(args.keycode), act);
      case 'mobile: type':
        return act({ type: 'TYPE', text: String(args.text) }, `type ${String(args.text)}`);
      case 'mobile: terminateApp':
      case 'mobile: clearApp':
      case 'mobile: activateApp':
      case 'mobile: execEmuConsoleCommand':
        this.done.push({ udid: open.udid, what: `${script.slice(8)} ${String(args.appId ?? args.command)}` });
        return script === 'mobile: execEmuConsoleCommand' ? 'OK' : true;
      case 'mobile: startMediaProjectionRecording':
        return true;
      case 'mobile: stopMediaProjectionRecording':
        return Buffer.from('film').toString('base64');
      case 'test: begin':
        phone.begin(JSON.parse(String(args.task)) as Task, Number(args.seed));
        return null;
      case 'test: achieved':
        return phone.achieved();
    }
    throw new Refusal(404, 'unknown command', 'The requested resource could not be found');
  }

  private key(keycode: number, act: (action: Action) => null): null {
    const keys: Record<number, Action> = {
      3: { type: 'PRESS_HOME' },
      4: { type: 'PRESS_BACK' },
      66: { type: 'PRESS_ENTER' },
    };
    return act(keys[keycode]);
  }

  private touch(args: Record<string, unknown>, { udid }: Session, phone: Phone): null {
    const [{ type, actions }] = args.actions as [{ type: string; actions: Record<string, unknown>[] }];
    if (type === 'key') {
      const text = actions.flatMap((key) => (key.type === 'keyDown' ? [key.value as string] : [])).join('');
      this.done.push({ udid, what: `keys ${text}` });
      phone.apply({ type: 'TYPE', text });
      return null;
    }
    const [from, to] = actions
      .filter((action) => action.type === 'pointerMove')
      .map(({ x, y }) => ({ x: x as number, y: y as number }));
    this.done.push({ udid, what: to ? `swipe ${from.x},${from.y} ${to.x},${to.y}` : `tap ${from.x},${from.y}` });
    phone.finger(from, to);
    return null;
  }

  private async newSession(body: Record<string, unknown>): Promise<unknown> {
    const { sessionMs } = this.options;
    if (sessionMs !== undefined) await new Promise((resolve) => setTimeout(resolve, sessionMs));
    const { alwaysMatch } = body.capabilities as { alwaysMatch: Record<string, unknown> };
    const udid = String(alwaysMatch['appium:udid'] ?? 'emulator-5554');
    for (const [id, other] of this.sessions) {
      if (other.udid !== udid || this.options.dialect !== undefined) continue;
      this.end(id);
      this.killed++;
    }
    const sessionId = `session-${this.made++}`;
    this.sessions.set(sessionId, { udid, capabilities: alwaysMatch });
    return { sessionId, capabilities: { ...alwaysMatch, deviceUDID: udid } };
  }

  private status(): unknown {
    switch (this.options.dialect) {
      case 'grid3':
        return {
          ready: true,
          message: 'Hub has capacity',
          build: { revision: 'e82be7d358', version: '3.141.59' },
          java: {},
        };
      case 'grid4':
        return { ready: true, message: 'Selenium Grid ready.', nodes: [] };
      default:
        return { ready: true, message: 'The server is ready to accept new connections', build: { version: '3.8.0' } };
    }
  }

  private phoneOf(udid: string): Phone {
    let phone = this.phones.get(udid);
    if (!phone) {
      phone = new Phone(udid);
      phone.begin(SOME_TASK, 1);
      this.phones.set(udid, phone);
    }
    return phone;
  }
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function base64(frame: Frame): Promise<string> {
  return (await encodePng(frame)).toString('base64');
}
