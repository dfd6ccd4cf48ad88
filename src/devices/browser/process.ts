import type { Browser } from 'playwright-core';
import { RunError, UserError } from '../../errors.js';
import type { BrowserSettings } from './settings.js';
import { findChromium } from './chromium.js';
import { StaticServer } from './static-server.js';
import { TimeLimit } from '../pool/time-limit.js';

/** Milliseconds that a browser has to end by itself. */
const GRACE_MS = 5000;

/** Features that resample touches to a regular rate, so that swipes scroll by slightly different amounts each time. */
const UNSTEADY = ['ResamplingScrollEvents', 'ResamplingInputEvents', 'FilteringScrollPrediction'];

/** Features that Playwright disables; Chromium uses only the last such list, which is ours. */
const PLAYWRIGHTS = [
  ...['AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose', 'HttpsUpgrades', 'MediaRouter'],
  ...['HttpsFirstBalancedModeAutoEnable', 'PaintHolding', 'ThirdPartyStoragePartitioning', 'OptimizationHints'],
  ...['AvoidCorsURLLoaderRestartOnRedirect', 'NetworkTimeServiceQuerying', 'AimEnabled', 'PreconnectToSearch'],
];

const ARGUMENTS = [
  '--disable-gpu',
  '--font-render-hinting=none',
  `--disable-features=${[...PLAYWRIGHTS, ...UNSTEADY].join(',')}`,
];

/**
 * The browser that all sessions of a run share, and the server of their pages. It starts with the first session and ends
 * with the last; if it is gone, the next session starts another. Chromium is connected by a pipe of ours, so it also ends
 * when this process is killed.
 */
export class BrowserProcess {
  private launched: Promise<Browser> | undefined;
  private served: Promise<StaticServer> | undefined;
  private users = 0;
  private processId: number | undefined;

  constructor(private readonly settings: BrowserSettings) {}

  /** Process id of the latest browser. */
  get pid(): number | undefined {
    return this.processId;
  }

  /** Registers a user of the browser, which must call `leave` later. */
  join(): void {
    this.users++;
  }

  /** Unregisters a user; the browser ends with its last user. */
  async leave(): Promise<void> {
    if (--this.users > 0) return;
    const [launched, served] = [this.launched, this.served];
    this.launched = undefined;
    this.served = undefined;
    await Promise.all([
      launched?.then(
        (browser) => this.end(browser),
        () => undefined,
      ),
      served?.then(
        (server) => server.close(),
        () => undefined,
      ),
    ]);
  }

  /** The browser; started if there is none or the last one is gone. @throws UserError if there is no Chromium */
  async browser(limit: TimeLimit): Promise<Browser> {
    const before = this.launched;
    const browser = before && (await limit.of(before, 'starting Chromium').catch(() => undefined));
    if (browser?.isConnected()) return browser;
    // others may have waited for the same browser: only the first one starts the next
    if (this.launched === before) {
      this.launched = this.launch();
      this.launched.catch(() => undefined);
    }
    return limit.of(this.launched!, 'starting Chromium');
  }

  /** The server of `device.browser.folder`; undefined if no folder is set. */
  async server(): Promise<StaticServer | undefined> {
    if (this.settings.folder === '') return undefined;
    this.served ??= StaticServer.open(this.settings.folder);
    return this.served;
  }

  /** Whether a browser answers at all. */
  async answers(browser: Browser, ms: number): Promise<boolean> {
    if (!browser.isConnected()) return false;
    const asked = (async () => {
      const session = await browser.newBrowserCDPSession();
      await session.send('Browser.getVersion');
      await session.detach();
    })();
    return new TimeLimit(ms, 'Chromium').of(asked, 'a sign of life').then(
      () => true,
      () => false,
    );
  }

  /** Kills a browser that no longer answers, with all its sessions. */
  async discard(browser: Browser): Promise<void> {
    if (this.launched && (await this.launched.catch(() => undefined)) === browser) this.launched = undefined;
    if (browser.isConnected() && this.processId !== undefined) process.kill(this.processId, 'SIGKILL');
  }

  private async launch(): Promise<Browser> {
    const { path, sandbox, hosts } = this.settings;
    const executablePath = findChromium(path);
    const { chromium } = await playwright();
    // fail on a bad folder before a browser starts
    const served = await this.server();
    let browser: Browser;
    try {
      browser = await chromium.launch({
        executablePath,
        headless: true,
        chromiumSandbox: sandbox === 'auto' ? process.getuid?.() !== 0 : sandbox === 'on',
        args: [...ARGUMENTS, ...(hosts.length > 0 ? confined(hosts, served?.port) : [])],
        // critiq closes its devices itself, and Chromium ends when this process ends
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false,
        timeout: 60_000,
      });
    } catch (error) {
      throw new RunError(`${executablePath}: did not start: ${launchFailure(error as Error)}`);
    }
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    this.processId = processInfo.find(({ type }) => type === 'browser')?.id;
    await session.detach();
    return browser;
  }

  private async end(browser: Browser): Promise<void> {
    const pid = this.processId;
    const closed = browser.close().then(
      () => true,
      () => true,
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), GRACE_MS)));
    if (!(await Promise.race([closed, late])) && browser.isConnected() && pid !== undefined) {
      // it is still connected to our pipe, so the id is still that of the process we started
      process.kill(pid, 'SIGKILL');
      await closed;
    }
    clearTimeout(timer);
  }
}

/**
 * The arguments by which Chromium reaches only some hosts: `name`, `*.name`, or `name:port` for this port alone. The first
 * rule that fits a host counts, and addresses count as names.
 * @param port where the pages of the folder are served on 127.0.0.1; no other port of this machine is reached unless listed
 */
function confined(hosts: readonly string[], port: number | undefined): string[] {
  const all = [...(port === undefined ? [] : [`127.0.0.1:${port}`]), ...hosts];
  const rules = all.map((host) => (/:\d+$/.test(host) ? `MAP ${host} ${host}` : `EXCLUDE ${host}`));
  return [
    `--host-resolver-rules=${[...rules, 'MAP * ~NOTFOUND'].join(', ')}`,
    // these resolve no names: a peer's address, QUIC
    '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
    '--disable-quic',
    '--dns-prefetch-disable',
  ];
}

async function playwright(): Promise<typeof import('playwright-core')> {
  try {
    return await import('playwright-core');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UserError(
      'device.backend=browser: needs the package playwright-core; install it with `npm install playwright-core`',
    );
  }
}

function launchFailure({ message }: Error): string {
  if (/sandbox/i.test(message))
    return 'its sandbox is not available here; set device.browser.sandbox=off if you trust its pages';
  const library = /error while loading shared libraries: \S+/.exec(message)?.[0];
  return library ?? message.split('\n')[0];
}
