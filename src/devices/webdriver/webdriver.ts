import { RunError, UserError } from '../../errors.js';
import { endsEpisode, type Action } from '../../data/action.js';
import { machineClock } from '../pool/clock.js';
import type { Applied, Deadline, Device, ResetLevel } from '../device.js';
import type { Task } from '../../data/task.js';
import type { Frame } from '../../data/formats/frame.js';
import { oneLine } from '../pool/guard.js';
import { goHome, perform } from './actions.js';
import { CallError, type WebDriverSession } from './client.js';
import { FilmedScreen } from './recording.js';
import { screenNow, settledScreen } from './screen.js';
import type { Command, WebDriverSettings } from './settings.js';
import type { Substitutes } from './template.js';

/** Milliseconds between two polls. */
const PAUSE_MS = 100;

const LEVELS: readonly ResetLevel[] = ['app', 'snapshot', 'recreate'];

interface Episode {
  readonly task: Task;
  readonly seed: number;
}

/** What a device needs from its fleet. */
export interface Origin {
  /** Opens a session on the same device. @throws CallError, UserError */
  newSession(timeoutMs: number): Promise<WebDriverSession>;
  /** Releases the device for others. */
  release(): void;
  /** Fills in the placeholders of a template from the setting `where`. @throws UserError */
  fill<T>(template: T, where: string, episode?: Substitutes['episode']): T;
}

/**
 * A phone behind a WebDriver server: Appium, a Selenium Grid, or a farm. An action is sent only once; only calls without side
 * effects are retried. A session that ends between two episodes is replaced at the reset. One that ends within an episode is
 * a fault, which the next screenshot reports.
 */
export class WebDriverDevice implements Device {
  readonly resetMs: number;
  readonly startRecording?: (deadline: Deadline) => Promise<void>;
  readonly stopRecording?: (deadline: Deadline) => Promise<Uint8Array>;
  private session: WebDriverSession | undefined;
  /** why the session has ended */
  private lost: string | undefined;
  private screen = { width: 1, height: 1 };
  /** the screen in the units of touch coordinates, if these are not pixels of the screenshot */
  private window: { width: number; height: number } | undefined;
  private episode: Episode | undefined;
  private state: { readonly achieved: boolean; readonly over: boolean } | undefined;
  /** when the last action or reset ended, by the machine's clock */
  private acted = -Infinity;
  /** whether there was an action after the last screenshot */
  private moved = false;
  private hangs = false;
  private closed: Promise<void> | undefined;
  private readonly film: FilmedScreen | undefined;
  private readonly warned = new Set<string>();

  /** The device works after `begin`. */
  constructor(
    readonly id: string,
    private readonly settings: WebDriverSettings,
    private readonly origin: Origin,
  ) {
    this.resetMs = settings.reset_ms;
    if (settings.recording === 'none') return;
    const film = new FilmedScreen(settings.recording);
    this.film = film;
    this.startRecording = async ({ deadlineMs }) => film.start(this.opened('startRecording'), deadlineMs);
    this.stopRecording = async ({ deadlineMs }) => film.stop(this.opened('stopRecording'), deadlineMs);
  }

  /** pixels of the last screenshot; they swap when the device is turned */
  get size(): { readonly width: number; readonly height: number } {
    return this.screen;
  }

  /** Opens the first session. @param left milliseconds left @throws CallError, RunError, UserError */
  async begin(left: () => number): Promise<void> {
    await this.renew(left);
  }

  /**
   * Level `app` stops the apps and starts the app of the settings (or shows the home screen), `snapshot` loads the emulator's
   * snapshot, `recreate` opens a new session. The higher of `level` and the setting `reset` counts. Then the commands of the
   * settings run, and the reset waits until the device is ready. A session that has ended meanwhile is replaced.
   */
  async reset(level: ResetLevel, { task, seed, deadlineMs }: { task: Task; seed: number } & Deadline): Promise<void> {
    if (this.closed) throw new RunError(`${this.id}: reset: the device is closed`);
    const end = machineClock.now() + deadlineMs;
    const left = (): number => Math.max(1, end - machineClock.now());
    const command = (): number => Math.min(left(), this.settings.command_ms);
    this.episode = undefined;
    this.state = undefined;
    this.moved = false;
    this.hangs = false;
    const wanted = LEVELS[Math.max(LEVELS.indexOf(level), LEVELS.indexOf(this.settings.reset))];
    const episode = { task, seed };
    await this.named('reset', async () => {
      if (this.session && !this.lost) await this.film?.drop(this.session, command());
      if (wanted === 'recreate' || !this.session || this.lost) {
        await this.renew(left);
        await this.prepare(wanted, episode, left, command);
        return;
      }
      try {
        await this.prepare(wanted, episode, left, command);
      } catch (error) {
        // the session ended while it was unused: start the preparation again in a new one
        if (!(error instanceof CallError) || error.failing !== 'lost') throw error;
        await this.renew(left);
        await this.prepare(wanted, episode, left, command);
      }
    });
    this.episode = episode;
    this.acted = machineClock.now();
    await this.updateState(command);
  }

