/** How a fenced block of the docs is tested; its language and the `<!-- test: ... -->` comments before it decide. */
import { spawnSync } from 'node:child_process';
import { findChromium } from '../../../src/devices/browser/chromium.js';
import type { Fence } from './markdown.js';

/** Something that a block needs and a test machine may lack. */
interface Need {
  readonly reason: string;
  /** whether this machine has it; then the block is run */
  readonly here?: () => boolean;
}

export const NEEDS: Readonly<Record<string, Need>> = {
  gpu: { reason: 'an NVIDIA GPU with CUDA, and the CUDA provider of ONNX Runtime' },
  vllm: { reason: 'a server or a trainer of large models: vLLM, LLaMA-Factory' },
  weights: { reason: 'the weights of a published model, which are gigabytes' },
  android: { reason: 'an Android emulator or phone, with Appium or adb' },
  account: { reason: 'an account: a key of a paid service, a device farm' },
  python: { reason: 'Python with packages beyond its standard library' },
  cluster: { reason: 'a scheduler: Slurm, cron, systemd' },
  network: { reason: 'the network, also the npm registry' },
  root: { reason: 'permission to install system packages' },
  hours: { reason: 'more than minutes with any settings: the tests themselves, benchmarks, studies' },
  browser: { reason: 'a Chromium', here: () => attempt(() => findChromium('')) },
};

/** The words of a mark and their meanings. */
const WORDS: Readonly<Record<string, string>> = {
  needs: 'not run here, only parsed; a comma-separated list of what it needs',
  for: 'with needs: applies only to commands that start with this text; the others are run',
  output: 'shows output, a file or a format, not commands or settings',
  sequence: 'runs in one folder and one shell with the blocks of the same name on the page, in order',
  file: 'later commands on the page find it in a file of this name',
  exit: 'its last command ends with this exit code instead of 0',
  serves: 'each command serves a page until Ctrl-C: the test starts it, loads its page and stops it',
  fresh: 'starts with an empty data folder, without a finished run',
  given: 'starts with these files of test/rigs/docs/given.ts in its folder; a comma-separated list',
  server: 'http://gpu-box:8000 is a stand-in of this kind: judge, rater, served, vllm',
  as: 'a yaml or json block that is not a settings file: task, template, yaml',
  tiny: "the sizes of the page's own settings files are replaced by tiny ones, too; its value: further settings above them",
  prelude: 'the lines of the comment after the first are put before the TypeScript of the block',
};

/** The help in the message about a block that cannot be run. */
export const HOW_TO_MARK = `
How blocks of the docs are tested (CONTRIBUTING.md has more): a \`\`\`sh or \`\`\`bash block, and one without a language, is run in a copy of
the clone with tiny settings and a finished run in data/pocket and data/exp7; every command must end with exit code 0. To change this,
put a comment on the line before the fence:
${Object.entries(WORDS)
  .map(([word, meaning]) => `  <!-- test: ${example(word)} -->`.padEnd(56) + meaning)
  .join('\n')}
Words for needs=:
${Object.entries(NEEDS)
  .map(([name, { reason }]) => `  ${name.padEnd(9)} ${reason}`)
  .join('\n')}`;

function example(word: string): string {
  const values: Record<string, string> = {
    needs: 'needs=gpu',
    for: 'needs=hours for="make test"',
    sequence: 'sequence=NAME',
    file: 'file=phones.yaml',
    exit: 'exit=2',
    given: 'given=labelled-set',
    server: 'server=judge',
    as: 'as=task',
    tiny: 'tiny="demos.episodes=9"',
  };
  return values[word] ?? word;
}

/** The meaning of a fence's marks. */
export interface Plan {
  /** what the whole fence needs and this machine lacks */
  readonly lacks: readonly string[];
  /** the same for commands that start with `prefix` */
  readonly lacksFor: readonly { readonly prefix: string; readonly names: readonly string[] }[];
  readonly output: boolean;
  readonly sequence?: string;
  readonly file?: string;
  readonly exit: number;
  readonly serves: boolean;
  readonly fresh: boolean;
  readonly given: readonly string[];
  readonly server?: string;
  readonly as?: string;
  /** settings above the page's own files, below those of the command line; undefined: the page's own files win */
  readonly tiny?: readonly string[];
  readonly prelude: string;
}

/** Reads the marks of a fence. @throws Error with the mistake and its line */
export function planOf(fence: Fence, lacking: (need: string) => boolean = isLacking): Plan {
  const lacks: string[] = [];
  const lacksFor: { prefix: string; names: string[] }[] = [];
  const rest = new Map<string, string>();
  let prelude = '';
  for (const { line, words, body } of fence.marks) {
    const where = `${fence.page}:${line}`;
    const own = new Map(words);
    for (const [word, value] of own) {
      if (!Object.hasOwn(WORDS, word)) throw new Error(`${where}: unknown mark ${word}\n${HOW_TO_MARK}`);
      const alone = ['output', 'serves', 'fresh', 'prelude'].includes(word);
      if (word !== 'tiny' && alone !== (value === ''))
        throw new Error(`${where}: ${word}: expected ${alone ? 'no value' : 'a value'}, got ${JSON.stringify(value)}`);
      if (word !== 'needs' && word !== 'for') rest.set(word, value);
    }
    if (own.has('for') && !own.has('needs')) throw new Error(`${where}: for= needs a needs= in the same comment`);
    if (own.has('prelude')) prelude = body;
    const needs = own.get('needs')?.split(',') ?? [];
    for (const name of needs) {
      if (!Object.hasOwn(NEEDS, name)) throw new Error(`${where}: unknown needs=${name}\n${HOW_TO_MARK}`);
    }
    const names = needs.filter(lacking);
    if (names.length === 0) continue;
    if (own.has('for')) lacksFor.push({ prefix: own.get('for')!, names });
    else lacks.push(...names);
  }
  const exit = Number(rest.get('exit') ?? 0);
  if (!Number.isInteger(exit)) throw new Error(`${fence.page}:${fence.line}: exit=: expected a number`);
  return {
    lacks,
    lacksFor,
    output: rest.has('output'),
    sequence: rest.get('sequence'),
    file: rest.get('file'),
    exit,
    serves: rest.has('serves'),
    fresh: rest.has('fresh'),
    given: rest.get('given')?.split(',') ?? [],
    server: rest.get('server'),
    as: rest.get('as'),
    tiny: rest
      .get('tiny')
      ?.split(' ')
      .filter((setting) => setting !== ''),
    prelude,
  };
}

const known = new Map<string, boolean>();

function isLacking(need: string): boolean {
  if (!known.has(need)) known.set(need, !(NEEDS[need].here?.() ?? false));
  return known.get(need)!;
}

function attempt(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch {
    return false;
  }
}

/** The name of this machine's Python 3, or undefined. */
export function python(): string | undefined {
  return [process.env.PYTHON ?? '', 'python3', 'python'].find(
    (name) => name !== '' && spawnSync(name, ['-c', 'import sys; sys.exit(sys.version_info < (3,))']).status === 0,
  );
}

const SHELLS = ['sh', 'bash', 'shell', 'console'];

/** The kind of a fence, which decides its test: shell commands, output, or a language. */
export function kindOf({ language }: Fence, { output }: Plan): string {
  if (output || ['text', 'txt'].includes(language)) return 'output';
  return language === '' || SHELLS.includes(language) ? 'shell' : language;
}
