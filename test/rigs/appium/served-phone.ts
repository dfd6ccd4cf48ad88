import { goalOf, Phone, type Goal } from '../../../src/devices/phone/index.js';
import type { Action } from '../../../src/data/action.js';
import type { Task } from '../../../src/data/task.js';
import type { AdbDevice, ShellIo } from './adbd.js';
import { Processes } from './android-process.js';
import { runShell } from './android-shell.js';

interface Pixel {
  readonly x: number;
  readonly y: number;
}

/** What reached the phone, in the words of a driver. */
export type Input =
  | { readonly do: 'finger'; readonly from: Pixel; readonly to?: Pixel }
  | { readonly do: 'type'; readonly text: string }
  | { readonly do: 'press'; readonly key: 'BACK' | 'HOME' | 'ENTER' };

/** An input that the phone has taken; its episode counts from 1, 0 is before the first. */
export interface Taken {
  readonly episode: number;
  readonly input: Input;
}

/** What goes wrong at the device, where a test says so. */
export type Fault = 'fail' | 'hang' | 'die';

/** The state that an emulator is put back to: the episode and what was done in it. */
interface Snapshot {
  readonly episode: { readonly task: Task; readonly seed: number } | undefined;
  readonly inputs: readonly Input[];
}

/** What a phone shows on which no episode has begun: a goal that nobody asks for. */
const IDLE: Task = { id: 'idle', text: '', family: 'idle', goal: { kind: 'open', app: 'camera' } satisfies Goal };
const IDLE_SEED = 0;

/** The file in which the app says how its task stands; `cat` reads it. */
export const STATE_FILE = '/sdcard/Android/data/critiq.phone/files/state.json';

/**
 * The embedded phone as an Android device: its shell, its files and what has been done to it. An episode begins with
 * `am start -n critiq.phone/.Main --es goal JSON --es seed N`; `cat STATE_FILE` or `settings get global critiq_achieved`
 * say whether its goal is achieved.
 */
export class ServedPhone implements AdbDevice {
  readonly product = { name: 'critiq', model: 'critiq_phone', device: 'critiq' };
  readonly files = new Map<string, Buffer>();
  readonly settings = new Map<string, string>();
  readonly processes = new Processes();
  readonly phone: Phone;
  /** all that was ever done to it */
  readonly taken: Taken[] = [];
  /** commands of the shell that it did not know */
  readonly unknown: string[] = [];
  /** how many episodes have begun */
  episodes = 0;
  /** asked before each input and each screenshot; what it says happens, `die` after an input was taken */
  fault: (what: 'input' | 'screenshot') => Fault | undefined = () => undefined;
  /** ends the connections with the device, and takes no more until it is revived; set by who serves it */
  die: () => void = () => undefined;
  /** ends the connections with the device, as putting back a snapshot does */
  disconnect: () => void = () => undefined;
  /** port of this machine at which its UiAutomator2 server is, while it runs */
  automationPort: number | undefined;
  private episode: Snapshot['episode'];
  private inputs: Input[] = [];
  private readonly snapshots = new Map<string, Snapshot>([['default_boot', { episode: undefined, inputs: [] }]]);

  constructor(readonly serial: string) {
    this.phone = new Phone(serial);
    this.begin(undefined);
  }

  /** Begin an episode. @throws UserError for a goal that the phone does not know */
  start(goal: Goal, seed: number, id = 'task'): void {
    const task = { id, text: '', family: 'wire', goal };
    goalOf(task);
    this.episodes++;
    this.begin({ task, seed });
  }

  /** Whether the goal is achieved; undefined where no episode has begun. */
  get achieved(): boolean | undefined {
    return this.episode && this.phone.achieved();
  }

  /** What the app writes down of its task. */
  get state(): string {
    const { achieved, episodes, inputs } = this;
    return `${JSON.stringify({ episode: episodes, seed: this.episode?.seed ?? null, inputs: inputs.length, achieved: achieved ?? null })}\n`;
  }

  take(input: Input): void {
    this.taken.push({ episode: this.episodes, input });
    this.inputs.push(input);
    this.apply(input);
  }

  shell(line: string, io: ShellIo): (() => void) | void {
    return runShell(this, line, io);
  }

  /** The UiAutomator2 server is there while its instrumentation runs, or is about to. */
  async port(number: number): Promise<number | undefined> {
    if (number !== 6790) return undefined;
    // the driver looks for it right after it has asked for it, and then only once a second
    for (let i = 0; i < 20 && !this.processes.instrumented; i++) await new Promise((next) => setTimeout(next, 10));
    return this.processes.instrumented ? this.automationPort : undefined;
  }

  saveSnapshot(name: string): void {
    this.snapshots.set(name, { episode: this.episode, inputs: [...this.inputs] });
  }

  /** Whether there was one of this name. The connections are lost, as on an emulator. */
  loadSnapshot(name: string): boolean {
    const snapshot = this.snapshots.get(name);
    if (!snapshot) return false;
    this.begin(snapshot.episode);
    for (const input of snapshot.inputs) this.apply(input);
    this.inputs = [...snapshot.inputs];
    this.processes.endAll();
    this.disconnect();
    return true;
  }

  private begin(episode: Snapshot['episode']): void {
    this.episode = episode;
    this.inputs = [];
    this.phone.begin(episode?.task ?? IDLE, episode?.seed ?? IDLE_SEED);
  }

  private apply(input: Input): void {
    if (input.do === 'finger') this.phone.finger(input.from, input.to);
    else if (input.do === 'type') this.phone.apply({ type: 'TYPE', text: input.text });
    else this.phone.apply({ type: `PRESS_${input.key}` } as Action);
  }
}
