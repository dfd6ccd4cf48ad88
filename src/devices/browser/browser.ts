import type { Page } from 'playwright-core';
import { decodePng } from '../../data/formats/png.js';
import { RunError, UserError } from '../../errors.js';
import { isTap, type Action } from '../../data/action.js';
import { taskState, type BrowserHook, type TaskState } from './hook.js';
import { spotOf, touch, typeText } from './input.js';
import type { BrowserProcess } from './process.js';
import { BrowserSession } from './session.js';
import type { BrowserSettings } from './settings.js';
import type { Touched } from './stillness.js';
import type { Applied, Deadline, Device, ResetLevel } from '../device.js';
import type { Task } from '../../data/task.js';
import type { Frame } from '../../data/formats/frame.js';
import { oneLine } from '../pool/guard.js';
import { startUrls } from './start-url.js';
import { Overdue, TimeLimit } from '../pool/time-limit.js';

/** Milliseconds before the one retry of a failed screenshot; Chromium fails now and then. */
const RETRY_MS = 15;

/** Milliseconds that a browser which opens no session has to show that it is alive. */
const HEARTBEAT_MS = 500;

interface Running {
  readonly session: BrowserSession;
  readonly task: Task;
  readonly seed: number;
  readonly startUrl: string;
}

/**
 * A page in a phone-sized Chromium, driven by touch. Each episode has its own context, without earlier cookies or storage;
 * several devices share one browser. Equal pages give equal screenshots: language, time zone and Math.random are fixed, and
 * motion is suppressed. Clocks and servers are not controlled.
 *
 * The action space is Android's: a dual point is a tap or a drag, TYPE types into the focused element, BACK goes back in the
 * history, HOME opens the start page, ENTER presses the key.
 */
export class BrowserDevice implements Device {
  /** pixels of a screenshot */
  readonly size: { readonly width: number; readonly height: number };
  private running: Running | undefined;
  private state: TaskState | undefined;
  /** whether a page of this episode has given a reward; from then on, a page without one counts as reward 0 */
  private judged = false;
  private hangs = false;
  private closed = false;

  /** @param browser shared with other devices; it ends when the last of them is closed */
  constructor(
    readonly id: string,
    private readonly browser: BrowserProcess,
    private readonly settings: BrowserSettings,
    private readonly hook: BrowserHook = {},
  ) {
    const { width, height, scale } = settings;
    this.size = { width: Math.round(width * scale), height: Math.round(height * scale) };
    browser.join();
  }

  /**
   * Opens a new context at the task's start page. At any level, nothing of the last episode remains, except on its servers.
   * @throws UserError for a URL that must not be opened; RunError if the page, the hook or the browser fails
   */
  async reset(_level: ResetLevel, { task, seed, deadlineMs }: { task: Task; seed: number } & Deadline): Promise<void> {
    if (this.closed) throw new RunError(`${this.id}: reset: the device is closed`);
    const limit = new TimeLimit(deadlineMs, `${this.id}: reset`);
    await this.endEpisode();
    const server = await this.browser.server();
    const urls = startUrls(this.settings, task, seed, server);
    const browser = await this.browser.browser(limit);
    let session: BrowserSession;
    try {
      session = await BrowserSession.open(browser, this.settings, { urls, seed }, limit);
    } catch (error) {
      if (error instanceof Overdue && !(await this.browser.answers(browser, HEARTBEAT_MS))) {
        await this.browser.discard(browser);
      }
      throw this.named('reset', error);
    }
    const running = { session, task, seed, startUrl: urls.at(-1)! };
    try {
      if (this.hook.reset) {
        await limit.of(prepare(this.hook, session.page, task, seed), 'the hook');
        await session.settle(limit);
      }
    } catch (error) {
      const { failure } = session;
      await session.close();
      throw this.named('reset', failure === undefined ? error : new RunError(failure));
    }
    this.running = running;
    await this.updateState(running, limit);
  }

  async screenshot({ deadlineMs }: Deadline): Promise<Frame> {
    const { session } = this.episode('screenshot');
    const limit = new TimeLimit(deadlineMs, `${this.id}: screenshot`);
    const shoot = () => limit.of(session.picture(), 'Chromium');
    try {
      let png: Buffer;
      try {
        png = await shoot();
      } catch (error) {
        if (error instanceof Overdue || session.failure !== undefined) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        png = await shoot();
      }
      this.hangs = false;
      return this.fitted(decodePng(png));
    } catch (error) {
      this.hangs = true;
      throw this.named('screenshot', error);
    }
  }

  /** `no`: the page or the browser was gone before the action. `unknown`: it did not confirm in time, or went away. */
  async act(action: Action, { deadlineMs }: Deadline): Promise<{ applied: Applied }> {
    const running = this.episode('act');
    const { session } = running;
    if (session.failure !== undefined) return { applied: 'no' };
    const limit = new TimeLimit(deadlineMs, `${this.id}: act`);
    session.begin();
    const began = Date.now();
    const touched: Touched = action.type !== 'DUAL_POINT' ? {} : isTap(action) ? { tapped: began } : { swiped: began };
    let applied: Applied = 'yes';
    try {
      await limit.of(session.guard(this.perform(running, action, limit)), action.type);
    } catch (error) {
      applied = 'unknown';
      if (error instanceof Overdue) {
        this.hangs = true;
        this.state = undefined;
        return { applied };
      }
    }
    try {
      await session.guard(session.settle(limit, touched));
    } catch {
      // the next screenshot reports what is wrong with the page
      this.state = undefined;
      return { applied };
    }
    await this.updateState(running, limit);
    return { applied };
  }

