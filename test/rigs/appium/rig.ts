import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Adbd } from './adbd.js';
import { EmulatorConsole } from './emulator-console.js';
import { ServedPhone } from './served-phone.js';
import { findTools, HOME, type Tools } from './tools.js';
import { Uiautomator2Server } from './uiautomator2.js';
import { listenOnLoopback } from './loopback.js';

/** Milliseconds that a server may take to start, even on a busy machine. */
const START_MS = 60_000;

/** A running Appium server. */
export interface Appium {
  readonly url: string;
  readonly port: number;
  /** its output so far */
  log(): string;
  /** Ends the server and waits for its end. */
  stop(how?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  readonly pid: number;
}

interface Served {
  readonly phone: ServedPhone;
  readonly automation: Uiautomator2Server;
  readonly console: EmulatorConsole;
  readonly adbd: Adbd;
  readonly adbPort: number;
}

/**
 * Phones that a real adb server takes for Android emulators, and real Appium servers and Selenium Grids that drive them. All
 * use free ports and a separate home folder. The rig ends everything that it started, and never touches anything else.
 */
export class Rig {
  readonly phones: readonly ServedPhone[];
  readonly adbPort: number;
  /** folder for logs and the tools' home folder */
  readonly folder: string;
  private readonly children = new Set<Leashed>();

  private constructor(
    private readonly served: readonly Served[],
    private readonly tools: Tools,
    { adbPort, folder }: { adbPort: number; folder: string },
  ) {
    this.phones = served.map(({ phone }) => phone);
    this.adbPort = adbPort;
    this.folder = folder;
  }

  /** Starts phones, and an adb server that knows them. @throws Error if the tools are not installed */
  static async start({ phones }: { phones: number }): Promise<Rig> {
    const tools = findTools();
    const folder = mkdtempSync(join(tmpdir(), 'critiq-rig-'));
    const home = join(folder, 'home');
    mkdirSync(home);
    const served: Served[] = [];
    for (let i = 0; i < phones; i++) served.push(await servePhone(join(home, '.emulator_console_auth_token')));
    const rig = new Rig(served, tools, { adbPort: await freePort(), folder });
    try {
      rig.launch('adb', tools.adb, ['-P', String(rig.adbPort), 'nodaemon', 'server']);
      await until('the adb server', () => answers(rig.adbPort), START_MS);
      for (const { phone, adbd, adbPort } of served) {
        phone.die = () => void adbd.close();
        phone.disconnect = () => {
          adbd.disconnect();
          // emulators announce themselves to the adb server
          void announce(rig.adbPort, adbPort);
        };
        await announce(rig.adbPort, adbPort);
      }
      await until('adb devices', async () => (await rig.adb('devices')).split('\tdevice\n').length > phones, START_MS);
    } catch (error) {
      await rig.close();
      throw error;
    }
    return rig;
  }

  get udids(): string[] {
    return this.phones.map(({ serial }) => serial);
  }

  /** Requests that the phones did not know. */
  get unknown(): string[] {
    return this.served.flatMap(({ phone, automation }) => [...phone.unknown, ...automation.unknown]);
  }

  /** The lines that the emulators' consoles received. */
  get consoleLines(): string[][] {
    return this.served.map(({ console }) => console.received);
  }

  /** Brings a dead phone back: it accepts connections again. */
  async revive(phone: ServedPhone): Promise<void> {
    const { adbd, adbPort } = this.served.find((one) => one.phone === phone)!;
    phone.processes.endAll();
    await adbd.listen(adbPort);
    await announce(this.adbPort, adbPort);
    await until(
      `${phone.serial} back`,
      async () => (await this.adb('devices')).includes(`${phone.serial}\tdevice`),
      START_MS,
    );
  }

  /** The output of an `adb` command. @throws Error with its error output */
  async adb(...args: string[]): Promise<string> {
    return outputOf(this.tools.adb, ['-P', String(this.adbPort), ...args], this.environment());
  }

