import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { ServedPhone } from './served-phone.js';
import { listenOnLoopback } from './loopback.js';

const LONGEST_LINE = 4096;

/**
 * An emulator's telnet console, as far as snapshots need it. It requires `auth TOKEN` with the token of a file, like the real
 * one with ~/.emulator_console_auth_token; without a token in the file it requires nothing.
 */
export class EmulatorConsole {
  /** all lines that it received */
  readonly received: string[] = [];
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  constructor(
    private readonly phone: ServedPhone,
    private readonly tokenFile: string,
  ) {}

  /** @param port on 127.0.0.1; 0 takes a free one @returns the port */
  async listen(port: number): Promise<number> {
    this.server = createServer((socket) => this.serve(socket));
    return listenOnLoopback(this.server, port);
  }

  async close(): Promise<void> {
    const { server } = this;
    for (const socket of this.sockets) socket.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => undefined);
    const token = existsSync(this.tokenFile) ? readFileSync(this.tokenFile, 'utf8').trim() : '';
    let known = token === '';
    const greeting = known
      ? "Android Console: type 'help' for a list of commands"
      : 'Android Console: Authentication required';
    socket.write(`${greeting}\r\nOK\r\n`);
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > LONGEST_LINE) return socket.destroy();
      const lines = text.split(/\r?\n/);
      text = lines.pop()!;
      for (const line of lines) {
        this.received.push(line);
        const [verb, ...rest] = line.trim().split(/\s+/);
        if (verb === 'quit') return socket.end();
        if (verb === 'auth') {
          known ||= rest[0] === token;
          socket.write(known ? 'OK\r\n' : 'KO: authentication token does not match\r\n');
        } else {
          socket.write(known ? `${this.answer(verb, rest)}\r\n` : `KO: unknown command, try 'help'\r\n`);
        }
      }
    });
  }

  private answer(verb: string, [...rest]: readonly string[]): string {
    const [what, action, name] = rest;
    if (verb === 'ping') return 'I am alive!\r\nOK';
    if (verb === 'avd' && what === 'name') return 'critiq\r\nOK';
    if (verb === 'avd' && what === 'snapshot' && name) {
      if (action === 'save') {
        this.phone.saveSnapshot(name);
        return 'OK';
      }
      if (action === 'load') return this.phone.loadSnapshot(name) ? 'OK' : `KO: Snapshot '${name}' was not found`;
    }
    return "KO: unknown command, try 'help'";
  }
}
