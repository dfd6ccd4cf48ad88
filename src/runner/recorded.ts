import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type PlanRecord, readPlan } from './outputs.js';

/** The plans of all data sets in a run folder, in the order of their folders' names. */
export function recordedPlans(folder: string, depth = 0): PlanRecord[] {
  if (!existsSync(folder)) return [];
  const own = depth > 0 ? readPlan(folder) : undefined;
  const below = readdirSync(folder, { withFileTypes: true })
    .filter(
      (entry) =>
        entry.isDirectory() &&
        depth < 2 &&
        !entry.name.startsWith('.') &&
        !(depth === 0 && ['metrics', 'tb', 'scratch'].includes(entry.name)),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...(own ? [own] : []), ...below.flatMap((entry) => recordedPlans(join(folder, entry.name), depth + 1))];
}
