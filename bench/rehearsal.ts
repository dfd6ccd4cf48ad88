/**
 * A rehearsal of training on the released data: a made-up file in their layout, with the real widths (1408 numbers a screen,
 * 4096 a representation, 64 actions a state), random checkpoints of the released sizes, and critiq's own commands with the
 * published settings (configs/digiq-import.yaml). The critic makes all its 800 steps, with a kill -9 on the way; the actor
 * makes 20 of its 900. Prints time, CPU time and peak memory of each stage, and what the whole run would take.
 *
 *   npm run bench -- rehearsal -- [--folder FOLDER] [--gigabytes N] [--actor-steps N] [--nice N] [--keep]
 *
 * It needs 9 GB of memory and 30 GB of disk. Stop it at any moment and start it again: it continues, and what it has measured
 * before counts (`measured.jsonl` in the folder).
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeAutoUI, makeRoberta } from './make/checkpoints.js';
import { makeReleased, RELEASED_FILE } from './make/released.js';
import { median } from './side-by-side.js';

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string', default: join(tmpdir(), 'critiq-rehearsal') },
    gigabytes: { type: 'string', default: '2.2' },
    'actor-steps': { type: 'string', default: '20' },
    nice: { type: 'string', default: '0' },
    keep: { type: 'boolean', default: false },
  },
});
const folder = resolve(options.folder);
const run = join(folder, 'runs/digiq-import');
const measuredFile = join(folder, 'measured.jsonl');
const settings = ['--config', 'digiq-import', 'data=runs', 'models.policy=Auto-UI-Base', 'models.text=roberta-base'];

/** Actions are about 60 tokens and prompts 70, nearly as many as with T5's tokenizer. */
const WORDS = { pieces: ['.com', 'shop'], words: ['Go', 'to', 'search', 'for', 'item'], grid: { rows: 1, columns: 1 } };

/** An optimizer step as it appears in the metrics: seconds since the process began, and CPU seconds of the process. */
interface StepSeen {
  readonly step: number;
  readonly at: number;
  readonly cpu: number;
}

/** One process of a stage. */
interface Piece {
  readonly stage: string;
  readonly seconds: number;
  readonly cpu: number;
  /** peak resident memory */
  readonly gib: number;
  /** load average of the machine at the end */
  readonly load: number;
  readonly steps: readonly StepSeen[];
  /** how it ended: exit code, or why it was stopped */
  readonly end: number | string;
}

interface Watched {
  /** the stage's metrics, to see its steps */
  readonly metrics?: string;
  /** Stops the process: a signal and why; asked every half second. */
  readonly stop?: (steps: readonly StepSeen[]) => { signal: 'SIGKILL' | 'SIGINT'; why: string } | undefined;
}