  /**
   * Starts an Appium server.
   * @param options.port 0 takes a free one
   * @param options.nodeOf the Grid's hub at which it registers
   */
  async appium({
    port = 0,
    nodeOf,
    udids = this.udids,
  }: { port?: number; nodeOf?: Hub; udids?: readonly string[] } = {}): Promise<Appium> {
    const at = port === 0 ? await freePort() : port;
    const args = [
      ...['server', '--address', '127.0.0.1', '--port', String(at), '--log-no-colors'],
      ...['--allow-insecure', 'uiautomator2:adb_shell,uiautomator2:emulator_console'],
    ];
    if (nodeOf) {
      const file = join(this.folder, `node-${at}.json`);
      writeFileSync(file, JSON.stringify(nodeConfig(nodeOf, at, udids)));
      args.push('--base-path', '/wd/hub', '--nodeconfig', file);
      // a hub passes on only the requested capabilities, not those of the node's device
      if (udids.length === 1) args.push('--default-capabilities', JSON.stringify({ 'appium:udid': udids[0] }));
    }
    const child = this.launch(`appium-${at}`, process.execPath, [this.tools.appium, ...args]);
    const url = `http://127.0.0.1:${at}${nodeOf ? '/wd/hub' : ''}`;
    await this.untilThere(child, url);
    return {
      url,
      port: at,
      log: () => child.log(),
      stop: (how) => this.stop(child, how),
      pid: await child.pid(),
    };
  }

  /** Starts a hub of Selenium Grid 3. */
  async hub(): Promise<Hub> {
    const port = await freePort();
    const child = this.launch(`hub-${port}`, this.tools.java, [
      ...['-Xmx256m', '-jar', this.tools.selenium, '-role', 'hub', '-host', '127.0.0.1', '-port', String(port)],
      ...['-timeout', '60', '-browserTimeout', '60', '-newSessionWaitTimeout', '3000', '-cleanUpCycle', '1000'],
    ]);
    const url = `http://127.0.0.1:${port}/wd/hub`;
    await this.untilThere(child, url);
    const ready = (count: number) =>
      until(`${count} nodes at the hub`, async () => (await nodesOf(port)).length >= count, START_MS);
    return { url, port, nodes: () => nodesOf(port), ready, stop: (how) => this.stop(child, how) };
  }

  /** Starts a hub with a node for each phone. @returns its URL */
  async grid(): Promise<string> {
    const hub = await this.hub();
    await Promise.all(this.udids.map((udid) => this.appium({ nodeOf: hub, udids: [udid] })));
    await hub.ready(this.udids.length);
    return hub.url;
  }

  /** Ids of the processes that the rig has started. */
  async pids(): Promise<number[]> {
    return Promise.all([...this.children].map((child) => child.pid()));
  }

  /** Ends everything that the rig has started, in reverse order. */
  async close(): Promise<void> {
    for (const child of [...this.children].reverse()) await this.stop(child);
    // an adb client that found no server may have started one
    await outputOf(this.tools.adb, ['-P', String(this.adbPort), 'kill-server'], this.environment()).catch(
      () => undefined,
    );
    for (const { adbd, console, automation } of this.served) {
      await Promise.all([adbd.close(), console.close(), automation.close()]);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: join(this.folder, 'home'),
      TMPDIR: this.folder,
      ANDROID_HOME: this.tools.sdk,
      APPIUM_HOME: HOME,
      ANDROID_ADB_SERVER_PORT: String(this.adbPort),
      // keeps adb from connecting to other emulators, at 5555 and above
      ADB_LOCAL_TRANSPORT_MAX_PORT: '5553',
    };
  }

  private launch(name: string, program: string, args: readonly string[]): Leashed {
    const child = new Leashed(program, args, { env: this.environment(), log: join(this.folder, `${name}.log`) });
    this.children.add(child);
    return child;
  }

  private async stop(child: Leashed, how: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.children.delete(child);
    await child.stop(how);
  }

