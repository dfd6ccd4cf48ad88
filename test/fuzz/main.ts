/**
 * `make fuzz`: damaged inputs of every kind, through the readers of critiq. Each must give a result or one clean line, within
 * 5 s of CPU and 1 GiB; stored files that a checksum covers must never be used.
 *
 *   make fuzz ARGS="--seed 7 --inputs 20000 --only png,arrow"
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findingsIn, kindOfFinding } from './findings.js';
import { fuzz, isFault, replay, type Finding, type Tally } from './fuzz.js';
import type { Kind } from './kind.js';
import { GROUPS, KINDS } from './kinds/index.js';

const USAGE = `make fuzz ARGS="OPTIONS"
  --inputs N      inputs in all (default 20000)
  --nightly       200000 inputs
  --seed N        other inputs (default 1)
  --only A,B      kinds or groups (--list shows them)
  --jobs N        processes at the same time (default: the processors)
  --save FOLDER   where inputs that break a reader are saved (default .fuzz)
  --replay PATH   judge a saved input, or those of a folder, again
  --list          kinds by group`;

function stop(message: string): never {
  console.error(`fuzz: ${message}`);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      options: {
        inputs: { type: 'string' },
        nightly: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        only: { type: 'string' },
        jobs: { type: 'string', default: String(availableParallelism()) },
        save: { type: 'string', default: '.fuzz' },
        replay: { type: 'string' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return stop(`${(error as Error).message}\n${USAGE}`);
  }
}

function whole(name: string, text: string, least: number): number {
  if (!/^\d+$/.test(text) || Number(text) < least) stop(`--${name}: expected an integer from ${least}, got ${text}`);
  return Number(text);
}

function chosen(only: string | undefined): readonly Kind[] {
  if (only === undefined) return [...KINDS.values()];
  const kinds = only
    .split(',')
    .flatMap((name) => GROUPS[name] ?? KINDS.get(name) ?? stop(`--only: no kind or group ${name}; --list shows them`));
  return [...new Set(kinds)];
}

function table(tallies: readonly Tally[]): string {
  const head = ['kind', 'valid', 'refused', 'bad', 'silent', 'hang', 'memory', 'most CPU', 'most MiB'];
  const rows = tallies.map(({ kind, counts, cpu, memory }) => [
    ...[kind, counts.valid, counts.refused, counts.bad, counts.silent, counts.hang, counts.memory].map(String),
    `${cpu.toFixed(2)} s`,
    String(Math.round(memory / 2 ** 20)),
  ]);
  const sum = (outcome: keyof Tally['counts']): string =>
    String(tallies.reduce((all, { counts }) => all + counts[outcome], 0));
  const total = ['all', ...(['valid', 'refused', 'bad', 'silent', 'hang', 'memory'] as const).map(sum), '', ''];
  const all = [head, ...rows, total];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  return all
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
    .join('\n');
}

/** The faults, one of each kind and message. */
function told(findings: readonly Finding[]): string[] {
  const seen = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = `${finding.kind} ${finding.outcome} ${finding.said
      .split('\n')[0]
      .replace(/[\d.]+/g, '#')
      .slice(0, 100)}`;
    seen.set(key, [...(seen.get(key) ?? []), finding]);
  }
  return [...seen.values()].map((same) => {
    const [{ kind, outcome, said, file }] = same;
    return `\n${kind}: ${outcome}${same.length > 1 ? ` (${same.length} like it)` : ''}\n  ${said.replaceAll('\n', '\n  ')}\n  again: make fuzz ARGS="--replay ${file}"`;
  });
}

const values = options();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
if (values.list) {
  for (const [group, kinds] of Object.entries(GROUPS))
    console.log(`${group}: ${kinds.map(({ name }) => name).join(', ')}`);
  process.exit(0);
}
const scratch = mkdtempSync(join(tmpdir(), 'critiq-fuzz-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
let progress = 'before the first input was judged';
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => {
    console.error(`fuzz: ended by ${signal}: ${progress}`);
    process.exit(code);
  });
if (values.replay !== undefined) {
  const files = findingsIn(values.replay);
  const verdicts = await replay(files, kindOfFinding, scratch);
  for (const file of files)
    console.log(`${verdicts.get(file)!.outcome}  ${file}\n  ${verdicts.get(file)!.said.replaceAll('\n', '\n  ')}`);
  process.exit([...verdicts.values()].some(isFault) ? 1 : 0);
}
const inputs = whole('inputs', values.inputs ?? (values.nightly ? '200000' : '20000'), 1);
const begun = performance.now();
/** when a line was shown, and of what part of the inputs */
let [shown, shownMs] = [0, begun];
const { tallies, findings } = await fuzz({
  kinds: chosen(values.only),
  seed: whole('seed', values.seed, 0),
  inputs,
  jobs: whole('jobs', values.jobs, 1),
  scratch,
  save: values.save,
  onProgress: (done, all, faults) => {
    const line = `${String(Math.floor((100 * done) / all)).padStart(3)} %  ${done} of ${all} inputs, ${faults} faults, ${Math.round((performance.now() - begun) / 1000)} s`;
    progress = line.trim();
    const now = performance.now();
    if (process.stderr.isTTY) process.stderr.write(`\r${line}\x1b[K${done === all ? '\n' : ''}`);
    else if (done === all || done / all >= shown + 0.1 || now >= shownMs + 30_000) {
      [shown, shownMs] = [done / all, now];
      process.stderr.write(`${line}\n`);
    }
  },
});
console.log(table(tallies));
for (const line of told(findings)) console.log(line);
process.exit(findings.length > 0 ? 1 : 0);
