import { connect, createServer, type Server, type Socket } from 'node:net';
import { encodeMessage, MAX_PAYLOAD, MessageReader, VERSION, type AdbMessage } from './adb-message.js';
import { serveSync } from './adb-sync.js';
import { listenOnLoopback } from './loopback.js';

/** One of the streams on a connection. */
export interface Stream {
  write(data: Buffer | string): void;
  /** Closes the stream once the other side has taken everything. */
  end(): void;
  onData(listener: (data: Buffer) => void): void;
  onClose(listener: () => void): void;
}

/** Output and exit of a shell command. */
export interface ShellIo {
  out(data: Buffer | string): void;
  err(data: Buffer | string): void;
  exit(code: number): void;
}

/** What adbd needs from its device. */
export interface AdbDevice {
  /** as `adb devices -l` shows them */
  readonly product: Readonly<Record<'name' | 'model' | 'device', string>>;
  readonly files: Map<string, Buffer>;
  /** Runs a command line. @returns a function to call when the other side stops reading */
  shell(line: string, io: ShellIo): (() => void) | void;
  /** The local port that serves a port of the device, once it is open; undefined: refused. */
  port(number: number): Promise<number | undefined>;
}

/** Packet types of `shell,v2`; a packet has its type, a length, and data. */
const SHELL = { stdout: 1, stderr: 2, exit: 3 } as const;

/** The device's end of adb: accepts connections of adb servers without authentication, like an emulator's adbd. */
export class Adbd {
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  constructor(private readonly device: AdbDevice) {}

  /** @param port on 127.0.0.1; 0 takes a free one @returns the port */
  async listen(port: number): Promise<number> {
    this.server = createServer((socket) => this.serve(socket));
    return listenOnLoopback(this.server, port);
  }

  /** Drops all connections and accepts no more, like a device that is gone, until `listen` is called again. */
  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    for (const socket of this.sockets) socket.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** Drops all connections, but accepts new ones. */
  disconnect(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private serve(socket: Socket): void {
    socket.setNoDelay(true);
    this.sockets.add(socket);
    const reader = new MessageReader();
    const streams = new Map<number, AdbStream>();
    let next = 1;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.sockets.delete(socket);
      for (const stream of streams.values()) stream.closed();
    });
    const take = ({ command, arg0, arg1, payload }: AdbMessage): void => {
      switch (command) {
        case 'CNXN':
          socket.write(encodeMessage('CNXN', VERSION, MAX_PAYLOAD, this.banner()));
          return;
        case 'OPEN': {
          const id = next++;
          const stream = new AdbStream(socket, id, arg0, () => streams.delete(id));
          streams.set(id, stream);
          void this.open(payload.toString('utf8').replace(/\0$/, ''), stream);
          return;
        }
        case 'WRTE':
          streams.get(arg1)?.taken(payload);
          return;
        case 'OKAY':
          streams.get(arg1)?.ready();
          return;
        case 'CLSE':
          streams.get(arg1)?.closed();
          return;
        default:
      }
    };
    socket.on('data', (chunk) => {
      try {
        reader.push(chunk).forEach(take);
      } catch {
        socket.destroy();
      }
    });
  }

  private banner(): string {
    const { name, model, device } = this.device.product;
    return `device::ro.product.name=${name};ro.product.model=${model};ro.product.device=${device};features=shell_v2,cmd`;
  }

  private async open(service: string, stream: AdbStream): Promise<void> {
    const [, kind, options, rest] = /^([a-z]+)((?:,[^:]*)?):([^]*)$/.exec(service) ?? [];
    if (kind === 'shell' || kind === 'exec') {
      stream.accept();
      const packets = /,v2(,|$)/.test(options);
      const write = (id: number, data: Buffer | string): void => stream.write(packets ? shellPacket(id, data) : data);
      const stop = this.device.shell(rest, {
        out: (data) => write(SHELL.stdout, data),
        err: (data) => write(SHELL.stderr, data),
        exit: (code) => {
          if (packets) stream.write(shellPacket(SHELL.exit, Buffer.from([code])));
          stream.end();
        },
      });
      if (stop) stream.onClose(stop);
      // input for the command; none of our commands reads it
      stream.onData(() => undefined);
    } else if (kind === 'sync') {
      stream.accept();
      serveSync(stream, this.device.files);
    } else if (kind === 'tcp') {
      const port = await this.device.port(Number(rest));
      if (port === undefined) stream.refuse();
      else relay(port, stream);
    } else {
      stream.refuse();
    }
  }
}

function shellPacket(id: number, data: Buffer | string): Buffer {
  const bytes = Buffer.from(data);
  const packet = Buffer.alloc(5 + bytes.length);
  packet.writeUInt8(id, 0);
  packet.writeUInt32LE(bytes.length, 1);
  bytes.copy(packet, 5);
  return packet;
}

/** Connects a stream to a local port. */
function relay(port: number, stream: AdbStream): void {
  const socket = connect(port, '127.0.0.1', () => stream.accept());
  socket.setNoDelay(true);
  socket.on('data', (data) => stream.write(data));
  socket.on('close', () => stream.end());
  socket.on('error', () => stream.end());
  stream.onData((data) => socket.write(data));
  stream.onClose(() => socket.destroy());
}

/** A stream with adb's flow control: only one WRTE is in flight, until its OKAY arrives. */
class AdbStream implements Stream {
  private readonly queue: Buffer[] = [];
  private inFlight = false;
  private ending = false;
  private over = false;
  private accepted = false;
  private data: (data: Buffer) => void = () => undefined;
  private readonly onEnd: (() => void)[] = [];

  constructor(
    private readonly socket: Socket,
    private readonly id: number,
    private readonly remote: number,
    private readonly forget: () => void,
  ) {}

  accept(): void {
    this.accepted = true;
    this.send('OKAY');
    this.pump();
  }

  refuse(): void {
    // a stream that was never open has no local id
    this.socket.write(encodeMessage('CLSE', 0, this.remote));
    this.closed();
  }

  write(data: Buffer | string): void {
    const bytes = Buffer.from(data);
    for (let at = 0; at < bytes.length; at += MAX_PAYLOAD) this.queue.push(bytes.subarray(at, at + MAX_PAYLOAD));
    this.pump();
  }

  end(): void {
    this.ending = true;
    this.pump();
  }

  onData(listener: (data: Buffer) => void): void {
    this.data = listener;
  }

  onClose(listener: () => void): void {
    if (this.over) listener();
    else this.onEnd.push(listener);
  }

  /** Handles data from the other side. */
  taken(payload: Buffer): void {
    this.send('OKAY');
    this.data(payload);
  }

  /** Handles the OKAY for the data in flight. */
  ready(): void {
    this.inFlight = false;
    this.pump();
  }

  /** Handles the end of the other side or of the connection. */
  closed(): void {
    if (this.over) return;
    this.over = true;
    this.forget();
    for (const listener of this.onEnd) listener();
  }

  private pump(): void {
    if (this.over || this.inFlight) return;
    const next = this.accepted ? this.queue.shift() : undefined;
    if (next) {
      this.inFlight = true;
      this.send('WRTE', next);
    } else if (this.ending) {
      if (this.accepted) this.send('CLSE');
      else this.socket.write(encodeMessage('CLSE', 0, this.remote));
      this.closed();
    }
  }

  private send(command: 'OKAY' | 'WRTE' | 'CLSE', payload?: Buffer): void {
    if (!this.socket.destroyed) this.socket.write(encodeMessage(command, this.id, this.remote, payload));
  }
}
