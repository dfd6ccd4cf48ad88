/** The list of hosts holds for everything a page can try: requests, sockets, peers, prefetching, redirects, other ports. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { createServer as createHttp } from 'node:http';
import { createServer as createTcp, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { browserTest, folderOf, openDevice, page, PATIENT, taskAt } from '../../rigs/browser/rig.js';

/** A page that tries every way out and says when it is through; it gets the ports in its address. */
const ATTEMPTS = page(`<h1>hello</h1><script>
window.critiq = { reward: 0, done: false };
const ports = Object.fromEntries(new URLSearchParams(location.search));
const soon = (promise) => Promise.race([promise, new Promise((end) => setTimeout(end, 1500))]).catch(() => 0);
const element = (name, fields) => new Promise((end) => {
  const made = Object.assign(document.createElement(name), fields);
  made.onload = made.onerror = end;
  document.body.append(made);
});
const socket = (url) => new Promise((end) => { const made = new WebSocket(url); made.onopen = made.onerror = end; });
const peer = async (url) => {
  const made = new RTCPeerConnection({ iceServers: [{ urls: url, username: 'u', credential: 'c' }] });
  made.createDataChannel('x');
  await made.setLocalDescription(await made.createOffer());
  await new Promise((end) => setTimeout(end, 1400));
};
window.attempts = (async () => {
  const all = [];
  for (const host of ['127.0.0.1', '127.0.0.2', 'localhost', '127.1', '2130706433', '0.0.0.0', '[::ffff:127.0.0.1]', 'x.localhost']) {
    const at = host + ':' + ports.http;
    all.push(() => fetch('http://' + at + '/fetch', { mode: 'no-cors' }), () => socket('ws://' + at + '/socket'));
    all.push(() => element('img', { src: 'http://' + at + '/image' }), () => element('iframe', { src: 'http://' + at + '/frame' }));
    all.push(async () => navigator.sendBeacon('http://' + at + '/beacon', 'x'));
    all.push(() => element('link', { rel: 'preconnect', href: '//' + at }), () => element('link', { rel: 'dns-prefetch', href: '//' + at }));
    all.push(() => element('link', { rel: 'prefetch', href: '//' + at + '/prefetch' }));
    all.push(() => peer('stun:' + host + ':' + ports.udp), () => peer('turn:' + host + ':' + ports.udp));
    all.push(() => peer('turn:' + host + ':' + ports.tcp + '?transport=tcp'), () => peer('turns:' + host + ':' + ports.tcp + '?transport=tcp'));
    all.push(() => new WebTransport('https://' + host + ':' + ports.udp + '/').ready);
    all.push(() => new Worker(URL.createObjectURL(new Blob(['fetch("http://' + at + '/worker", { mode: "no-cors" })']))));
  }
  all.push(() => fetch('/redirect', { mode: 'no-cors' }), () => fetch('//127.0.0.1:' + ports.http + '/slashes', { mode: 'no-cors' }));
  all.push(() => navigator.serviceWorker.register('/worker.js'));
  await Promise.all(all.map((attempt) => soon((async () => attempt())())));
})();
</script>`);

/** What listens on this machine, and what reached it. */
async function listeners(t: TestContext) {
  const reached: string[] = [];
  const http = createHttp((request, response) => {
    reached.push(`http ${request.url}`);
    response.writeHead(200, { 'access-control-allow-origin': '*' }).end('x');
  });
  http.on('connection', () => reached.push('http connection'));
  http.on('upgrade', (_, socket) => socket.destroy());
  const tcp = createTcp((socket) => {
    reached.push('tcp connection');
    socket.on('error', () => undefined).destroy();
  });
  const udp = createSocket('udp4', () => undefined).on('message', () => reached.push('udp packet'));
  // all addresses of this machine, as 127.0.0.2 is one of them
  await new Promise<void>((done) => http.listen(0, '0.0.0.0', done));
  await new Promise<void>((done) => tcp.listen(0, '0.0.0.0', done));
  await new Promise<void>((done) => udp.bind(0, '0.0.0.0', done));
  t.after(() => {
    http.closeAllConnections();
    http.close();
    tcp.close();
    udp.close();
  });
  const port = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
  return { reached, query: `http=${port(http)}&tcp=${port(tcp)}&udp=${port(udp)}`, http: port(http) };
}

const folder = folderOf({ 'index.html': ATTEMPTS, 'worker.js': 'self.addEventListener("fetch", () => {});' });

async function attempted(t: TestContext, query: string, hosts: readonly string[]): Promise<void> {
  const { device } = openDevice(
    t,
    { folder, hosts: [...hosts] },
    { reward: (shown) => shown.evaluate('attempts.then(() => 1)') },
  );
  await device.reset('app', { task: taskAt(`index.html?${query}`), seed: 0, ...PATIENT });
  assert.equal(device.achieved(), true, 'the page made all attempts');
  await sleep(300);
  await device.close();
}

browserTest('nothing but the listed hosts is reached, by no kind of connection', async (t) => {
  const { reached, query, http } = await listeners(t);
  await attempted(t, query, ['allowed.test']);
  assert.equal(reached.join(), '');
  await attempted(t, query, []);
  for (const kind of ['http /fetch', 'http /frame', 'udp packet', 'tcp connection'])
    assert.ok(reached.includes(kind), `without a list, the page does reach ${kind}: ${[...new Set(reached)].join()}`);
  reached.length = 0;
  await attempted(t, query, [`127.0.0.1:${http}`]);
  assert.ok(reached.includes('http /fetch'), 'one port may be listed');
  assert.deepEqual(
    reached.filter((what) => !what.startsWith('http')),
    [],
    'and no other is reached',
  );
});