/** Runs a command of critiq in its own process and watches its CPU time, memory and steps. */
async function critiq(stage: string, args: readonly string[], { metrics, stop }: Watched = {}): Promise<Piece> {
  const start = performance.now();
  const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
  const command = [process.execPath, main, ...args];
  const child = spawn('nice', ['-n', options.nice, ...command], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  let [gib, cpu] = [0, 0];
  let stopped: string | undefined;
  const steps: StepSeen[] = [];
  const linesBefore = metrics === undefined ? 0 : lastStep(metrics);
  const look = () => {
    try {
      // the kernel's peak value and ticks of 10 ms (proc(5)), which disappear with the process, in this order
      const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0);
      gib = Math.max(gib, peak / 2 ** 20);
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      cpu = (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      return; // the process has just ended
    }
    const step = metrics === undefined ? 0 : lastStep(metrics);
    // a resumed training drops the lines after its checkpoint
    const known = steps.at(-1)?.step ?? -1;
    if (step > 0 && step !== known && (known >= 0 || step !== linesBefore)) {
      steps.push({ step, at: (performance.now() - start) / 1000, cpu });
    }
    const why = stopped === undefined ? stop?.(steps) : undefined;
    if (why) {
      stopped = why.why;
      child.kill(why.signal);
    }
  };
  const watch = setInterval(look, 500);
  const code = await new Promise<number>((done) => child.on('exit', (exit) => done(exit ?? -1)));
  clearInterval(watch);
  const piece = {
    stage,
    seconds: (performance.now() - start) / 1000,
    cpu,
    gib,
    load: loadavg()[0],
    steps,
    end: stopped ?? code,
  };
  appendFileSync(measuredFile, `${JSON.stringify(piece)}\n`);
  if (stopped === undefined && code !== 0) throw new Error(`critiq ${stage}: exit code ${code}`);
  return piece;
}

/** The step of the last line of a metrics file; 0: none. */
function lastStep(file: string): number {
  if (!existsSync(file)) return 0;
  const last = readFileSync(file, 'utf8').trimEnd().split('\n').at(-1)!;
  return Number(/"step":(\d+)/.exec(last)?.[1] ?? 0);
}

function pieces(): Piece[] {
  if (!existsSync(measuredFile)) return [];
  const lines = readFileSync(measuredFile, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Piece);
}

const finished = (stage: string) => pieces().some((piece) => piece.stage === stage && piece.end === 0);

/** Seconds and CPU seconds of steps that followed each other in one process. */
function stepTimes(stage: string): { seconds: number[]; cpu: number[] } {
  const pairs = pieces()
    .filter((piece) => piece.stage === stage)
    .flatMap(({ steps }) => steps.slice(1).map((seen, i) => ({ seen, before: steps[i] })))
    .filter(({ seen, before }) => seen.step > before.step);
  const per = (key: 'at' | 'cpu') =>
    pairs.map(({ seen, before }) => (seen[key] - before[key]) / (seen.step - before.step));
  return { seconds: per('at'), cpu: per('cpu') };
}

function summary(): void {
  const fixed = (x: number, digits = 1) => x.toFixed(digits);
  console.log(`\n${cpus()[0].model.trim()}, ${cpus().length} cores`);
  for (const stage of new Set(pieces().map((piece) => piece.stage))) {
    const all = pieces().filter((piece) => piece.stage === stage);
    const sum = (of: (piece: Piece) => number) => all.reduce((total, piece) => total + of(piece), 0);
    const peak = Math.max(...all.map(({ gib }) => gib));
    console.log(
      `${stage.padEnd(7)} ${fixed(
        sum((piece) => piece.seconds),
        0,
      )} s, ${fixed(
        sum((piece) => piece.cpu),
        0,
      )} s of CPU time, peak ${fixed(peak, 2)} GiB` +
        ` (${all.map(({ end, load }) => `${end === 0 ? 'done' : end}, load ${fixed(load)}`).join('; ')})`,
    );
    const { seconds, cpu } = stepTimes(stage);
    if (seconds.length === 0) continue;
    const sorted = [...seconds].sort((a, b) => a - b);
    console.log(
      `        a step: ${fixed(median(seconds))} s (${fixed(sorted[0])} to ${fixed(sorted.at(-1)!)}), ` +
        `${fixed(median(cpu))} s of CPU time; ${seconds.length} steps seen`,
    );
  }
  const [critic, actor] = [stepTimes('critic'), stepTimes('actor')];
  if (critic.cpu.length === 0 || actor.cpu.length === 0) return;
  const hours = (kind: 'seconds' | 'cpu') => (800 * median(critic[kind]) + 900 * median(actor[kind])) / 3600;
  console.log(
    `800 critic steps and 900 actor steps: ${fixed(hours('seconds'))} hours at this speed, ${fixed(hours('cpu'))} hours of CPU time`,
  );
}

mkdirSync(folder, { recursive: true });
const file = join(folder, 'general-offline.pt');
const bytes = await makeReleased(file, { ...RELEASED_FILE, gigabytes: Number(options.gigabytes) });
await makeAutoUI(join(folder, 'Auto-UI-Base'), WORDS, 128);
await makeRoberta(join(folder, 'roberta-base'), WORDS);
console.log(`${file}: ${(bytes / 1e9).toFixed(2)} GB`);

if (!finished('import')) {
  const { seconds, gib } = await critiq('import', ['import', 'digiq', file, ...settings]);
  console.log(`import: ${(bytes / 1e6 / seconds).toFixed(0)} MB a second, peak ${gib.toFixed(2)} GiB`);
}

const criticMetrics = join(run, 'metrics/critic.jsonl');
const checkpoint = join(run, 'scratch/critic/critic/checkpoint.json');
const killed = () => pieces().some(({ end }) => end === 'killed');
while (!finished('critic')) {
  const begun = existsSync(checkpoint) ? statSync(checkpoint).mtimeMs : 0;
  await critiq('critic', ['critic', ...settings, 'critic.log_every=1'], {
    metrics: criticMetrics,
    // once, a few steps after its first checkpoint
    stop: (steps) =>
      !killed() && steps.length >= 5 && existsSync(checkpoint) && statSync(checkpoint).mtimeMs > begun
        ? { signal: 'SIGKILL', why: 'killed' }
        : undefined,
  });
}

const wanted = Number(options['actor-steps']);
if (stepTimes('actor').seconds.length + 1 < wanted) {
  await critiq('actor', ['actor', ...settings, 'critic.log_every=1', 'actor.log_every=1'], {
    metrics: join(run, 'metrics/actor/digiq.jsonl'),
    stop: (steps) =>
      (steps.at(-1)?.step ?? 0) >= wanted ? { signal: 'SIGINT', why: `stopped after ${wanted} steps` } : undefined,
  });
}
summary();
if (!options.keep) rmSync(folder, { recursive: true, force: true });
