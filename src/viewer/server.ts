import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../errors.js';
import { Access } from './access.js';
import { apiRoutes, type ApiSources } from './api-routes.js';
import type { Failure } from './api.js';
import type { ManyRuns } from './many-runs.js';
import { pageFiles, type PageFile } from './page-files.js';
import { PictureCache } from './picture-cache.js';
import { Pictures } from './pictures.js';
import { PolicyScorer } from './policy-scores.js';
import type { RunFolders } from './run-folders.js';
import { Runs } from './runs.js';

/** The page may load only its own files, and no other page may embed it. */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** The paths of the page's views; each serves the page itself. */
const VIEWS = ['trajectories', 'actions', 'training', 'values', 'tokens', 'evaluations', 'runs'] as const;

export interface ViewerOptions {
  readonly runs: RunFolders;
  /** the address to listen on; all but loopback need the token in the URL */
  readonly host: string;
  /** 0 picks a free one */
  readonly port: number;
  /** folder of the screenshots that imported data sets refer to; undefined: they are not shown */
  readonly images?: string;
  /** folder for thumbnails; undefined: in the user's cache folder */
  readonly cache?: string;
  /** the table of all runs and their comparison; undefined: the page shows neither */
  readonly many?: ManyRuns;
  /** receives errors of the viewer itself */
  readonly complain: (line: string) => void;
}

/** A running viewer. */
export interface Viewer {
  /** with the token, if one is needed */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves the page and its data from the run folders, which it never writes to.
 * @throws UserError if the page is not built, or the port is taken
 */
export async function openViewer(options: ViewerOptions): Promise<Viewer> {
  const { host, port } = options;
  const access = new Access(host);
  const pictures = new Pictures(new PictureCache(options.cache));
  const scorer = new PolicyScorer();
  const runs = new Runs(options.runs);
  const sources = { runs, pictures, scorer, images: options.images, many: options.many };
  const app = viewerApp(access, sources, pageFiles(), options.complain);
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((started, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is taken; --port 0 picks a free one' : error.code;
      failed(new UserError(`cannot listen on ${host}, port ${port}: ${why}`));
    });
    server.listen(port, host, started);
  });
  runs.warm();
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  const token = access.token === undefined ? '' : `?token=${access.token}`;
  return {
    url: `http://${shown}:${(server.address() as AddressInfo).port}/${token}`,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
      await pictures.close();
      await scorer.close();
    },
  };
}

function viewerApp(
  access: Access,
  sources: ApiSources,
  page: ReadonlyMap<string, PageFile>,
  complain: ViewerOptions['complain'],
): Hono {
  const app = new Hono();
  app.use('*', async (c, next) => {
    const token = c.req.query('token');
    const refusal = access.refusal({
      method: c.req.method,
      host: c.req.header('host'),
      cookie: c.req.header('cookie'),
      authorization: c.req.header('authorization'),
      token,
    });
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    if (refusal) return c.json({ error: refusal.error } satisfies Failure, refusal.status);
    if (access.token !== undefined && token !== undefined) {
      // out of the address bar, where it would be copied along
      const url = new URL(c.req.url);
      url.searchParams.delete('token');
      c.header('set-cookie', access.cookie());
      // a path that begins with two slashes would name another host
      return c.redirect(url.pathname.replace(/^[/\\]+/, '/') + url.search);
    }
    await next();
  });
  app.route('/api', apiRoutes(sources));
  app.get('*', (c) => {
    const path = new URL(c.req.url).pathname;
    const file = page.get((VIEWS as readonly string[]).includes(path.slice(1)) ? '/' : path);
    if (!file) return c.json({ error: `no page at ${path}` } satisfies Failure, 404);
    c.header('content-type', file.type);
    // the names of assets change with their content
    c.header('cache-control', path.startsWith('/assets/') ? 'private, max-age=31536000, immutable' : 'no-cache');
    return c.body(file.bytes);
  });
  app.onError((error, c) => {
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    if (error instanceof UserError) return c.json({ error: error.message } satisfies Failure, 404);
    complain(`${c.req.path}: ${error.message}`);
    return c.json({ error: `internal error of the viewer: ${error.message}` } satisfies Failure, 500);
  });
  return app;
}
