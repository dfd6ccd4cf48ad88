import { setTimeout as pause } from 'node:timers/promises';
import type { Browser, BrowserContext, CDPSession, Dialog, Page } from 'playwright-core';
import { RunError } from '../../errors.js';
import type { BrowserSettings } from './settings.js';
import { goBack, historyIndex } from './input.js';
import { answered, drawn, still, STILLNESS, type Touched } from './stillness.js';
import { oneLine } from '../pool/guard.js';
import { Overdue, type TimeLimit } from '../pool/time-limit.js';

/** Pages (tabs, pop-ups) that a session may have open; more are closed at once. */
const MOST_PAGES = 8;

/** Milliseconds that closing a session is waited for; a browser that hangs never does it. */
const CLOSE_MS = 1000;

/** Milliseconds after which a page that does not answer is told to give up what it may be loading. */
const STUCK_MS = 1000;

/** Milliseconds for which a picture that was taken with the end of an action is that of the page as it is. */
const EARLY_MS = 100;

/** Dialogs of one action after which a page is taken to ask for ever. */
const MOST_DIALOGS = 50;

/** Milliseconds that a page which another one opens may take to be there. */
const POPUP_MS = 1000;

/** A page of a session and what is known of it. */
interface Tab {
  readonly page: Page;
  readonly input: CDPSession;
  /** the page is about to open, or is opening, another document */
  loading: boolean;
  /** no server has answered that yet */
  requested: boolean;
  /** called when it no longer does */
  waiting: (() => void)[];
  /** entries of its history up to this one were not made by the agent */
  floor: number;
}

/** Math.random by mulberry32, so that a page's chance is decided by the episode's seed. */
const seededRandom = (seed: number) => `{
  let state = ${seed >>> 0};
  Math.random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}`;

/**
 * One episode in a browser: a context of its own (cookies, storage and cache of nobody else) and its pages, of which the
 * agent sees the one that was opened last.
 */
export class BrowserSession {
  private readonly tabs: Tab[] = [];
  private readonly opening = new Set<Promise<unknown>>();
  /** a page has asked for another one, which has not come yet */
  private awaited: (() => void) | undefined;
  private dialogs = 0;
  /** pages that came since the action began */
  private came = 0;
  /** a picture of what the last action has led to */
  private early: { readonly tab: Tab; readonly png: Promise<Buffer>; readonly until: number } | undefined;
  private reason: string | undefined;
  private abandon: (error: Error) => void = () => undefined;
  /** rejects when the session fails, and never resolves */
  private readonly failed = new Promise<never>((_, reject) => (this.abandon = reject));

  private constructor(
    private readonly browser: Browser,
    private readonly context: BrowserContext,
    private readonly settings: BrowserSettings,
    private readonly startUrl: string,
  ) {
    this.failed.catch(() => undefined);
    browser.once('disconnected', () => this.fail('the browser is gone'));
  }

  /**
   * A new context with the start page in it.
   * @param urls opened one after another; the last is the start page, at which the agent's history begins
   * @throws RunError where a page cannot be opened, Overdue where it takes too long
   */
  static async open(
    browser: Browser,
    settings: BrowserSettings,
    { urls, seed }: { urls: readonly string[]; seed: number },
    limit: TimeLimit,
  ): Promise<BrowserSession> {
    const { width, height, scale, locale, timezone } = settings;
    const made = browser.newContext({
      viewport: { width, height },
      screen: { width, height },
      deviceScaleFactor: scale,
      isMobile: true,
      hasTouch: true,
      locale,
      timezoneId: timezone,
      colorScheme: 'light',
      reducedMotion: 'reduce',
      acceptDownloads: false,
      permissions: [],
      serviceWorkers: 'block',
      userAgent: settings.user_agent || androidChrome(browser.version()),
    });
    const context = await limit.of(made, 'a new session').catch((error: unknown) => {
      // should it come late, nobody else would close it
      made.then((late) => late.close()).catch(() => undefined);
      throw error;
    });
    const session = new BrowserSession(browser, context, settings, urls.at(-1)!);
    try {
      context.setDefaultTimeout(limit.left);
      const script = STILLNESS + (settings.seed_random ? seededRandom(seed) : '');
      await limit.of(context.addInitScript(script), 'a new session');
      context.on('dialog', (dialog) => void session.answer(dialog));
      context.on('page', (page) => session.follow(page));
      await limit.of(context.newPage(), 'a new page');
      await session.opened(limit);
      for (const url of urls) await session.visit(url, limit);
      const tab = session.tab();
      tab.floor = await limit.of(historyIndex(tab.input), 'its history');
      return session;
    } catch (error) {
      const { failure } = session;
      await session.close();
      throw failure === undefined ? error : new RunError(failure);
    }
  }

  /** Why the session can do nothing any more; undefined while it can. */
  get failure(): string | undefined {
    return this.browser.isConnected() ? this.reason : 'the browser is gone';
  }

