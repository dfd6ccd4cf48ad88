import { setTimeout as pause } from 'node:timers/promises';
import type { Browser, BrowserContext, CDPSession, Dialog, Page } from 'playwright-core';
import { RunError } from '../../errors.js';
import type { BrowserSettings } from './settings.js';
import { goBack, historyIndex } from './input.js';
import { answered, drawn, still, STILLNESS, type Touched } from './stillness.js';
import { oneLine } from '../pool/guard.js';
import { Overdue, type TimeLimit } from '../pool/time-limit.js';

/** Most open pages (tabs, pop-ups) of a session; further ones are closed at once. */
const MOST_PAGES = 8;

/** Milliseconds that closing a session may take; a hung browser never finishes. */
const CLOSE_MS = 1000;

/** Milliseconds after which a page that does not answer must stop loading. */
const STUCK_MS = 1000;

/** Milliseconds for which a picture taken at the end of an action still shows the current page. */
const EARLY_MS = 100;

/** Dialogs of one action after which a page counts as endlessly asking. */
const MOST_DIALOGS = 50;

/** Milliseconds that a page opened by another one may take to appear. */
const POPUP_MS = 1000;

/** A page of a session and its state. */
interface Tab {
  readonly page: Page;
  readonly input: CDPSession;
  /** whether the page is opening another document, or about to */
  loading: boolean;
  /** whether no server has answered that request yet */
  requested: boolean;
  /** called when loading ends */
  waiting: (() => void)[];
  /** the last history entry that the agent did not make */
  floor: number;
}

/** Replaces Math.random by mulberry32 with the episode's seed. */
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
 * One episode in a browser: its own context (cookies, storage and cache) and its pages. The agent sees the page that was
 * opened last.
 */
