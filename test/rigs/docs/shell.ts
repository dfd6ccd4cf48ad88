/** Runs the shell blocks of a page: one shell for each block, or for all blocks of a sequence. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DocsEnvironment } from './critiq.js';
import type { DocFolder } from './folder.js';
import type { Unit } from './units.js';

const SERVE = fileURLToPath(new URL('./serve.js', import.meta.url));
const LONGEST_MS = 180_000;

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
  environment: Omit<DocsEnvironment, 'files' | 'tiny'>,
): Promise<Outcome> {
  const place = join(folder.home, '..', 'unit');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  const script: string[] = ['set -e -o pipefail'];
  const lines: number[] = [];
  const files: string[] = [];
  for (const { fence, plan, commands, program } of unit.steps) {
    if (program !== undefined) writeFileSync(join(folder.clone, program.file), program.text);
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
  const tiny = unit.steps.flatMap(({ plan }) => plan.tiny ?? []);
  const isTiny = unit.steps.some(({ plan }) => plan.tiny !== undefined);
  const docs: DocsEnvironment = { ...environment, files, ...(isTiny ? { tiny } : {}) };
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
