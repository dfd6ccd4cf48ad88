import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../errors.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

/** The files of one folder over HTTP on 127.0.0.1, for a browser on the same machine. Nothing outside the folder, no hidden files. */
export class StaticServer {
  private constructor(
    private readonly server: Server,
    /** the folder, with all symbolic links resolved */
    readonly folder: string,
    readonly port: number,
  ) {}

  /** @throws UserError where the folder is none */
  static async open(folder: string): Promise<StaticServer> {
    const root = await realFolder(folder);
    const server = createServer((request, response) => {
      const { port } = server.address() as AddressInfo;
      answer(root, port, request, response).catch(() => refuse(response, 500));
    });
    await new Promise<void>((started, failed) => {
      server.once('error', failed);
      server.listen(0, '127.0.0.1', started);
    });
    return new StaticServer(server, root, (server.address() as AddressInfo).port);
  }

  /** The address of a file: URL of the folder. @throws UserError where it lies outside */
  addressOf(file: URL): string {
    const path = resolve(fileURLToPath(file));
    const name = relative(this.folder, path);
    if (name === '..' || name.startsWith(`..${sep}`)) {
      throw new UserError(`${file.href}: not below device.browser.folder=${this.folder}; only files of that folder are opened`);
    }
    const url = new URL(name.split(sep).map(encodeURIComponent).join('/'), this.url);
    url.search = file.search;
    url.hash = file.hash;
    return url.href;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.server.close(() => done()));
    this.server.closeAllConnections();
    await closed;
  }
}

async function realFolder(folder: string): Promise<string> {
  try {
    const root = await realpath(folder);
    if ((await stat(root)).isDirectory()) return root;
  } catch (error) {
    throw new UserError(`device.browser.folder=${folder}: cannot be read (${(error as NodeJS.ErrnoException).code}); expected a folder of pages`);
  }
  throw new UserError(`device.browser.folder=${folder}: expected a folder of pages, got a file`);
}

async function answer(root: string, port: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // a site elsewhere may point its name at 127.0.0.1: only our own name is answered
  if (request.headers.host !== `127.0.0.1:${port}`) return refuse(response, 403);
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405);
  const file = await fileOf(root, request.url ?? '/');
  if (file === undefined) return refuse(response, 404);
  response.writeHead(200, {
    'content-type': TYPES[extname(file.path).toLowerCase()] ?? 'application/octet-stream',
    'content-length': file.size,
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
  });
  if (request.method === 'HEAD') return void response.end();
  createReadStream(file.path)
    .on('error', () => response.destroy())
    .pipe(response);
}

function refuse(response: ServerResponse, status: number): void {
  if (!response.headersSent) response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(`${status}\n`);
}

/** The file that a request means; undefined where the folder has none. */
async function fileOf(root: string, target: string): Promise<{ path: string; size: number } | undefined> {
  let name: string;
  try {
    name = decodeURIComponent(new URL(target, 'http://127.0.0.1').pathname);
  } catch {
    return undefined;
  }
  if (name.includes('\0') || name.split('/').some((part) => part.startsWith('.'))) return undefined;
  try {
    let path = await realpath(join(root, name));
    if ((await stat(path)).isDirectory()) path = await realpath(join(path, 'index.html'));
    // a symbolic link may lead out of the folder
    if (!path.startsWith(root + sep)) return undefined;
    const info = await stat(path);
    return info.isFile() ? { path, size: info.size } : undefined;
  } catch {
    return undefined;
  }
}