  async health(): Promise<'ok' | 'sick' | 'dead'> {
    if (this.closed || (this.running && this.running.session.failure !== undefined)) return 'dead';
    return this.hangs ? 'sick' : 'ok';
  }

  /** Whether the reward after the last action was at least `success`; undefined if it is unknown. */
  achieved(): boolean | undefined {
    return this.state?.reward === undefined ? undefined : this.state.reward >= this.settings.success;
  }

  /** Whether the page or the hook has declared the task over; from then on the reward stays the same. */
  over(): boolean {
    return this.state?.done ?? false;
  }

  /** The last reward from the page or the hook; undefined if it is unknown. */
  get reward(): number | undefined {
    return this.state?.reward;
  }

  /** Ends the episode, and the browser if no other device uses it. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.endEpisode();
    await this.browser.leave();
  }

  private async perform({ session, startUrl }: Running, action: Action, limit: TimeLimit): Promise<void> {
    switch (action.type) {
      case 'DUAL_POINT': {
        const [from, to] = [spotOf(action.touch, this.settings), spotOf(action.lift, this.settings)];
        return touch(session.input, from, isTap(action) ? undefined : to);
      }
      case 'TYPE':
        return typeText(session.page, action.text, this.settings.typing);
      case 'PRESS_ENTER':
        return session.page.keyboard.press('Enter');
      case 'PRESS_BACK':
        return session.back();
      case 'PRESS_HOME':
        return session.visit(startUrl, limit);
      case 'STATUS_TASK_COMPLETE':
      case 'STATUS_TASK_IMPOSSIBLE':
        return;
    }
  }

  /** Asks for the task's state. If there is no answer, the state is unknown; that is not a device fault. */
  private async updateState({ session, task, seed }: Running, limit: TimeLimit): Promise<void> {
    if (this.state?.done) return;
    try {
      let state = await limit.of(
        session.unstuck(taskState(session.page, this.hook, task, seed)),
        'the state of the task',
      );
      // a pop-up knows nothing of the task; ask the first page
      if (state.reward === undefined && session.firstPage !== session.page) {
        state = await limit.of(taskState(session.firstPage, this.hook, task, seed), 'the state of the task');
      }
      if (state.reward !== undefined) this.judged = true;
      this.state = state.reward === undefined && this.judged ? { ...state, reward: 0 } : state;
    } catch (error) {
      this.state = undefined;
      // the next screenshot reports what is wrong with the session
      if (session.failure !== undefined) return;
      process.emitWarning(`${this.id}: the task's reward is unknown: ${oneLine(error)}`, { code: 'CRITIQ_REWARD' });
    }
  }

  private async endEpisode(): Promise<void> {
    const { running } = this;
    this.running = undefined;
    this.state = undefined;
    this.judged = false;
    this.hangs = false;
    await running?.session.close();
  }

  private episode(call: string): Running {
    if (!this.running) throw new RunError(`${this.id}: ${call}: no episode is running; call reset first`);
    return this.running;
  }

  /** The frame in the device's size: Chromium's rounding may drop pixels at the edges, which are filled from their neighbours. */
  private fitted(frame: Frame): Frame {
    const { width, height } = this.size;
    if (frame.width === width && frame.height === height) return frame;
    if (Math.abs(frame.width - width) > 2 || Math.abs(frame.height - height) > 2) {
      throw new RunError(`expected a screenshot of ${width}×${height} pixels, got ${frame.width}×${frame.height}`);
    }
    const rgba = new Uint8ClampedArray(4 * width * height);
    const from = new Uint32Array(frame.rgba.buffer, frame.rgba.byteOffset, frame.width * frame.height);
    const to = new Uint32Array(rgba.buffer);
    for (let y = 0; y < height; y++) {
      const row = Math.min(y, frame.height - 1) * frame.width;
      for (let x = 0; x < width; x++) to[y * width + x] = from[row + Math.min(x, frame.width - 1)];
    }
    return { width, height, rgba };
  }

  /** Playwright's multi-line error as a one-line error with the device and the call. */
  private named(call: string, error: unknown): Error {
    if (error instanceof UserError || error instanceof Overdue) return error;
    const failure = this.running?.session.failure;
    return new RunError(`${this.id}: ${call}: ${failure ?? oneLine(error)}`, { cause: error });
  }
}

/** Runs the hook's reset, which may throw synchronously or later. @throws RunError */
async function prepare(hook: BrowserHook, page: Page, task: Task, seed: number): Promise<void> {
  try {
    await hook.reset?.(page, task, seed);
  } catch (error) {
    throw new RunError(`device.browser.hook: reset: ${oneLine(error)}`);
  }
}
