import { isDeepStrictEqual } from 'node:util';
import { fileInside } from '../data/store/inside.js';
import { verifyFile } from '../data/store/integrity.js';
import { setFile } from '../data/store/set-files.js';
import { pairedTest, type PairedTest } from '../data/paired.js';
import { readTable } from '../data/tables.js';
import { TRANSITIONS } from '../data/transitions.js';
import type { StoredSet } from './results.js';

/** Which task an episode had, and whether it succeeded, by the episode's id. */
export type Outcomes = ReadonlyMap<string, { readonly task: string; readonly won: boolean }>;

/**
 * The outcomes of an evaluation's episodes, with the checksums of its files checked.
 * @throws UserError for a damaged file
 */
export async function outcomesOf({ folder, lines }: StoredSet): Promise<Outcomes> {
  const outcomes = new Map<string, { task: string; won: boolean }>();
  const records = [...lines.values()].flatMap(({ files }) => files).filter(({ file }) => file.endsWith('.parquet'));
  for (const record of records.filter(({ file }) => file.includes('transitions'))) {
    const path = fileInside(folder, record.file, setFile(folder, 'manifest'));
    await verifyFile(path, record, 'all', 'run `critiq eval` again to make it anew');
    const columns = ['trajectory', 'task', 'trajectoryReward'] as const;
    for (const { trajectory, task, trajectoryReward } of await readTable(path, TRANSITIONS, { columns }))
      outcomes.set(trajectory, { task, won: trajectoryReward > 0 });
  }
  return outcomes;
}

/**
 * Why the episodes of two evaluations have nothing to do with each other; undefined if episode n has the same task on the
 * same phone in both. That takes the same seed, tasks and devices.
 */
export function unlike(a: StoredSet, b: StoredSet): string | undefined {
  const [first, second] = [a.plan?.settings ?? {}, b.plan?.settings ?? {}];
  const names = new Set([...Object.keys(first), ...Object.keys(second)]);
  const deciding = [...names].filter((name) => name === 'seed' || name === 'tasks' || name.startsWith('device'));
  const differ = deciding.filter((name) => !isDeepStrictEqual(first[name], second[name]));
  const own = (['split', 'protocol'] as const).filter((name) => ownOf(first)[name] !== ownOf(second)[name]);
  const all = [...differ, ...own.map((name) => `eval.${name}`)];
  return all.length === 0 ? undefined : `${all.join(', ')} ${all.length === 1 ? 'differs' : 'differ'}`;
}

function ownOf(settings: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return (settings.eval ?? {}) as Record<string, unknown>;
}

/** The paired test on the episodes that both have, with the same task. */
export function pairOutcomes(first: Outcomes, second: Outcomes): PairedTest {
  const counts = { both: 0, neither: 0, gained: 0, lost: 0 };
  for (const [id, { task, won }] of first) {
    const other = second.get(id);
    if (other?.task !== task) continue;
    counts[won ? (other.won ? 'both' : 'lost') : other.won ? 'gained' : 'neither']++;
  }
  return pairedTest(counts);
}
