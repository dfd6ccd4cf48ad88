import { oneLine } from '../../../src/devices/pool/guard.js';
import { SCREEN, type Goal } from '../../../src/devices/phone/index.js';
import type { ShellIo } from './adbd.js';
import { SERVER_PACKAGE } from './android-process.js';
import { STATE_FILE, type ServedPhone } from './served-phone.js';

/** The values for `getprop`. */
const PROPERTIES: Readonly<Record<string, string>> = {
  'init.svc.bootanim': 'stopped',
  'persist.sys.locale': 'en-US',
  'persist.sys.timezone': 'UTC',
  'ro.build.version.release': '14',
  'ro.build.version.sdk': '34',
  'ro.product.cpu.abi': 'x86_64',
  'ro.product.manufacturer': 'critiq',
  'ro.product.model': 'critiq phone',
  'ro.sf.lcd_density': '160',
  'sys.boot_completed': '1',
};

/** The keys of `input keyevent` that have an effect on this phone. */
const KEYS: Readonly<Record<string, 'HOME' | 'BACK' | 'ENTER'>> = {
  3: 'HOME',
  KEYCODE_HOME: 'HOME',
  4: 'BACK',
  KEYCODE_BACK: 'BACK',
  66: 'ENTER',
  KEYCODE_ENTER: 'ENTER',
};

/** A key by its Android code. */
export function keyOf(code: string | number): 'HOME' | 'BACK' | 'ENTER' | undefined {
  return KEYS[String(code)];
}

interface Result {
  readonly out?: string | Buffer;
  readonly err?: string;
  readonly code?: number;
  /** stops a command that keeps running; the line ends with it */
  readonly running?: () => void;
}

type Command = (phone: ServedPhone, args: readonly string[], io: ShellIo) => Result | Promise<Result>;

const OK: Result = {};

const COMMANDS: Readonly<Record<string, Command>> = {
  getprop: (_, [name]) => ({ out: `${PROPERTIES[name] ?? ''}\n` }),
  echo: (_, args) => ({ out: `${args.join(' ')}\n` }),
  wm: (_, [what]) => ({
    out: what === 'size' ? `Physical size: ${SCREEN.width}x${SCREEN.height}\n` : 'Physical density: 160\n',
  }),
  settings: (phone, [verb, space, name, ...value]) => {
    const key = `${space} ${name}`;
    if (verb === 'put') phone.settings.set(key, value.join(' '));
    else if (verb === 'delete') phone.settings.delete(key);
    else if (verb === 'get' && key === 'global critiq_achieved') {
      return { out: `${phone.achieved === undefined ? 'null' : Number(phone.achieved)}\n` };
    } else if (verb === 'get') return { out: `${phone.settings.get(key) ?? 'null'}\n` };
    return OK;
  },
  am: (phone, args, io) => {
    const [verb] = args;
    if (verb === 'start' || verb === 'start-activity') return startActivity(phone, args);
    if (verb === 'instrument') {
      const pid = phone.processes.start(SERVER_PACKAGE, io);
      return { running: () => phone.processes.end(pid) };
    }
    if (verb === 'force-stop') {
      phone.processes.endNamed(args[1]);
      return OK;
    }
    return verb === 'broadcast' || verb === 'kill' ? OK : { err: `am: unknown command ${verb}\n`, code: 255 };
  },
  pm: (_, args) => {
    const line = args.join(' ');
    if (line.startsWith('list instrumentation')) {
      return {
        out: `instrumentation:${SERVER_PACKAGE}.test/androidx.test.runner.AndroidJUnitRunner (target=${SERVER_PACKAGE})\n`,
      };
    }
    if (line.startsWith('list packages')) {
      const packages = ['android', 'critiq.phone', SERVER_PACKAGE, `${SERVER_PACKAGE}.test`];
      return { out: packages.map((name) => `package:${name}\n`).join('') };
    }
    return line.startsWith('clear') ? { out: 'Success\n' } : { err: `pm: unknown command ${args[0]}\n`, code: 255 };
  },
  dumpsys: (_, [service]) =>
    service === 'window'
      ? {
          out: '  mCurrentFocus=Window{1 u0 critiq.phone/.Main}\n  mFocusedApp=ActivityRecord{1 u0 critiq.phone/.Main t1}\n  mShowingLockscreen=false mDreamingLockscreen=false\n',
        }
      : { out: `DUMP OF SERVICE ${service}:\n` },
  input: (phone, args) => {
    // the verb may follow a source: input touchscreen swipe ...
    const [verb, ...rest] = /^(touchscreen|keyboard)$/.test(args[0]) ? args.slice(1) : args;
    const [x, y, x2, y2] = rest.map(Number);
    const key = keyOf(rest[0]);
    if (verb === 'tap') phone.take({ do: 'finger', from: { x, y } });
    else if (verb === 'swipe') phone.take({ do: 'finger', from: { x, y }, to: { x: x2, y: y2 } });
    else if (verb === 'text') phone.take({ do: 'type', text: rest.join(' ').replaceAll('%s', ' ') });
    else if (verb === 'keyevent' && key) phone.take({ do: 'press', key });
    else if (verb !== 'keyevent') return { err: `Error: Unknown command: ${verb}\n`, code: 255 };
    return OK;
  },
  screencap: async (phone) => ({ out: await screenPng(phone) }),
  screenrecord: (phone, args, io) => {
    const path = args.at(-1)!;
    // not a real video: an MP4 box, and one with the number of inputs at the start and the end
    const write = (from: number, to: number) => phone.files.set(path, recording(from, to));
    const from = phone.taken.length;
    write(from, from);
    const pid = phone.processes.start('screenrecord', io, () => write(from, phone.taken.length));
    return { running: () => phone.processes.end(pid) };
  },
  ps: (phone, [option]) => ({ out: option === '--help' ? 'usage: ps [-A]\n\n-A\tAll\n' : phone.processes.list }),
  kill: (phone, args) => {
    const pid = Number(args.at(-1));
    return phone.processes.end(pid) ? OK : { err: `kill: ${pid}: No such process\n`, code: 1 };
  },
  pidof: (phone, [name]) => {
    const pids = phone.processes.named(name);
    return { out: `${pids.join(' ')}\n`, code: pids.length > 0 ? 0 : 1 };
  },
  cat: (phone, [path]) => {
    if (path === STATE_FILE) return { out: phone.state };
    const file = phone.files.get(path);
    return file ? { out: file } : { err: `cat: ${path}: No such file or directory\n`, code: 1 };
  },
  '[': (phone, [, path]) => ({ code: phone.files.has(path) || path === STATE_FILE ? 0 : 1 }),
  ls: (phone, args) => {
    const path = args.at(-1)!;
    const found = phone.files.has(path) || path === STATE_FILE;
    return found ? { out: `${path}\n` } : { err: `ls: ${path}: No such file or directory\n`, code: 1 };
  },
  rm: (phone, args) => {
    for (const path of args) phone.files.delete(path);
    return OK;
  },
};

