import { connect, createServer, type Server, type Socket } from 'node:net';
import { encodeMessage, MAX_PAYLOAD, MessageReader, VERSION, type AdbMessage } from './adb-message.js';
import { serveSync } from './adb-sync.js';
import { listenOnLoopback } from './loopback.js';

/** One of the many conversations on a connection. */
export interface Stream {
  write(data: Buffer | string): void;
  /** Closes it when all that was written has been taken. */
  end(): void;
  onData(listener: (data: Buffer) => void): void;
  onClose(listener: () => void): void;
}

/** Where a command of the shell writes, and how it ends. */
export interface ShellIo {
  out(data: Buffer | string): void;
  err(data: Buffer | string): void;
  exit(code: number): void;
}

/** What adbd needs of the device that it is on. */
export interface AdbDevice {
  /** as `adb devices -l` shows them */
  readonly product: Readonly<Record<'name' | 'model' | 'device', string>>;
  readonly files: Map<string, Buffer>;
  /** Runs a command line; what is returned is called when nobody reads any more. */
  shell(line: string, io: ShellIo): (() => void) | void;
  /** The port of this machine at which the device's port is served, once it is; undefined: refused. */
  port(number: number): Promise<number | undefined>;
}

/** Kinds of packets of `shell,v2`: a kind, a length, the data. */
const SHELL = { stdout: 1, stderr: 2, exit: 3 } as const;

/** A device's end of adb: takes the connections of adb servers, as the adbd of an emulator does, without authentication. */
export class Adbd {
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  constructor(private readonly device: AdbDevice) {}

  /** @param port on 127.0.0.1; 0 takes a free one @returns the port */
  async listen(port: number): Promise<number> {
    this.server = createServer((socket) => this.serve(socket));
    return listenOnLoopback(this.server, port);
  }

  /** Drops all connections, as a device does that is gone. `listen` begins again. */
  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    for (const socket of this.sockets) socket.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** Drops all connections, and takes new ones. */
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
      // what is typed into the command: none of ours reads it
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

/** Ties a stream to a port of this machine. */
function relay(port: number, stream: AdbStream): void {
  const socket = connect(port, '127.0.0.1', () => stream.accept());
  socket.setNoDelay(true);
  socket.on('data', (data) => stream.write(data));
  socket.on('close', () => stream.end());
  socket.on('error', () => stream.end());
  stream.onData((data) => socket.write(data));
  stream.onClose(() => socket.destroy());
}

/** adb's flow control: one WRTE is under way until its OKAY has come. */
class AdbStream implements Stream {
  private readonly queue: Buffer[] = [];
  private underWay = false;
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
    // a stream that was never open has no number of ours
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

  /** The other side wrote. */
  taken(payload: Buffer): void {
    this.send('OKAY');
    this.data(payload);
  }

  /** The other side has taken what was under way. */
  ready(): void {
    this.underWay = false;
    this.pump();
  }

  /** The other side, or the connection, is gone. */
  closed(): void {
    if (this.over) return;
    this.over = true;
    this.forget();
    for (const listener of this.onEnd) listener();
  }

  private pump(): void {
    if (this.over || this.underWay) return;
    const next = this.accepted ? this.queue.shift() : undefined;
    if (next) {
      this.underWay = true;
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
