/** Runs the shell blocks of a page: one shell for each block, or for all blocks of a sequence. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DocsEnvironment } from './critiq.js';
import type { DocFolder } from './folder.js';
import type { Fence, Page } from './markdown.js';
import { runnable } from './languages.js';
import { kindOf, planOf, type Plan } from './marks.js';

/** A command of a block, with all its lines. */
export interface ShellCommand {
  /** its first line on the page */
  readonly line: number;
  readonly text: string;
  /** what it needs and this machine lacks; if there is anything, it is not run */
  readonly lacks: readonly string[];
}

/** A block to run, or a file that the page shows. */
interface Step {
  readonly fence: Fence;
  readonly plan: Plan;
  readonly commands: readonly ShellCommand[];
  /** the JavaScript of a TypeScript block that can run by itself */
  readonly module?: string;
}

/** The steps of one shell. */
export interface Unit {
  readonly name: string;
  readonly page: string;
  readonly steps: readonly Step[];
}

const SERVE = fileURLToPath(new URL('./serve.js', import.meta.url));
const LONGEST_MS = 180_000;

/** The units of a page in order, including those that do not run here. */
export function unitsOf(page: Page): Unit[] {
  const units = new Map<string, Step[]>();
  let files: Step[] = [];
  for (const fence of page.fences) {
    const plan = planOf(fence);
    const step = stepOf(fence, plan);
    if (plan.file !== undefined) {
      files = [...files, step];
      continue;
    }
    if (step.commands.length === 0) continue;
    const name = plan.sequence ?? `line ${fence.line}`;
    const steps = units.get(name) ?? [];
    units.set(name, [...steps, ...files.filter((file) => !steps.includes(file)), step]);
  }
  return [...units].map(([name, steps]) => ({ name, page: page.path, steps }));
}

function stepOf(fence: Fence, plan: Plan): Step {
  const kind = kindOf(fence, plan);
  if (kind === 'shell') return { fence, plan, commands: commandsOf(fence, plan) };
  const module = kind === 'ts' || kind === 'typescript' ? runnable(fence, plan) : undefined;
  if (module === undefined) return { fence, plan, commands: [] };
  return { fence, plan, module, commands: [{ line: fence.line, text: `node block-${fence.line}.mjs`, lacks: [] }] };
}

/** The commands of a shell block, which may span several lines. */
export function commandsOf(fence: Fence, plan: Plan): ShellCommand[] {
  const commands: ShellCommand[] = [];
  let pending: string[] = [];
  const lines = fence.text.split('\n');
  for (const [i, line] of lines.entries()) {
    pending.push(line);
    const text = pending.join('\n');
    if (i < lines.length - 1 && !isWhole(text)) continue;
    const first = i + 1 - pending.length;
    pending = [];
    const bare = text.trim();
    if (bare === '' || /^(#.*\n?)+$/.test(bare)) continue;
    const lacks = [
      ...plan.lacks,
      ...plan.lacksFor.filter(({ prefix }) => bare.startsWith(prefix)).flatMap(({ names }) => names),
    ];
    commands.push({ line: fence.line + 1 + first, text, lacks });
  }
  return commands;
}

/** Whether a command is complete, so that bash needs no further line. */
function isWhole(text: string): boolean {
  if (/\\\s*$/.test(text)) return false;
  if (!/["'`(){}<&|]|\b(do|then|case|in)\b/.test(text)) return true;
  const { status, stderr } = spawnSync('bash', ['-n'], { input: `${text}\n`, encoding: 'utf8' });
  return status === 0 && stderr === '';
}

export interface Outcome {
  /** what failed and where; undefined: nothing */
  readonly failure?: string;
}

/**
 * Runs a unit in a folder.
 * @param environment for the folder's `critiq`
 */
export async function runUnit(
  unit: Unit,
  folder: DocFolder,
  environment: Omit<DocsEnvironment, 'files'>,
): Promise<Outcome> {
  const place = join(folder.home, '..', 'unit');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  const script: string[] = ['set -e -o pipefail'];
  const lines: number[] = [];
  const files: string[] = [];
  for (const { fence, plan, commands, module } of unit.steps) {
    if (module !== undefined) writeFileSync(join(folder.clone, `block-${fence.line}.mjs`), module);
    if (plan.file !== undefined) {
      const content = `${fence.text}\n`;
      const copy = join(place, `file-${files.length}`);
      writeFileSync(copy, content);
      files.push(content);
      script.push(`mkdir -p "$(dirname '${plan.file}')" && cp '${copy}' '${plan.file}'`);
      continue;
    }
    const run = commands.filter(({ lacks }) => lacks.length === 0);
    for (const [i, { line, text }] of run.entries()) {
      script.push(`echo ${lines.length} >&3`);
      lines.push(line);
      if (plan.serves) {
        const file = join(place, `serves-${lines.length}.sh`);
        writeFileSync(file, text);
        script.push(`'${process.execPath}' '${SERVE}' '${file}'`);
      } else if (plan.exit !== 0 && i === run.length - 1) {
        script.push('set +e', text, 'ended=$?', 'set -e');
        script.push(`[ $ended -eq ${plan.exit} ] || { echo "ended with $ended, expected ${plan.exit}"; exit 99; }`);
      } else {
        script.push(text);
      }
    }
  }
  if (lines.length === 0) return {};
  const file = join(place, 'script.sh');
  writeFileSync(file, `${script.join('\n')}\n`);
  const docs: DocsEnvironment = { ...environment, files };
  const child = spawn('bash', [file], {
    cwd: folder.clone,
    env: { ...folder.environment, CRITIQ_DOCS: JSON.stringify(docs) },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let [said, at] = ['', 0];
  const read = (piece: Buffer): void => {
    said = (said + String(piece)).slice(-20_000);
  };
  child.stdout!.on('data', read);
  child.stderr!.on('data', read);
  child.stdio[3]!.on('data', (piece: Buffer) => {
    at = Number(String(piece).trim().split('\n').at(-1));
    said = '';
  });
  let late = false;
  const end = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // the whole group has already ended
    }
  };
  const timer = setTimeout(() => {
    late = true;
    end();
  }, LONGEST_MS);
  // not `close`: background processes of the block keep the pipes open
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  clearTimeout(timer);
  end();
  if (code === 0) return {};
  const line = lines[at];
  const source = readFileSync(file, 'utf8').split(`echo ${at} >&3\n`)[1].split('\necho ')[0].trim();
  const why = late ? `took more than ${LONGEST_MS / 1000} s` : `ended with exit code ${code}`;
  return { failure: `${unit.page}:${line}: ${why}:\n  ${source}\n${said.trim().replace(/^/gm, '  | ')}` };
}
