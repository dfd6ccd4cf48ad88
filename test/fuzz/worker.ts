/** Judges inputs in a process of its own, which may hang, run out of memory or crash. */
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { folderOf, inputOf, judged, type Verdict } from './input.js';
import { MOST_MEMORY, type Kind, type Seed } from './kind.js';
import { KINDS } from './kinds/index.js';
import { SELF_TEST } from './kinds/self-test.js';
import { findingAt } from './findings.js';

/** Inputs `from` to `to` of a kind, or saved ones. */
export interface Batch {
  readonly kind: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** files of saved inputs to judge instead, by number */
  readonly files?: readonly string[];
}

export interface BatchDone {
  readonly verdicts: readonly (Verdict & { readonly n: number })[];
  /** most bytes that the process had in memory */
  readonly memory: number;
}

const [scratch, status] = process.argv.slice(2);
/** where the parent sees what this process is working on, also while it hangs */
const fd = openSync(status, 'w');
const at = (n: number): void => void writeSync(fd, `${String(n).padEnd(15)}\n`, 0);

/** The most memory since the last `forgetPeak`, in bytes. */
function peak(): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  } catch {
    return process.memoryUsage.rss();
  }
}

function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // another system: the peak is that of the process
  }
}

/** Whole inputs of a kind that are read. */
const MOST_WHOLE = 6;

const seedsOf = new Map<string, readonly Seed[]>();

async function seeds(kind: Kind): Promise<readonly Seed[]> {
  const known = seedsOf.get(kind.name) ?? (await kind.seeds(folderOf(scratch, kind)));
  if (known.length === 0) throw new Error(`${kind.name}: no seeds`);
  seedsOf.set(kind.name, known);
  return known;
}

function kindOf(name: string): Kind {
  return KINDS.get(name) ?? SELF_TEST;
}

async function work({ kind: name, seed, from, to, files }: Batch): Promise<BatchDone> {
  const kind = kindOf(name);
  const whole = await seeds(kind);
  forgetPeak();
  const verdicts: (Verdict & { n: number })[] = [];
  for (let n = from; n < to; n++) {
    const { input, from: own } = files ? findingAt(files[n], whole) : inputOf(kind, whole, seed, n);
    at(n);
    let verdict = await judged(kind, input, own, folderOf(scratch, kind));
    const memory = peak();
    if (memory > MOST_MEMORY) {
      verdict = {
        ...verdict,
        outcome: 'memory',
        said: `${Math.round(memory / 2 ** 20)} MiB, expected at most ${MOST_MEMORY / 2 ** 20}`,
      };
      forgetPeak();
    }
    verdicts.push({ ...verdict, n });
  }
  at(-1);
  return { verdicts, memory: peak() };
}

/** Whole inputs must be read: a reader that refuses all passes every test. */
async function wholeRead({ kind: name }: Batch): Promise<BatchDone> {
  const kind = kindOf(name);
  const verdicts: (Verdict & { n: number })[] = [];
  for (const [n, seed] of (await seeds(kind)).slice(0, MOST_WHOLE).entries())
    verdicts.push({ ...(await judged(kind, seed.bytes, seed, folderOf(scratch, kind))), n });
  return { verdicts, memory: peak() };
}

process.on('message', (batch: Batch & { readonly whole?: boolean }) => {
  void (batch.whole ? wholeRead(batch) : work(batch)).then(
    (done) => process.send!(done),
    (error: unknown) => process.send!({ failed: (error as Error).stack }),
  );
});
process.on('disconnect', () => process.exit(0));
