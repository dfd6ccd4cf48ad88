import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createCanvas, ImageData } from '@napi-rs/canvas';
import { z } from 'zod';
import { UserError } from '../../errors.js';
import { endsEpisode, type Action } from '../../data/action.js';
import type { Task } from '../../data/task.js';
import { DEFAULT_SURPRISES, type Surprises } from './world.js';
import { Phone } from './phone.js';

const Place = z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]);
const ActionBody: z.ZodType<Action> = z.discriminatedUnion('type', [
  z.object({ type: z.literal('DUAL_POINT'), touch: Place, lift: Place }),
  z.object({ type: z.literal('TYPE'), text: z.string().max(200) }),
  z.object({
    type: z.enum(['PRESS_BACK', 'PRESS_HOME', 'PRESS_ENTER', 'STATUS_TASK_COMPLETE', 'STATUS_TASK_IMPOSSIBLE']),
  }),
]);
const MAX_BODY = 4096;

/**
 * Lets a person use the phone in a browser on this machine: click to tap, drag to swipe, type and press Enter; Escape is
 * BACK, Home is HOME. Each action is logged, and whether the task is achieved after it.
 *
 * @param options.port on 127.0.0.1; 0 takes a free one
 * @returns the page's address and a function that stops the server
 * @throws UserError if the port is taken
 */
export async function servePhone(options: {
  port: number;
  task: Task;
  seed: number;
  log?: (line: string) => void;
  surprises?: Surprises;
}): Promise<{ url: string; close(): Promise<void> }> {
  const { port, task, seed, log = () => undefined, surprises = DEFAULT_SURPRISES } = options;
  const phone = new Phone('play', { surprises });
  phone.begin(task, seed);
  const server = createServer((request, response) => {
    answer(phone, request, response, (action) => {
      phone.apply(action);
      log(`${JSON.stringify(action)} achieved=${phone.achieved()}`);
      if (endsEpisode(action)) phone.begin(task, seed);
    }).catch((error: unknown) => {
      response.writeHead(400, { 'content-type': 'text/plain' }).end(String(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new UserError(`phone: cannot serve on 127.0.0.1:${port} (${error.code}); choose another port`));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await phone.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close };
}

async function answer(
  phone: Phone,
  request: IncomingMessage,
  response: ServerResponse,
  act: (action: Action) => void,
): Promise<void> {
  const route = `${request.method} ${request.url?.split('?')[0]}`;
  if (route === 'GET /') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(phone.task.text));
  } else if (route === 'GET /screen.png') {
    const { width, height, rgba } = phone.frame();
    const canvas = createCanvas(width, height);
    canvas.getContext('2d').putImageData(new ImageData(rgba, width, height), 0, 0);
    response.writeHead(200, { 'content-type': 'image/png', 'cache-control': 'no-store' });
    response.end(await canvas.encode('png'));
  } else if (route === 'POST /act') {
    // other sites can post JSON only after a preflight request, which is never answered
    if (request.headers['content-type'] !== 'application/json') {
      response.writeHead(415).end();
      return;
    }
    const parsed = ActionBody.safeParse(JSON.parse(await body(request)));
    if (!parsed.success) {
      response.writeHead(400, { 'content-type': 'text/plain' }).end(z.prettifyError(parsed.error));
      return;
    }
    act(parsed.data);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ achieved: phone.achieved() }));
  } else {
    response.writeHead(404).end();
  }
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY) throw new UserError(`phone: the action has more than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function page(task: string): string {
  const escaped = task.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  return `<!doctype html><meta charset="utf-8"><title>critiq phone</title>
<style>body{font:16px sans-serif;background:#eceff1;display:flex;gap:24px;padding:24px}img{width:405px;border-radius:16px;
box-shadow:0 2px 12px #0004;cursor:pointer;user-select:none}button,input{font:inherit;margin:4px 4px 4px 0;padding:6px 10px}
pre{max-height:420px;overflow:auto;font-size:13px}</style>
<img id="s" src="screen.png" draggable="false"><div><h2>${escaped}</h2>
<form id="f"><input id="t" placeholder="text to type" autocomplete="off"><button>TYPE</button></form>
${['PRESS_BACK', 'PRESS_HOME', 'PRESS_ENTER', 'STATUS_TASK_COMPLETE', 'STATUS_TASK_IMPOSSIBLE']
  .map((type) => `<button onclick="act({type:'${type}'})">${type}</button>`)
  .join('')}
<p>achieved: <b id="a">false</b></p><pre id="l"></pre></div>
<script>
const s=document.getElementById('s'),t=document.getElementById('t'),l=document.getElementById('l');let n=0,from;
async function act(action){const r=await fetch('act',{method:'POST',headers:{'content-type':'application/json'},body:JSON.stringify(action)});
 const text=await r.text();if(r.ok)document.getElementById('a').textContent=JSON.parse(text).achieved;
 l.textContent=JSON.stringify(action)+' '+text+'\\n'+l.textContent;s.src='screen.png?'+(++n)}
const clamp=v=>Math.min(1,Math.max(0,Math.round(v*1e4)/1e4));
const at=e=>{const b=s.getBoundingClientRect();return[clamp((e.clientY-b.top)/b.height),clamp((e.clientX-b.left)/b.width)]};
s.onpointerdown=e=>{from=at(e);s.setPointerCapture(e.pointerId)};
s.onpointerup=e=>{if(from)act({type:'DUAL_POINT',touch:from,lift:at(e)});from=undefined};
document.getElementById('f').onsubmit=e=>{e.preventDefault();act({type:'TYPE',text:t.value})};
addEventListener('keydown',e=>{if(e.target===t)return;if(e.key==='Escape')act({type:'PRESS_BACK'});if(e.key==='Home')act({type:'PRESS_HOME'});
 if(e.key==='Enter')act({type:'PRESS_ENTER'});if(e.key.length===1&&!e.ctrlKey&&!e.metaKey)t.focus()});
</script>`;
}