  private async untilThere(child: Leashed, url: string): Promise<void> {
    try {
      await until(
        url,
        async () => {
          if (child.over) throw new Error(`${url} has ended`);
          return fetch(`${url}/status`).then(
            ({ ok }) => ok,
            () => false,
          );
        },
        START_MS,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${child.log().slice(-4000)}`, { cause: error });
    }
  }
}

export interface Hub {
  readonly url: string;
  readonly port: number;
  /** URLs of the registered nodes */
  nodes(): Promise<string[]>;
  /** Waits until this many nodes are registered. */
  ready(nodes: number): Promise<void>;
  stop(how?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** A program that ends together with this process, by leash.ts. */
class Leashed {
  over = false;
  private readonly leash: ChildProcess;
  private readonly ended: Promise<void>;
  private readonly file: string;

  constructor(program: string, args: readonly string[], { env, log }: { env: NodeJS.ProcessEnv; log: string }) {
    this.file = log;
    const script = fileURLToPath(new URL('./leash.js', import.meta.url));
    const out = createWriteStream(log);
    this.leash = spawn(process.execPath, [script, program, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.leash.stdin!.on('error', () => undefined);
    this.leash.stdout!.pipe(out, { end: false });
    this.leash.stderr!.pipe(out, { end: false });
    this.ended = new Promise((resolve) => {
      this.leash.once('exit', () => {
        this.over = true;
        resolve();
      });
    });
  }

  log(): string {
    return readFileSync(this.file, 'utf8');
  }

  /** Id of the program's process. */
  async pid(): Promise<number> {
    const children = readFileSync(`/proc/${this.leash.pid}/task/${this.leash.pid}/children`, 'utf8');
    return Number(children.trim().split(/\s+/)[0]);
  }

  async stop(how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.over && how === 'SIGKILL') process.kill(await this.pid(), how);
    this.leash.stdin!.end();
    await this.ended;
  }
}

async function servePhone(tokenFile: string): Promise<Served> {
  // an emulator has its console at an even port, which is part of its name, and adbd at the next port
  for (;;) {
    const consolePort = 2 * Math.ceil((await freePort()) / 2);
    const phone = new ServedPhone(`emulator-${consolePort}`);
    const console = new EmulatorConsole(phone, tokenFile);
    const adbd = new Adbd(phone);
    try {
      await console.listen(consolePort);
      await adbd.listen(consolePort + 1);
    } catch {
      await console.close();
      continue;
    }
    const automation = new Uiautomator2Server(phone);
    phone.automationPort = await automation.listen();
    return { phone, console, adbd, automation, adbPort: consolePort + 1 };
  }
}

/** Announces an emulator to an adb server, as emulators do. */
function announce(serverPort: number, adbPort: number): Promise<void> {
  const request = `host:emulator:${adbPort}`;
  return new Promise((resolve, reject) => {
    const socket = connect(serverPort, '127.0.0.1', () => {
      socket.end(request.length.toString(16).padStart(4, '0') + request);
    });
    socket.resume();
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

/** The configuration by which an Appium registers at a Grid: a slot for each of its devices. */
function nodeConfig({ port: hubPort }: Hub, port: number, udids: readonly string[]): object {
  return {
    capabilities: udids.map((udid) => ({
      browserName: '',
      platformName: 'Android',
      'appium:udid': udid,
      maxInstances: 1,
      seleniumProtocol: 'WebDriver',
    })),
    configuration: {
      ...{ host: '127.0.0.1', port, url: `http://127.0.0.1:${port}/wd/hub` },
      ...{ hubHost: '127.0.0.1', hubPort, hubProtocol: 'http' },
      ...{ register: true, registerCycle: 500, maxSession: udids.length, timeout: 60, cleanUpCycle: 1000 },
      ...{ nodePolling: 1000, unregisterIfStillDownAfter: 2000, downPollingLimit: 1 },
      proxy: 'org.openqa.grid.selenium.proxy.DefaultRemoteProxy',
      role: 'node',
    },
  };
}

async function nodesOf(port: number): Promise<string[]> {
  const page = await (await fetch(`http://127.0.0.1:${port}/grid/console`)).text();
  return [...new Set([...page.matchAll(/id : (http:\/\/[^,\s<]+)/g)].map(([, id]) => id))];
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function outputOf(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${args.join(' ')}: exit ${code}: ${err || out}`));
    });
  });
}

/** Polls until a condition holds. @throws after `ms` */
export async function until(what: string, so: () => boolean | Promise<boolean>, ms: number): Promise<void> {
  for (const end = performance.now() + ms; !(await so());) {
    if (performance.now() > end) throw new Error(`not reached within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
