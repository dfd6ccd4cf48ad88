/** What of a page is run: shell blocks, and programs of other languages that can run by themselves. */
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { runnable } from './languages.js';
import type { Fence, Page } from './markdown.js';
import { kindOf, planOf, python, type Plan } from './marks.js';

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
  /** a program in another language, which its command runs */
  readonly program?: { readonly file: string; readonly text: string };
}

/** The steps of one shell. */
export interface Unit {
  readonly name: string;
  readonly page: string;
  readonly steps: readonly Step[];
}

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
  const snippets = pythonOf(page);
  if (snippets) units.set('Python', [snippets]);
  return [...units].map(([name, steps]) => ({ name, page: page.path, steps }));
}

function stepOf(fence: Fence, plan: Plan): Step {
  const kind = kindOf(fence, plan);
  if (kind === 'shell') return { fence, plan, commands: commandsOf(fence, plan) };
  const text = kind === 'ts' || kind === 'typescript' ? runnable(fence, plan) : undefined;
  if (text === undefined) return { fence, plan, commands: [] };
  const file = `block-${fence.line}.mjs`;
  return { fence, plan, program: { file, text }, commands: [{ line: fence.line, text: `node ${file}`, lacks: [] }] };
}

/**
 * The Python blocks of a page as one program, as a notebook would run them. It runs where Python has the modules. Its lines
 * have the numbers that they have on the page.
 */
function pythonOf(page: Page): Step | undefined {
  const blocks = page.fences.filter((fence) => {
    const plan = planOf(fence);
    const isPython = ['python', 'py'].includes(kindOf(fence, plan)) && plan.file === undefined;
    return isPython && plan.lacks.every((need) => need === 'python');
  });
  if (blocks.length === 0) return undefined;
  const lines: string[] = [];
  for (const { line, text } of blocks) {
    while (lines.length < line) lines.push('');
    lines.push(...text.split('\n'));
  }
  const text = lines.join('\n');
  const modules = [...text.matchAll(/^(?:import|from) (\w+)/gm)].map(([, name]) => name);
  const program = python();
  const found =
    program !== undefined && spawnSync(program, ['-c', `import ${modules.join(', ') || 'sys'}`]).status === 0;
  const file = `${basename(page.path, '.md')}.py`;
  const command = { line: blocks[0].line, text: `${program} ${file}`, lacks: found ? [] : ['python'] };
  return { fence: blocks[0], plan: planOf(blocks[0]), program: { file, text: `${text}\n` }, commands: [command] };
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