/**
 * Runs a shell line: commands with quoted arguments, joined by `;`, `&&` or `||`. Unknown commands are recorded in `unknown`
 * and fail with 127, as in Android's shell.
 */
export function runShell(phone: ServedPhone, line: string, io: ShellIo): (() => void) | void {
  let stop: (() => void) | undefined;
  const run = async (): Promise<void> => {
    let code = 0;
    for (const { words, after } of commandsOf(line)) {
      if (after === '&&' ? code !== 0 : after === '||' && code === 0) continue;
      const command = Object.hasOwn(COMMANDS, words[0]) ? COMMANDS[words[0]] : undefined;
      if (!command) {
        phone.unknown.push(words.join(' '));
        io.err(`/system/bin/sh: ${words[0]}: inaccessible or not found\n`);
        code = 127;
        continue;
      }
      const result = await command(phone, words.slice(1), io);
      if (result.running) {
        stop = result.running;
        return;
      }
      if (result.out) io.out(result.out);
      if (result.err) io.err(result.err);
      code = result.code ?? 0;
    }
    io.exit(code);
  };
  run().catch((error: unknown) => {
    io.err(`${oneLine(error)}\n`);
    io.exit(255);
  });
  return () => stop?.();
}

/** `am start -n critiq.phone/.Main --es goal '{"kind": ...}' --es seed 7 --es task NAME` starts an episode. */
function startActivity(phone: ServedPhone, args: readonly string[]): Result {
  const component = args[args.indexOf('-n') + 1];
  if (component !== 'critiq.phone/.Main') {
    return { err: `Error: Activity class {${component}} does not exist.\n`, code: 1 };
  }
  const extras = new Map<string, string>();
  args.forEach((word, i) => {
    if (/^--e[sil]$/.test(word)) extras.set(args[i + 1], args[i + 2]);
  });
  const out = `Starting: Intent { cmp=${component}${extras.size > 0 ? ' (has extras)' : ''} }\n`;
  const goal = extras.get('goal');
  if (goal === undefined) return { out };
  const seed = Number(extras.get('seed'));
  if (!Number.isSafeInteger(seed)) return { err: `Error: seed: expected an integer\n`, code: 1 };
  phone.start(JSON.parse(goal) as Goal, seed, extras.get('task'));
  return { out };
}

/** The screen as a PNG file. */
export async function screenPng(phone: ServedPhone): Promise<Buffer> {
  const { encodePng } = await import('../../../src/data/formats/png.js');
  return encodePng(phone.phone.frame());
}

function recording(from: number, to: number): Buffer {
  const box = (type: string, data: string) => {
    const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(type + data, 'latin1')]);
    bytes.writeUInt32BE(bytes.length, 0);
    return bytes;
  };
  return Buffer.concat([box('ftyp', 'isom\0\0\0\0isom'), box('free', `inputs ${from} to ${to}`)]);
}

interface Joined {
  readonly words: readonly string[];
  /** the operator before it */
  readonly after: ';' | '&&' | '||';
}

/** Splits a line into commands and words by the quoting rules of POSIX shells; nothing is expanded. */
export function commandsOf(line: string): Joined[] {
  const commands: { words: string[]; after: Joined['after'] }[] = [{ words: [], after: ';' }];
  let word: string | undefined;
  const finish = (): void => {
    if (word !== undefined) commands.at(-1)!.words.push(word);
    word = undefined;
  };
  // a quoted piece, an escaped character, an operator, space, or anything else
  const pieces = /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|(;|&&|\|\|)|(\s+)|([^'"\\\s;&|]+|[&|])/g;
  for (const [, single, double, escaped, joint, space, plain] of line.matchAll(pieces)) {
    if (joint) {
      finish();
      commands.push({ words: [], after: joint as Joined['after'] });
    } else if (space) {
      finish();
    } else {
      word = (word ?? '') + (single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain);
    }
  }
  finish();
  return commands.filter(({ words }) => words.length > 0);
}
