/** Checks of the blocks that are not shell commands, by language. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { parse } from 'yaml';
import { registry } from '../../../pipelines/index.js';
import { readTemplate } from '../../../src/agents/served/template.js';
import { readTaskList } from '../../../src/data/task-list.js';
import { packageRoot } from '../../../src/package.js';
import { loadRegistry } from '../../../src/runner/registry.js';
import { loadSettings } from '../../../src/settings/settings.js';
import type { Fence } from './markdown.js';
import type { Plan } from './marks.js';

/** Checks a block's text, which is also in `file`. @throws Error if it is wrong */
type Check = (file: string, text: string) => unknown;

/** The values of `as=` for YAML and JSON blocks. */
const AS: Readonly<Record<string, { extension: string; check: Check }>> = {
  settings: { extension: 'yaml', check: checkSettings },
  template: { extension: 'yaml', check: (file) => readTemplate(file) },
  yaml: { extension: 'yaml', check: (_, text) => parse(text) as unknown },
  task: { extension: 'jsonl', check: (file) => readTaskList(file) },
};

/** Languages of which only the marks are checked: they need a program that may be missing, or are not programming languages. */
const UNCHECKED = ['sql', 'diff', 'html', 'css', 'ini', 'toml', 'makefile', 'dockerfile', 'mermaid'];

/** The mistake in a block, or undefined. `typeMistakes` checks TypeScript, and the test of the commands checks shell blocks. */
export async function mistakeInBlock(
  { language, text }: Fence,
  { as }: Plan,
  python: string | undefined,
): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'critiq-block-'));
  const write = (extension: string): string => {
    const file = join(folder, `block.${extension}`);
    writeFileSync(file, `${text}\n`);
    return file;
  };
  const run = (program: string, ...args: string[]): string | undefined => {
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: folder });
    return status === 0 ? undefined : stderr.trim();
  };
  try {
    if (as !== undefined && !Object.hasOwn(AS, as)) return `as=${as}: expected one of ${Object.keys(AS).join(', ')}`;
    const check = as ?? { yaml: 'settings', yml: 'settings' }[language];
    if (check !== undefined) await AS[check].check(write(AS[check].extension), text);
    else if (language === 'json' || language === 'jsonl') checkJson(text);
    else if (language === 'js' || language === 'javascript') return run(process.execPath, '--check', write('mjs'));
    else if (language === 'python' || language === 'py')
      return python === undefined ? undefined : run(python, '-m', 'py_compile', write('py'));
    else if (!['ts', 'typescript'].includes(language) && !UNCHECKED.includes(language))
      return `no test knows the language ${language}; label output and formats \`\`\`text, or add it to test/rigs/docs/languages.ts`;
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Accepts one JSON value, or one on each line. */
function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length < 2 || !lines.every((line) => line.startsWith('{') && line.endsWith('}'))) throw error;
    for (const line of lines) JSON.parse(line);
  }
}

/** Checks a settings file as in the clone; files that it extends are checked only if the clone has them. */
async function checkSettings(_: string, text: string): Promise<void> {
  const { schema, aliases } = await loadRegistry(registry);
  const { extends: parents, plugins: _plugins, ...own } = (parse(text) ?? {}) as Record<string, unknown>;
  const folder = mkdtempSync(join(tmpdir(), 'critiq-settings-'));
  try {
    const named = [parents ?? []].flat().map(String);
    const inside = named.flatMap((name) => {
      const places = [join(packageRoot(), name), join(registry.library!, `${name}.yaml`)];
      return places.find((place) => existsSync(place)) ?? [];
    });
    const file = join(folder, 'settings.yaml');
    writeFileSync(file, JSON.stringify({ extends: inside, ...own }));
    loadSettings(schema, { file, aliases });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** TypeScript mistakes by block; each block is a module in the package's root, after its prelude. */
export function typeMistakes(blocks: readonly { fence: Fence; plan: Plan }[]): Map<Fence, string[]> {
  const root = packageRoot();
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root);
  Object.assign(options, { noEmit: true, incremental: false, tsBuildInfoFile: undefined, composite: false });
  Object.assign(options, { noUnusedLocals: false, noUnusedParameters: false });
  const sources = new Map(
    blocks.map(({ fence, plan }, i) => [
      join(root, `block-${i}.ts`),
      // always a module, even without imports, so that it may use await and shares no names with others
      { fence, before: plan.prelude === '' ? 0 : plan.prelude.split('\n').length, text: source(fence, plan) },
    ]),
  );
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name)?.text ?? readFile(name);
  host.getSourceFile = (name, version, ...rest) => {
    const own = sources.get(name);
    return own ? ts.createSourceFile(name, own.text, version) : getSourceFile(name, version, ...rest);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  const mistakes = new Map<Fence, string[]>();
  for (const [name, { fence, before }] of sources) {
    const file = program.getSourceFile(name)!;
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    const lines = found.map(({ start = 0, messageText }) => {
      const line = file.getLineAndCharacterOfPosition(start).line - before;
      const message = ts.flattenDiagnosticMessageText(messageText, ' ');
      return `${fence.page}:${fence.line + 1 + line}: ${message}`;
    });
    if (lines.length > 0) mistakes.set(fence, lines);
  }
  return mistakes;
}

/** The source of a TypeScript block's module. */
function source({ text }: Fence, { prelude }: Plan): string {
  return `${prelude === '' ? '' : `${prelude}\n`}${text}\nexport {};\n`;
}

/** The JavaScript of a block that can run by itself; undefined for others. */
export function runnable(fence: Fence, plan: Plan): string | undefined {
  if (plan.lacks.length > 0 || /\bdeclare\b/.test(plan.prelude)) return undefined;
  const { outputText } = ts.transpileModule(source(fence, plan), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
  });
  return outputText;
}
