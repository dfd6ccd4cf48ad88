import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { SCREEN } from '../../../src/devices/phone/index.js';
import { SERVER_PACKAGE } from './android-process.js';
import { keyOf, screenPng } from './android-shell.js';
import type { Input, ServedPhone } from './served-phone.js';
import { listenOnLoopback } from './loopback.js';

/** WebDriver's field name for the id of an element. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
const LARGEST_BODY = 1 << 20;

class WebDriverError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
  ) {
    super(message);
  }
}

interface PointerAction {
  readonly type: 'pointerMove' | 'pointerDown' | 'pointerUp' | 'pause';
  readonly x?: number;
  readonly y?: number;
  readonly duration?: number;
}
interface KeyAction {
  readonly type: 'keyDown' | 'keyUp' | 'pause';
  readonly value?: string;
}
type Source =
  | { readonly type: 'pointer'; readonly actions: readonly PointerAction[] }
  | { readonly type: 'key'; readonly actions: readonly KeyAction[] };

interface Body {
  readonly actions?: readonly Source[];
  readonly keycode?: number;
  readonly text?: string;
  readonly value?: readonly string[];
}

/** The HTTP API of appium-uiautomator2-server on a phone of the rig, as far as the driver uses it. */
export class Uiautomator2Server {
  /** unknown requests */
  readonly unknown: string[] = [];
  private session: string | undefined;
  private server: Server | undefined;

  constructor(private readonly phone: ServedPhone) {}

  /** @returns the port on 127.0.0.1 */
  async listen(): Promise<number> {
    const server = createServer((request, response) => void this.serve(request, response));
    // Appium keeps connections longer than Node's default
    server.keepAliveTimeout = 60_000;
    this.server = server;
    return listenOnLoopback(server);
  }

  async close(): Promise<void> {
    const { server } = this;
    server?.closeAllConnections();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let status = 200;
    let value: unknown;
    try {
      value = await this.answer(request, await bodyOf(request));
      if (value === HANGS) return;
    } catch (error) {
      const { status: code, kind, message } = error instanceof WebDriverError ? error : unknownError(error);
      status = code;
      value = { error: kind, message, stacktrace: '' };
    }
    const text = JSON.stringify({ sessionId: this.session ?? null, value: value ?? null });
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(text);
  }

  private async answer(request: IncomingMessage, body: Body): Promise<unknown> {
    const { method = '' } = request;
    const path = request.url!.replace(/\?.*$/, '').replace(/^\/session\/[^/]+/, '') || '/';
    switch (`${method} ${path.replace(/^\/element\/(?!active$)[^/]+/, '/element/:id')}`) {
      case 'GET /status':
        return {
          ready: true,
          message: 'UiAutomator2 Server is ready',
          build: { version: '10.6.6', packageName: SERVER_PACKAGE },
        };
      case 'GET /sessions':
        return this.session ? [{ id: this.session, capabilities: {} }] : [];
      case 'POST /session':
        this.session = randomUUID();
        return { sessionId: this.session, capabilities: {} };
      case 'DELETE /':
        this.session = undefined;
        // the server on a device ends after its answer, too
        setTimeout(() => this.phone.processes.endNamed(SERVER_PACKAGE), 10);
        return null;
      case 'GET /appium/device/info':
        return {
          androidId: this.phone.serial,
          apiVersion: '34',
          platformVersion: '14',
          brand: 'critiq',
          manufacturer: 'critiq',
          model: 'critiq phone',
          realDisplaySize: `${SCREEN.width}x${SCREEN.height}`,
          displayDensity: 160,
        };
      case 'GET /appium/device/pixel_ratio':
        return 1;
      case 'GET /appium/device/display_density':
        return 160;
      case 'GET /appium/device/system_bars':
        return { statusBar: 24 };
      case 'GET /window/current/size':
      case 'GET /window/rect':
        return { x: 0, y: 0, width: SCREEN.width, height: SCREEN.height };
      case 'GET /appium/settings':
      case 'POST /appium/settings':
        return {};
      case 'GET /source':
        return '<?xml version="1.0" encoding="UTF-8"?><hierarchy rotation="0"/>';
      case 'GET /screenshot': {
        const fault = this.phone.fault('screenshot');
        if (fault === 'hang') return HANGS;
        if (fault === 'die') return this.dies();
        if (fault === 'fail') throw new WebDriverError(500, 'unable to capture screen', 'Cannot take screenshot');
        return (await screenPng(this.phone)).toString('base64');
      }
      case 'GET /element/active':
        // without a focused field the root view has the focus and swallows the text
        return { [ELEMENT]: this.phone.phone.state.focus ?? 'root', ELEMENT: this.phone.phone.state.focus ?? 'root' };
      case 'POST /element/:id/value':
      case 'POST /keys':
        return this.input(...typed(body.text ?? body.value?.join('') ?? ''));
      case 'POST /element/:id/clear':
        return null;
      case 'POST /actions':
        return this.input(...(body.actions ?? []).flatMap(inputsOf));
      case 'POST /appium/device/press_keycode':
      case 'POST /appium/device/long_press_keycode': {
        const key = keyOf(body.keycode!);
        return this.input(...(key ? [{ do: 'press', key } as const] : []));
      }
      case 'POST /back':
        return this.input({ do: 'press', key: 'BACK' });
      default:
        this.unknown.push(`${method} ${path}`);
        throw new WebDriverError(404, 'unknown command', `${method} ${path} is not supported by this server`);
    }
  }

  private input(...inputs: readonly Input[]): unknown {
    const fault = this.phone.fault('input');
    if (fault === 'fail') throw new WebDriverError(500, 'unknown error', 'Unable to inject the event');
    for (const input of inputs) this.phone.take(input);
    if (fault === 'hang') return HANGS;
    if (fault === 'die') return this.dies();
    return null;
  }

  private dies(): typeof HANGS {
    this.phone.die();
    return HANGS;
  }
}

/** Stands for no answer at all. */
const HANGS = Symbol('hangs');

/** The text, followed by ENTER if it ends with a newline, as in the real server. */
function typed(text: string): Input[] {
  const line: Input = { do: 'type', text: text.replace(/\n$/, '') };
  return text.endsWith('\n') ? [line, { do: 'press', key: 'ENTER' }] : [line];
}

/** The inputs of W3C pointer and key actions: a finger that moves swipes, any other taps. */
function inputsOf(source: Source): Input[] {
  if (source.type === 'key') {
    const keys = source.actions.flatMap(({ type, value = '' }) => (type === 'keyDown' ? [value] : []));
    const text = keys.filter((key) => key !== '\uE007' && key !== '\uE006').join('');
    return typed(keys.length > 0 && keys.at(-1)! >= '\uE006' && keys.at(-1)! <= '\uE007' ? `${text}\n` : text);
  }
  const inputs: Input[] = [];
  let at = { x: 0, y: 0 };
  let down: { x: number; y: number } | undefined;
  for (const { type, x, y } of source.actions) {
    if (type === 'pointerMove') at = { x: Math.trunc(x!), y: Math.trunc(y!) };
    else if (type === 'pointerDown') down = at;
    else if (type === 'pointerUp' && down) {
      const moved = at.x !== down.x || at.y !== down.y;
      inputs.push({ do: 'finger', from: down, ...(moved ? { to: at } : {}) });
      down = undefined;
    }
  }
  return inputs;
}

function unknownError(error: unknown): WebDriverError {
  return new WebDriverError(500, 'unknown error', String(error));
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LARGEST_BODY) throw new WebDriverError(413, 'invalid argument', 'the body is too large');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : (JSON.parse(text) as Body);
}
