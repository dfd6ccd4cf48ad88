/** Makes an input from its number, and judges what its reader did with it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../src/random.js';
import { faultOf, MOST_CPU_S, Used, type Kind, type Outcome, type Seed } from './kind.js';

/** What happened to an input. */
export interface Verdict {
  readonly outcome: Outcome;
  /** what is wrong, or the reader's message */
  readonly said: string;
  /** seconds of CPU */
  readonly cpu: number;
}

/** The damaged input with a number, and the whole one that it was made of. The same on every machine. */
export function inputOf(kind: Kind, seeds: readonly Seed[], seed: number, n: number): { input: Buffer; from: Seed } {
  const random = new Random(seed, 'fuzz', kind.name, n);
  const from = random.pick(seeds);
  const other = random.pick(seeds);
  return { input: kind.mutate(random, from.bytes, other.bytes, from), from };
}

/** Reads an input as critiq does. @param folder for the reader's files; stays from input to input */
export async function judged(kind: Kind, input: Buffer, from: Seed, folder: string): Promise<Verdict> {
  const before = process.cpuUsage();
  let outcome: Outcome = 'valid';
  let said = '';
  try {
    await kind.read(input, from, folder);
  } catch (error) {
    const fault = error instanceof Used ? undefined : faultOf(error, kind);
    outcome = error instanceof Used ? 'silent' : fault === undefined ? 'refused' : 'bad';
    said = fault ?? (error as Error).message;
  }
  const { user, system } = process.cpuUsage(before);
  const cpu = (user + system) / 1e6;
  if (cpu > MOST_CPU_S && (outcome === 'valid' || outcome === 'refused'))
    return { outcome: 'hang', said: `${cpu.toFixed(1)} s of CPU, expected at most ${MOST_CPU_S}`, cpu };
  return { outcome, said, cpu };
}

/** A folder of its own for a kind. */
export function folderOf(scratch: string, { name }: Kind): string {
  const folder = join(scratch, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}
