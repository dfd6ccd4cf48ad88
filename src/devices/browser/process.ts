import type { Browser } from 'playwright-core';
import { RunError, UserError } from '../../errors.js';
import type { BrowserSettings } from './settings.js';
import { findChromium } from './chromium.js';
import { StaticServer } from './static-server.js';
import { TimeLimit } from '../pool/time-limit.js';

/** Milliseconds that a browser is given to end by itself. */
const GRACE_MS = 5000;

/** Not for a phone's screen: touches that are put on a regular beat move content by a little more or less each time. */
const UNSTEADY = ['ResamplingScrollEvents', 'ResamplingInputEvents', 'FilteringScrollPrediction'];

/** What Playwright turns off; Chromium takes only the last list, which is ours. */
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
 * The one browser that the sessions of a run share, and the server of their pages. It starts with the first session and
 * ends with the last; a session that finds it gone starts another. Chromium hangs on a pipe of ours, so it also ends when
 * this process is killed.
 */
export class BrowserProcess {
  private launched: Promise<Browser> | undefined;
  private served: Promise<StaticServer> | undefined;
  private users = 0;
  private processId: number | undefined;

  constructor(private readonly settings: BrowserSettings) {}

  /** Process id of the browser that was started last. */
  get pid(): number | undefined {
    return this.processId;
  }

  /** Begin to use the browser; each call is to be followed by one of `leave`. */
  join(): void {
    this.users++;
  }

  /** Ends the browser when nobody is left who uses it. */
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

  /** The browser, started where there is none or the last one is gone. @throws UserError where there is no Chromium */
  async browser(limit: TimeLimit): Promise<Browser> {
    const before = this.launched;
    const browser = before && (await limit.of(before, 'starting Chromium').catch(() => undefined));
    if (browser?.isConnected()) return browser;
    // others may have waited for the same one: only the first of them starts the next
    if (this.launched === before) {
      this.launched = this.launch();
      this.launched.catch(() => undefined);
    }
    return limit.of(this.launched!, 'starting Chromium');
  }

  /** The server of `device.browser.folder`; undefined where no folder is set. */
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

  /** End a browser that no longer answers, with all its sessions. */
  async discard(browser: Browser): Promise<void> {
    if (this.launched && (await this.launched.catch(() => undefined)) === browser) this.launched = undefined;
    if (browser.isConnected() && this.processId !== undefined) process.kill(this.processId, 'SIGKILL');
  }

  private async launch(): Promise<Browser> {
    const { path, sandbox, hosts } = this.settings;
    const executablePath = findChromium(path);
    const { chromium } = await playwright();
    // before anything that listens on a port: the rules must know the server's name
    await this.server();
    let browser: Browser;
    try {
      browser = await chromium.launch({
        executablePath,
        headless: true,
        chromiumSandbox: sandbox === 'auto' ? process.getuid?.() !== 0 : sandbox === 'on',
        args: [...ARGUMENTS, ...(hosts.length > 0 ? [reachable(hosts)] : [])],
        // critiq ends its devices itself, and Chromium ends when this process does
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
      // still on our pipe, so the id is still that of the process that we started
      process.kill(pid, 'SIGKILL');
      await closed;
    }
    clearTimeout(timer);
  }
}

/** Names are looked up for these hosts only, and addresses count as names. */
function reachable(hosts: readonly string[]): string {
  return `--host-resolver-rules=MAP * ~NOTFOUND, ${['127.0.0.1', ...hosts].map((host) => `EXCLUDE ${host}`).join(', ')}`;
}

async function playwright(): Promise<typeof import('playwright-core')> {
  try {
    return await import('playwright-core');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UserError('device.backend=browser needs the package playwright-core: npm install playwright-core');
  }
}

function launchFailure({ message }: Error): string {
  if (/sandbox/i.test(message))
    return 'it has no sandbox here; set device.browser.sandbox=off where its pages are trusted';
  const library = /error while loading shared libraries: \S+/.exec(message)?.[0];
  return library ?? message.split('\n')[0];
}