  /** The value of `work`, unless the session fails before. */
  guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.failed]);
  }

  /** The page that the agent sees. */
  get page(): Page {
    return this.tab().page;
  }

  /** The page that the episode began with, while it is open. */
  get firstPage(): Page {
    return this.tabs[0]?.page ?? this.page;
  }

  /** Where touches go. */
  get input(): CDPSession {
    return this.tab().input;
  }

  /** An action begins: its dialogs and pages are counted anew. */
  begin(): void {
    this.dialogs = 0;
    this.came = 0;
    this.early = undefined;
  }

  /** Open a page in place of what is shown. @throws RunError where it cannot be opened or is an error page */
  async visit(url: string, limit: TimeLimit): Promise<void> {
    const { page } = this.tab();
    let status: number | undefined;
    try {
      const response = await limit.of(page.goto(url, { waitUntil: 'commit', timeout: limit.left }), `opening ${url}`);
      status = response?.status();
    } catch (error) {
      if (error instanceof Overdue) throw error;
      throw new RunError(`${url}: cannot be opened: ${oneLine(error).replace(/ Call log:.*/, '')}`);
    }
    if (status !== undefined && status >= 400)
      throw new RunError(`${url}: the server answered ${status}; expected a page`);
    await this.settle(limit);
  }

  /** Back in the page's history; a pop-up without one is closed; at the start page nothing. */
  async back(): Promise<void> {
    const tab = this.tab();
    tab.loading = true;
    if (await goBack(tab.input, tab.floor)) return;
    loaded(tab);
    if (this.tabs.length > 1) await tab.page.close();
  }

  /**
   * Wait until what an action has set off can be seen: a page that it opens has loaded, or `settle_ms` are over; then a
   * frame. The picture of that frame is asked for at the same time, and kept where the page is at rest in it: it is there a
   * frame earlier than one that is asked for later.
   */
  async settle(limit: TimeLimit, touched: Touched = {}): Promise<void> {
    await this.opened(limit);
    for (let round = 0; round < 4; round++) {
      const tab = this.tab();
      if (tab.loading) {
        const patience = Math.min(this.settings.settle_ms, limit.left);
        await this.idle(tab, patience);
        // a server that does not answer: the page stays what it was, and would not even be drawn while it waits
        if (tab.requested) {
          await limit.of(Promise.race([this.stopLoading(), pause(STUCK_MS)]), 'giving up a page');
          loaded(tab);
        }
      }
      let early: Promise<Buffer> | undefined;
      let rests: boolean;
      try {
        // a document that never answers is seen as it is, if it can be seen at all
        const all = await limit.of(this.unstuck(answered(tab.page, touched)), 'its answer');
        if (all && this.showsAtOnce(tab)) early = capture(tab, this.settings.scale);
        early?.catch(() => undefined);
        rests = await limit.of(this.unstuck(drawn(tab.page, touched)), 'drawing');
      } catch (error) {
        if (error instanceof Overdue || this.failure !== undefined) throw error;
        continue; // the document went away under the question
      }
      if (tab !== this.tab()) continue;
      if (tab.loading && round === 0) continue;
      if (early && rests && this.showsAtOnce(tab)) this.early = { tab, png: early, until: Date.now() + EARLY_MS };
      return;
    }
  }

  /** Whether the next picture of a tab can be that of its next frame: nothing else has to be waited for. */
  private showsAtOnce({ page, loading }: Tab): boolean {
    return !loading && page.frames().length === 1 && !this.settings.await_release;
  }

  /**
   * The value of `work`, which asks something of the page, unless the session fails before. A busy Chromium can begin to load a
   * document after `settle` has given it up, and then neither draws nor answers until the server does: so what it may be loading
   * is given up again.
   */
  async unstuck<T>(work: Promise<T>): Promise<T> {
    const nudge = setInterval(() => void this.stopLoading().catch(() => undefined), STUCK_MS).unref();
    try {
      // some work never ends; the session does
      return await this.guard(work);
    } finally {
      clearInterval(nudge);
    }
  }

  private async stopLoading(): Promise<void> {
    await this.tab().input.send('Page.stopLoading');
  }

  /** A PNG of the page that the agent sees, at rest. @throws where it cannot be had */
  async picture(): Promise<Buffer> {
    const { early } = this;
    this.early = undefined;
    const tab = this.tab();
    if (early?.tab === tab && Date.now() < early.until) {
      const png = await this.unstuck(early.png).catch(() => undefined);
      if (png) return png;
    }
    await this.unstuck(still(tab.page, { released: this.settings.await_release }));
    return this.unstuck(capture(tab, this.settings.scale));
  }

  /** End the episode; its pages and storage are gone afterwards. Never throws, and does not wait for a page that hangs. */
  async close(): Promise<void> {
    this.fail('the session is closed');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
    await Promise.race([this.context.close().catch(() => undefined), late]);
    clearTimeout(timer);
  }

  private fail(reason: string): void {
    this.reason ??= reason;
    this.abandon(new RunError(this.reason));
  }

  private tab(): Tab {
    const tab = this.tabs.at(-1);
    if (!tab || this.failure !== undefined) throw new RunError(this.failure ?? 'no page is open');
    return tab;
  }

  /** All pages that were opened are followed; where the last was closed, the start page opens again. */
  private async opened(limit: TimeLimit): Promise<void> {
    while (this.opening.size > 0) await limit.of(Promise.all(this.opening), 'a new page');
    if (this.failure !== undefined) throw new RunError(this.failure);
    if (this.tabs.length > 0) return;
    await limit.of(this.context.newPage(), 'a new page');
    while (this.opening.size > 0) await limit.of(Promise.all(this.opening), 'a new page');
    const tab = this.tab();
    await limit.of(
      tab.page.goto(this.startUrl, { waitUntil: 'commit', timeout: limit.left }),
      `opening ${this.startUrl}`,
    );
    tab.floor = await limit.of(historyIndex(tab.input), 'its history');
  }

  /** A page asks for another one: it will come, or be refused without a word. */
  private expect(): void {
    if (this.awaited || this.came > 0) return;
    const came = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(this.settings.settle_ms, POPUP_MS));
      this.awaited = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.opening.add(came);
    void came.then(() => {
      this.awaited = undefined;
      this.opening.delete(came);
    });
  }

  private follow(page: Page): void {
    this.came++;
    this.awaited?.();
    if (this.tabs.length + this.opening.size >= MOST_PAGES) return void page.close().catch(() => undefined);
    const attached = this.attach(page).catch(() => undefined); // it was closed meanwhile
    this.opening.add(attached);
    void attached.then(() => this.opening.delete(attached));
  }

  private async attach(page: Page): Promise<void> {
    // a page with this listener opens no dialog for files
    page.on('filechooser', () => undefined);
    const input = await this.context.newCDPSession(page);
    const tab: Tab = { page, input, loading: false, requested: false, waiting: [], floor: 0 };
    page.on('crash', () => {
      this.fail(`the page crashed: ${page.url()}`);
      loaded(tab);
    });
    const { frameTree } = await input.send('Page.getFrameTree');
    const ofTab = (frame: string) => frame === frameTree.frame.id;
    input.on('Page.frameRequestedNavigation', ({ frameId, disposition, url }) => {
      if (disposition === 'newTab' || disposition === 'newWindow') this.expect();
      else if (ofTab(frameId) && disposition === 'currentTab' && !isPart(url, page.url()))
        tab.loading = tab.requested = true;
    });
    input.on('Page.frameNavigated', ({ frame }) => {
      if (ofTab(frame.id)) tab.requested = false;
    });
    input.on('Page.windowOpen', () => this.expect());
    input.on('Page.frameStartedLoading', ({ frameId }) => {
      if (ofTab(frameId)) tab.loading = true;
    });
    input.on('Page.frameStoppedLoading', ({ frameId }) => {
      if (ofTab(frameId)) loaded(tab);
    });
    input.on('Page.navigatedWithinDocument', ({ frameId }) => {
      if (ofTab(frameId)) loaded(tab);
    });
    await input.send('Page.enable');
    if (page.isClosed()) return;
    this.tabs.push(tab);
    page.on('close', () => {
      this.tabs.splice(this.tabs.indexOf(tab), 1);
      loaded(tab);
    });
  }

  /** Waits until the tab has loaded, crashed or was closed, or `ms` are over. */
  private async idle(tab: Tab, ms: number): Promise<void> {
    if (!tab.loading || tab.page.isClosed()) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
      tab.waiting.push(resolve);
    });
    clearTimeout(timer);
  }

  private async answer(dialog: Dialog): Promise<void> {
    if (++this.dialogs > MOST_DIALOGS) {
      // and the last question stays unanswered, which keeps the page still until its session ends
      return this.fail(
        `the page asks for ever: more than ${MOST_DIALOGS} dialogs, the last ${dialog.type()} "${oneLine(dialog.message()).slice(0, 80)}"`,
      );
    }
    // a page may not keep the agent from leaving it
    const accept = this.settings.dialogs === 'accept' || dialog.type() === 'beforeunload';
    await (accept ? dialog.accept() : dialog.dismiss()).catch(() => undefined);
  }
}

/** Whether a URL means a place in the document that is open, which opens no other. */
function isPart(url: string, open: string): boolean {
  return url.includes('#') && url.split('#')[0] === open.split('#')[0];
}

/** A PNG of what a tab shows, `scale` pixels for each CSS pixel. */
async function capture({ page, input }: Tab, scale: number): Promise<Buffer> {
  // Chromium's own has a pixel for each CSS pixel; Playwright's takes a third longer, being packed as small as can be
  if (scale !== 1) return page.screenshot({ type: 'png', scale: 'device', caret: 'initial', timeout: 0 });
  const { data } = await input.send('Page.captureScreenshot', { format: 'png', optimizeForSpeed: true });
  return Buffer.from(data, 'base64');
}

/** A tab opens nothing any more: those who wait for it go on. */
function loaded(tab: Tab): void {
  tab.loading = tab.requested = false;
  for (const go of tab.waiting.splice(0)) go();
}

/** Chrome on Android, as it names itself since it says no more than its main version. */
function androidChrome(version: string): string {
  return `Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version.split('.')[0]}.0.0.0 Mobile Safari/537.36`;
}