  /** Waits until the screen has settled, within the limits of the settings. */
  async screenshot({ deadlineMs }: Deadline): Promise<Frame> {
    const session = this.opened('screenshot');
    const end = machineClock.now() + deadlineMs;
    const left = (): number => Math.max(1, end - machineClock.now());
    let frame: Frame;
    try {
      frame = await this.named('screenshot', async () => {
        const seen = await settledScreen(session, this.settings, this.acted, left);
        return this.fitting(seen);
      });
      this.hangs = false;
    } catch (error) {
      this.hangs = true;
      throw error;
    }
    // the state right after the action may have been too early
    if (this.moved && this.settings.settle_ms > 0) await this.updateState(left);
    this.moved = false;
    return frame;
  }

  /**
   * `no`: there was no connection, the session had already ended, the server refused, or nothing had the focus. `unknown`: the
   * server did not answer in time or in full, or reported an error.
   * @throws UserError if the server does not support this action at all
   */
  async act(action: Action, { deadlineMs }: Deadline): Promise<{ applied: Applied }> {
    const session = this.opened('act');
    if (!this.episode) throw new RunError(`${this.id}: act: no episode is running; call reset first`);
    if (endsEpisode(action)) return { applied: 'yes' };
    const end = machineClock.now() + deadlineMs;
    const left = (): number => Math.max(1, end - machineClock.now());
    let applied: Applied = 'yes';
    try {
      await perform(session, action, this.settings, this.window ?? this.screen, left, this.acted);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.failing === 'refused') throw new UserError(`${this.id}: act: ${action.type}: ${error.message}`);
      applied = error.applied;
      this.note(error);
      if (error.failing === 'overdue') this.hangs = true;
      this.warn(error, action, applied);
      // the next screenshot reports what is wrong with the device
      if (error.failing === 'overdue' || this.lost) {
        this.state = undefined;
        return { applied };
      }
    }
    this.acted = machineClock.now();
    this.moved = true;
    await this.updateState(left);
    return { applied };
  }

  async health(): Promise<'ok' | 'sick' | 'dead'> {
    if (this.closed || this.lost || !this.session) return 'dead';
    return this.hangs ? 'sick' : 'ok';
  }

  /** Whether the answer of `reward`, after the last action, matched `success`; undefined if it is unknown. */
  achieved(): boolean | undefined {
    return this.state?.achieved;
  }

  /** Whether that answer matched `done`: the task has ended by itself. */
  over(): boolean {
    return this.state?.over ?? false;
  }

  /** Ends the session, and only this one. */
  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  private async end(): Promise<void> {
    try {
      await this.session?.end();
    } finally {
      this.origin.release();
    }
  }

  /** Replaces the session, and reads the size of its screen. */
  private async renew(left: () => number): Promise<void> {
    const old = this.session;
    this.session = undefined;
    // a device can have only one session
    await old?.end();
    this.lost = undefined;
    const session = await this.origin.newSession(left());
    if (this.closed) {
      await session.end();
      throw new RunError(`${this.id}: the device was closed while its session was being opened`);
    }
    this.session = session;
    const { width, height } = await screenNow(session, this.settings, left);
    this.screen = { width, height };
    this.window = this.settings.coordinates === 'window' ? await windowOf(session, left) : undefined;
  }

  /** Prepares an episode in the current session. */
  private async prepare(level: ResetLevel, episode: Episode, left: () => number, command: () => number): Promise<void> {
    if (level === 'snapshot') await this.loadSnapshot(left, command);
    await this.startApp(command);
    for (const [i, { script, args }] of this.settings.prepare.entries()) {
      const where = `prepare[${i}]`;
      const { fill } = this.origin;
      await this.session!.execute(fill(script, where, episode), fill(args, where, episode), command());
    }
    await this.whenReady(episode, left, command);
  }

  private async startApp(command: () => number): Promise<void> {
    const { app, clear, stop, press } = this.settings;
    const session = this.session!;
    const apps = app === '' ? stop : [...stop, app];
    for (const appId of apps) await session.execute('mobile: terminateApp', { appId }, command());
    if (app === '') return goHome(session, press, command);
    if (clear) await session.execute('mobile: clearApp', { appId: app }, command());
    await session.execute('mobile: activateApp', { appId: app }, command());
  }

  /** The snapshot replaces the driver's own server on the device, so the session rarely survives it. */
  private async loadSnapshot(left: () => number, command: () => number): Promise<void> {
    const { snapshot } = this.settings;
    // execTimeout in milliseconds: loading a snapshot takes longer than the driver's default
    const args = { command: `avd snapshot load ${snapshot}`, execTimeout: command() };
    const refused = (why: string) =>
      new UserError(`${why}; check that device.webdriver.snapshot=${snapshot} is a snapshot of this emulator`);
    let answer: unknown;
    try {
      answer = await this.session!.execute('mobile: execEmuConsoleCommand', args, command());
    } catch (error) {
      if (!(error instanceof CallError) || !/\bKO\b/.test(error.message)) throw error;
      throw refused(error.message);
    }
    // UiAutomator2 8.7.0 answers with null if the console says KO, else with the console's text
    if (answer === null) throw refused(`${args.command}: the emulator's console refused the command`);
    try {
      await screenNow(this.session!, this.settings, command);
    } catch (error) {
      if (error instanceof UserError) throw error;
      await this.renew(left);
    }
  }

  /** Polls `ready` until its answer matches. @throws RunError after `ready_ms` */
  private async whenReady(episode: Episode, left: () => number, command: () => number): Promise<void> {
    const { ready, ready_ms: readyMs } = this.settings;
    const session = this.session!;
    if (ready.script !== '') {
      const until = machineClock.now() + Math.min(readyMs, left());
      for (;;) {
        const answer = await this.ask(session, ready, 'ready', episode, command());
        if (new RegExp(ready.matches, 'u').test(answer)) break;
        if (machineClock.now() + PAUSE_MS > until) {
          throw new RunError(
            `not ready in ${readyMs} ms: ${ready.script}: expected an answer that matches /${ready.matches}/, got ${JSON.stringify(oneLine(answer))}`,
          );
        }
        await pause(PAUSE_MS);
      }
    }
  }

  /** Asks for the task's state. If there is no answer, the state is unknown; that is not a device fault. */
  private async updateState(left: () => number): Promise<void> {
    const { reward } = this.settings;
    if (reward.script === '' || this.state?.over) return;
    try {
      const answer = await this.ask(this.session!, reward, 'reward', this.episode!, left());
      this.state = {
        achieved: new RegExp(reward.success, 'u').test(answer),
        over: reward.done !== '' && new RegExp(reward.done, 'u').test(answer),
      };
    } catch (error) {
      if (error instanceof UserError) throw error;
      this.state = undefined;
      this.note(error);
      // the next screenshot reports what is wrong with the session
      if (this.lost) return;
      process.emitWarning(`${this.id}: the task's reward is unknown: ${oneLine(error)}`, { code: 'CRITIQ_REWARD' });
    }
  }

  /** The answer to a command of the settings, as text; other types as JSON. */
  private async ask(
    session: WebDriverSession,
    { script, args }: Command,
    where: string,
    episode: Episode,
    timeoutMs: number,
  ): Promise<string> {
    const { fill } = this.origin;
    const filledIn = [fill(script, `${where}.script`, episode), fill(args, `${where}.args`, episode)] as const;
    const answer = await session.execute(...filledIn, timeoutMs);
    // a shell's answer ends with a line break, which no pattern expects
    return typeof answer === 'string' ? answer.trim() : JSON.stringify(answer ?? null);
  }

  /** The frame, if it has the screen's size; the orientation may change. @throws RunError */
  private fitting(frame: Frame): Frame {
    const { width, height } = this.screen;
    const as = (w: number, h: number) => frame.width === w && frame.height === h;
    if (as(width, height)) return frame;
    if (as(height, width)) {
      this.screen = { width: frame.width, height: frame.height };
      return frame;
    }
    throw new RunError(`expected a screenshot of ${width}×${height} pixels, got ${frame.width}×${frame.height}`);
  }

  private opened(call: string): WebDriverSession {
    if (this.lost !== undefined) throw new RunError(`${this.id}: ${call}: ${this.lost}`);
    if (this.session && !this.closed) return this.session;
    throw new RunError(`${this.id}: ${call}: the device is closed`);
  }

  /** Puts the device and the call in front of errors, and notes a lost session. */
  private async named<T>(call: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.note(error);
      // the command comes from the settings
      if (error instanceof CallError && (error.failing === 'refused' || error.code === 'invalid argument')) {
        throw new UserError(`${this.id}: ${call}: ${error.message}`);
      }
      if (error instanceof UserError) throw error;
      throw new RunError(`${this.id}: ${call}: ${oneLine(error)}`, { cause: error });
    }
  }

  /** Warns once for each kind of action and failure. */
  private warn({ failing, code, message }: CallError, { type }: Action, applied: Applied): void {
    const kind = `${type} ${failing} ${code}`;
    // without a focused field, typing is the agent's mistake
    if (code === 'no such element' || this.warned.has(kind)) return;
    this.warned.add(kind);
    process.emitWarning(`${this.id}: act: ${type}: ${message} (applied: ${applied})`, { code: 'CRITIQ_ACTION' });
  }

  private note(error: unknown): void {
    if (error instanceof CallError && error.failing === 'lost') this.lost ??= `the session has ended: ${error.message}`;
  }
}

async function windowOf(session: WebDriverSession, left: () => number): Promise<{ width: number; height: number }> {
  const { width, height } = ((await session.read('/window/rect', left)) ?? {}) as Record<string, unknown>;
  if (typeof width === 'number' && typeof height === 'number' && width > 0 && height > 0) return { width, height };
  throw new RunError('the server reports no window size; set device.webdriver.coordinates=screenshot');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => machineClock.after(ms, resolve));
}
