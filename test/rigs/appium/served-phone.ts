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

/** An input that reached the phone. */
export type Input =
  | { readonly do: 'finger'; readonly from: Pixel; readonly to?: Pixel }
  | { readonly do: 'type'; readonly text: string }
  | { readonly do: 'press'; readonly key: 'BACK' | 'HOME' | 'ENTER' };

/** An input with its episode, counted from 1; 0 is before the first episode. */
export interface Taken {
  readonly episode: number;
  readonly input: Input;
}

/** A fault that a test injects at the device. */
export type Fault = 'fail' | 'hang' | 'die';

/** A state to restore: the episode and its inputs. */
interface Snapshot {
  readonly episode: { readonly task: Task; readonly seed: number } | undefined;
  readonly inputs: readonly Input[];
}

/** The task of a phone before its first episode; nobody asks for its goal. */
const IDLE: Task = { id: 'idle', text: '', family: 'idle', goal: { kind: 'open', app: 'camera' } satisfies Goal };
const IDLE_SEED = 0;

/** The file with the state of the app's task; `cat` reads it. */
export const STATE_FILE = '/sdcard/Android/data/critiq.phone/files/state.json';

/**
 * The embedded phone as an Android device with a shell, files and a record of its inputs. `am start -n critiq.phone/.Main
 * --es goal JSON --es seed N` starts an episode; `cat STATE_FILE` or `settings get global critiq_achieved` tell whether its
 * goal is achieved.
 */
export class ServedPhone implements AdbDevice {
  readonly product = { name: 'critiq', model: 'critiq_phone', device: 'critiq' };
  readonly files = new Map<string, Buffer>();
  readonly settings = new Map<string, string>();
  readonly processes = new Processes();
  readonly phone: Phone;
  /** all inputs so far */
  readonly taken: Taken[] = [];
  /** shell commands that it did not know */
  readonly unknown: string[] = [];
  /** number of episodes started */
  episodes = 0;
  /** chooses the fault of each input and screenshot; `die` happens after the input */
  fault: (what: 'input' | 'screenshot') => Fault | undefined = () => undefined;
  /** drops the device's connections, and accepts none until it is revived; set by the rig */
  die: () => void = () => undefined;
  /** drops the device's connections, as loading a snapshot does */
  disconnect: () => void = () => undefined;
  /** local port of its UiAutomator2 server, while that runs */
  automationPort: number | undefined;
  private episode: Snapshot['episode'];
  private inputs: Input[] = [];
  private readonly snapshots = new Map<string, Snapshot>([['default_boot', { episode: undefined, inputs: [] }]]);

  constructor(readonly serial: string) {
    this.phone = new Phone(serial);
    this.begin(undefined);
  }

  /** Starts an episode. @throws UserError for an unknown goal */
  start(goal: Goal, seed: number, id = 'task'): void {
    const task = { id, text: '', family: 'wire', goal };
    goalOf(task);
    this.episodes++;
    this.begin({ task, seed });
  }

  /** Whether the goal is achieved; undefined before the first episode. */
  get achieved(): boolean | undefined {
    return this.episode && this.phone.achieved();
  }

  /** The content of STATE_FILE. */
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

  /** The port of the UiAutomator2 server, which exists while its instrumentation runs or starts. */
  async port(number: number): Promise<number | undefined> {
    if (number !== 6790) return undefined;
    // the driver tries right after starting it, and then only once a second
    for (let i = 0; i < 20 && !this.processes.instrumented; i++) await new Promise((next) => setTimeout(next, 10));
    return this.processes.instrumented ? this.automationPort : undefined;
  }

  saveSnapshot(name: string): void {
    this.snapshots.set(name, { episode: this.episode, inputs: [...this.inputs] });
  }

  /** Loads a snapshot, which drops the connections as on an emulator. @returns whether the snapshot exists */
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
