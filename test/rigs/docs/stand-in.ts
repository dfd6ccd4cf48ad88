/**
 * The server behind `http://gpu-box:8000`, and behind a judge without a URL: one of the test servers, which here offers all
 * models that the page names.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { JudgeServer, MODEL as JUDGE } from '../judge/server.js';
import { RATER, RaterServer } from '../judge/rater.js';
import { MODEL as AGENT, ServedServer } from '../served/server.js';
import { VllmServer } from '../vlm/server.js';
import type { DocsEnvironment } from './critiq.js';
import type { Unit } from './units.js';

const THERE = 'http://gpu-box:8000';
const VLM = 'tiny-llava';

type Test = Parameters<typeof JudgeServer.start>[0];

const SERVERS: Readonly<Record<string, (t: Test) => Promise<{ url: string; model: string }>>> = {
  judge: async (t) => ({ url: (await JudgeServer.start(t)).url, model: JUDGE }),
  rater: async (t) => ({ url: (await RaterServer.start(t)).url, model: RATER }),
  served: async (t) => {
    const answer = (): string =>
      '<tool_call>{"name":"mobile_use","arguments":{"action":"terminate","status":"success"}}';
    return { url: (await ServedServer.start(t, { answer })).url, model: AGENT };
  },
  vllm: async (t) => ({ url: (await VllmServer.start(t, { model: VLM })).url, model: VLM }),
};

/** Starts the server that a unit requests by `server=`. */
export async function standIn(t: Test, unit: Unit): Promise<Omit<DocsEnvironment, 'files' | 'tiny'>> {
  const name = unit.steps.map(({ plan }) => plan.server).find((server) => server !== undefined);
  if (name === undefined) return { servers: {}, settings: [] };
  assert.ok(Object.hasOwn(SERVERS, name), `${unit.page}: server=${name}: expected one of ${Object.keys(SERVERS)}`);
  const text = unit.steps.map(({ fence }) => fence.text).join('\n');
  const models = [...text.matchAll(/\b(?:model|vlm|name)[= ](\S+)/g)].map((match) => match[1]);
  const behind = await SERVERS[name](t);
  const url = await anyModel(t, behind, models);
  const settings = ['judge', 'represent', 'label.judge', 'label.second'].map((section) => `${section}.url=${url}`);
  return { servers: { [THERE]: url }, settings };
}

/** A server that forwards requests for any model to a server with a single model. */
async function anyModel(t: Test, { url, model }: { url: string; model: string }, models: string[]): Promise<string> {
  const server = createServer((request, response) => {
    void (async () => {
      if (request.url === '/v1/models') {
        response.end(JSON.stringify({ object: 'list', data: models.map((id) => ({ id, object: 'model' })) }));
        return;
      }
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const body = Buffer.concat(pieces).toString('utf8');
      const named = (JSON.parse(body) as { model?: string }).model;
      const asked = named ?? /\/models\/([^/:]+):/.exec(request.url ?? '')?.[1] ?? model;
      const answer = await fetch(new URL(request.url ?? '/', url), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: named === undefined ? body : JSON.stringify({ ...(JSON.parse(body) as object), model }),
      });
      const said = (await answer.text()).replaceAll(JSON.stringify(model), JSON.stringify(asked));
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(said);
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
