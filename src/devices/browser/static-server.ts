import { createReadStream, realpathSync, statSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, sep } from 'node:path';
import { UserError } from '../../errors.js';

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

/** Serves one folder over HTTP on 127.0.0.1, for a browser on the same machine. No files outside the folder, no hidden files. */
export class StaticServer {
  private constructor(
    private readonly server: Server,
    /** the folder, with all symbolic links resolved */
    readonly folder: string,
    readonly port: number,
  ) {}

  /** @throws UserError if it is not a folder */
  static async open(folder: string): Promise<StaticServer> {
    const root = realFolder(folder);
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

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.server.close(() => done()));
    this.server.closeAllConnections();
    await closed;
  }
}

/** A folder's path with all symbolic links resolved. @throws UserError if it is not a folder */
export function realFolder(folder: string): string {
  try {
    const root = realpathSync(folder);
    if (statSync(root).isDirectory()) return root;
  } catch (error) {
    throw new UserError(
      `device.browser.folder=${folder}: cannot be read (${(error as NodeJS.ErrnoException).code}); expected a folder of pages`,
    );
  }
  throw new UserError(`device.browser.folder=${folder}: expected a folder of pages, got a file`);
}

async function answer(root: string, port: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // another site may point its name at 127.0.0.1, so only our own host name is accepted
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

/** The file for a request; undefined if the folder has none. */
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
    // not there, or not readable: both are 404
    return undefined;
  }
}
