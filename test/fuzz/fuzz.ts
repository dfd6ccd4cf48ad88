/** A run of the fuzzer: so many inputs over some kinds, spread over processes. */
import { join } from 'node:path';
import { folderOf, inputOf } from './input.js';
import { saveFinding } from './findings.js';
import type { Kind, Outcome } from './kind.js';
import { Judge, type NumberedVerdict } from './pool.js';
import type { Batch } from './worker.js';

export interface FuzzOptions {
  readonly kinds: readonly Kind[];
  readonly seed: number;
  /** inputs in all, shared among the kinds by their weights */
  readonly inputs: number;
  readonly jobs: number;
  /** an empty folder for what readers need */
  readonly scratch: string;
  /** where inputs that are faults are saved */
  readonly save: string;
  readonly onProgress?: (done: number, all: number, faults: number) => void;
}

export interface Finding extends NumberedVerdict {
  readonly kind: string;
  readonly file: string;
}

/** What became of a kind's inputs. */
export interface Tally {
  readonly kind: string;
  readonly counts: Readonly<Record<Outcome, number>>;
  /** most seconds of CPU of an input, and most bytes of a process */
  readonly cpu: number;
  readonly memory: number;
}

const BATCH = 50;
/** Faults of a kind and outcome that are saved; more are counted. */
const SAVED = 20;

export const isFault = ({ outcome }: { outcome: Outcome }): boolean => outcome !== 'valid' && outcome !== 'refused';

/** The inputs of each kind. */
function shares(kinds: readonly Kind[], inputs: number): Map<Kind, number> {
  const all = kinds.reduce((sum, { weight = 1 }) => sum + weight, 0);
  return new Map(kinds.map((kind) => [kind, Math.max(1, Math.round((inputs * (kind.weight ?? 1)) / all))]));
}

/** Judges damaged inputs. @returns a tally of each kind, and the faults */
export async function fuzz({
  kinds,
  seed,
  inputs,
  jobs,
  scratch,
  save,
  onProgress,
}: FuzzOptions): Promise<{ tallies: Tally[]; findings: Finding[] }> {
  const counts = shares(kinds, inputs);
  const all = [...counts.values()].reduce((a, b) => a + b, 0);
  const batches: Batch[] = [...counts].flatMap(([{ name: kind }, count]) =>
    Array.from({ length: Math.ceil(count / BATCH) }, (_, i) => ({
      kind,
      seed,
      from: i * BATCH,
      to: Math.min(count, (i + 1) * BATCH),
    })),
  );
  const tallies = new Map(
    kinds.map(({ name }) => [
      name,
      { kind: name, counts: { valid: 0, refused: 0, bad: 0, silent: 0, hang: 0, memory: 0 }, cpu: 0, memory: 0 },
    ]),
  );
  const findings: Finding[] = [];
  const seedsOf = new Map<string, ReturnType<Kind['seeds']>>();
  let done = 0;
  const queue = batches[Symbol.iterator]();
  const lane = async (number: number): Promise<void> => {
    const judge = new Judge(join(scratch, `process-${number}`));
    try {
      for (const batch of queue) {
        const { verdicts, memory } = await judge.judge(batch);
        const tally = tallies.get(batch.kind)!;
        tally.memory = Math.max(tally.memory, memory);
        for (const verdict of verdicts) {
          tally.counts[verdict.outcome] += 1;
          tally.cpu = Math.max(tally.cpu, verdict.cpu);
          if (!isFault(verdict)) continue;
          const kind = kinds.find(({ name }) => name === batch.kind)!;
          if (!seedsOf.has(kind.name)) seedsOf.set(kind.name, kind.seeds(folderOf(join(scratch, 'parent'), kind)));
          const { input, from } = inputOf(kind, await seedsOf.get(kind.name)!, seed, verdict.n);
          const file =
            tally.counts[verdict.outcome] > SAVED
              ? ''
              : saveFinding(save, kind.name, from, `${seed}-${verdict.n}`, input);
          findings.push({ ...verdict, kind: kind.name, file });
        }
        done += batch.to - batch.from;
        onProgress?.(done, all, findings.length);
      }
    } finally {
      judge.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, batches.length) }, (_, i) => lane(i)));
  return { tallies: [...tallies.values()], findings };
}

/** Judges saved inputs again. @returns the verdict of each file */
export async function replay(
  files: readonly string[],
  kindOf: (file: string) => string,
  scratch: string,
): Promise<Map<string, NumberedVerdict>> {
  const judge = new Judge(join(scratch, 'process-replay'));
  const verdicts = new Map<string, NumberedVerdict>();
  try {
    for (const kind of new Set(files.map(kindOf))) {
      const own = files.filter((file) => kindOf(file) === kind);
      for (const verdict of (await judge.judge({ kind, seed: 0, from: 0, to: own.length, files: own })).verdicts)
        verdicts.set(own[verdict.n], verdict);
    }
  } finally {
    judge.close();
  }
  return verdicts;
}

/** Judges the whole inputs of kinds, from which damaged ones are made. @returns those that are not valid */
export async function wholeInputs(
  kinds: readonly Kind[],
  scratch: string,
): Promise<{ kind: string; n: number; said: string }[]> {
  const wrong: { kind: string; n: number; said: string }[] = [];
  const queue = kinds[Symbol.iterator]();
  const lane = async (number: number): Promise<void> => {
    const judge = new Judge(join(scratch, `process-whole-${number}`));
    try {
      for (const { name: kind } of queue)
        for (const { n, outcome, said } of (await judge.judge({ kind, seed: 0, from: 0, to: 0, whole: true })).verdicts)
          if (outcome !== 'valid') wrong.push({ kind, n, said });
    } finally {
      judge.close();
    }
  };
  await Promise.all([lane(0), lane(1)]);
  return wrong;
}