export class BrowserSession {
  private readonly tabs: Tab[] = [];
  private readonly opening = new Set<Promise<unknown>>();
  /** resolves the wait for a page that another page has asked for */
  private awaited: (() => void) | undefined;
  private dialogs = 0;
  /** pages opened since the action began */
  private came = 0;
  /** a picture taken at the end of the last action */
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
   * Opens a new context with the start page.
   * @param urls opened in order; the last is the start page, where the agent's history begins
   * @throws RunError if a page cannot be opened; Overdue if it takes too long
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
      // if it comes late, nobody else closes it
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
      tab.floor = await limit.of(historyIndex(tab.input), 'reading the history');
      return session;
    } catch (error) {
      const { failure } = session;
      await session.close();
      throw failure === undefined ? error : new RunError(failure);
    }
  }

  /** Why the session has failed; undefined while it works. */
  get failure(): string | undefined {
    return this.browser.isConnected() ? this.reason : 'the browser is gone';
  }

  /** Waits for `work`; rejects as soon as the session fails. */
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

  /** The input channel of the page that the agent sees. */
  get input(): CDPSession {
    return this.tab().input;
  }

  /** Starts an action: resets its counts of dialogs and pages. */
  begin(): void {
    this.dialogs = 0;
    this.came = 0;
    this.early = undefined;
  }

  /** Opens a page in place of the current one. @throws RunError if it cannot be opened or is an error page */
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

  /** Goes back in the page's history. Without an earlier entry, it closes a pop-up; at the start page nothing happens. */
  async back(): Promise<void> {
    const tab = this.tab();
    tab.loading = true;
    if (await goBack(tab.input, tab.floor)) return;
    loaded(tab);
    if (this.tabs.length > 1) await tab.page.close();
  }

  /**
   * Waits until the effect of an action is visible: the page that it opens has loaded, or `settle_ms` are over; then for one
   * frame. The picture of that frame is requested at the same time and kept if the page is at rest in it: it arrives one
   * frame earlier than a picture requested later.
   */
  async settle(limit: TimeLimit, touched: Touched = {}): Promise<void> {
    await this.opened(limit);
    for (let round = 0; round < 4; round++) {
      const tab = this.tab();
      if (tab.loading) {
        const patience = Math.min(this.settings.settle_ms, limit.left);
        await this.idle(tab, patience);
        // the server does not answer: stop, since Chromium would not even draw the current page while it waits
        if (tab.requested) {
          await limit.of(Promise.race([this.stopLoading(), pause(STUCK_MS)]), 'stopping a page');
          loaded(tab);
        }
      }
      let early: Promise<Buffer> | undefined;
      let rests: boolean;
      try {
        // a document that never answers is captured as it is, if that is possible
        const all = await limit.of(this.unstuck(answered(tab.page, touched)), "the page's answer");
        if (all && this.showsAtOnce(tab)) early = capture(tab, this.settings.scale);
        early?.catch(() => undefined);
        rests = await limit.of(this.unstuck(drawn(tab.page, touched)), 'drawing');
      } catch (error) {
        if (error instanceof Overdue || this.failure !== undefined) throw error;
        continue; // the document went away during the question
      }
      if (tab !== this.tab()) continue;
      if (tab.loading && round === 0) continue;
      if (early && rests && this.showsAtOnce(tab)) this.early = { tab, png: early, until: Date.now() + EARLY_MS };
      return;
    }
  }

  /** Whether the next frame of a tab can be its next picture, without further waits. */
  private showsAtOnce({ page, loading }: Tab): boolean {
    return !loading && page.frames().length === 1 && !this.settings.await_release;
  }

  /**
   * Waits for `work`, which asks the page something; rejects as soon as the session fails. A busy Chromium can start to load
   * a document after `settle` has stopped it, and then neither draws nor answers until the server does. So loading is stopped
   * repeatedly meanwhile.
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

  /** A PNG of the page that the agent sees, at rest. @throws if Chromium cannot make one */
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

  /** Ends the episode and removes its pages and storage. Never throws, and does not wait for a hung page. */
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

  /** Waits until all opened pages are attached; if the last page was closed, opens the start page again. */
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
    tab.floor = await limit.of(historyIndex(tab.input), 'reading the history');
  }

  /** Expects a page that another page asked for. It may never come, since Chromium can refuse it silently. */
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
    const attached = this.attach(page).catch(() => undefined); // the page was closed meanwhile
    this.opening.add(attached);
    void attached.then(() => this.opening.delete(attached));
  }

  private async attach(page: Page): Promise<void> {
    // with this listener, the page opens no file dialog
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

  /** Waits until the tab has loaded, crashed or closed, but at most `ms`. */
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
      // the last dialog stays unanswered, which stops the page until its session ends
      return this.fail(
        `the page keeps opening dialogs: more than ${MOST_DIALOGS}, the last one ${dialog.type()} "${oneLine(dialog.message()).slice(0, 80)}"`,
      );
    }
    // a page must not keep the agent from leaving it
    const accept = this.settings.dialogs === 'accept' || dialog.type() === 'beforeunload';
    await (accept ? dialog.accept() : dialog.dismiss()).catch(() => undefined);
  }
}

/** Whether a URL only names a part of the open document, so that no other document loads. */
function isPart(url: string, open: string): boolean {
  return url.includes('#') && url.split('#')[0] === open.split('#')[0];
}

/** A PNG of what a tab shows, `scale` pixels for each CSS pixel. */
async function capture({ page, input }: Tab, scale: number): Promise<Buffer> {
  // Chromium's own capture has one pixel for each CSS pixel; Playwright's takes a third longer, since it compresses fully
  if (scale !== 1) return page.screenshot({ type: 'png', scale: 'device', caret: 'initial', timeout: 0 });
  const { data } = await input.send('Page.captureScreenshot', { format: 'png', optimizeForSpeed: true });
  return Buffer.from(data, 'base64');
}

/** Marks a tab as loaded and resolves all waits for it. */
function loaded(tab: Tab): void {
  tab.loading = tab.requested = false;
  for (const go of tab.waiting.splice(0)) go();
}

/** The user agent of Chrome on Android, which nowadays contains only the main version. */
function androidChrome(version: string): string {
  return `Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version.split('.')[0]}.0.0.0 Mobile Safari/537.36`;
}
