import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readSealed } from '../data/store/sealed.js';
import { setFile } from '../data/store/set-files.js';
import { pairedTest } from '../data/paired.js';
import { UserError } from '../errors.js';
import type { EvaluationList, Paired, Problem } from './api.js';
import { dataSets } from '../data/store/data-sets.js';
import { problem } from './run-files.js';
import type { RunIndex } from './run-index.js';

const Rate = z.object({
  episodes: z.number(),
  successes: z.number(),
  rate: z.number(),
  ci95: z.tuple([z.number(), z.number()]),
});
/** What the viewer shows of an evaluation's `_result.json`. */
const Result = Rate.extend({
  policy: z.string(),
  split: z.string(),
  protocol: z.string(),
  mode: z.string(),
  temperature: z.number(),
  mean_steps: z.number(),
  judge: z.string().default(''),
  unknown: z.array(z.string()).default([]),
  lost: z.array(z.string()).default([]),
  families: z.record(z.string(), Rate),
});

/** The results of a run's evaluations, with the names of their data sets, and the evaluations without a result yet. */
export function evaluationList(run: string): EvaluationList {
  const evaluations: EvaluationList['evaluations'][number][] = [];
  const unfinished: string[] = [];
  const problems: Problem[] = [];
  for (const name of dataSets(run).filter((one) => one.startsWith('eval/'))) {
    const file = setFile(join(run, name), 'result');
    if (!existsSync(file)) unfinished.push(name);
    else {
      try {
        evaluations.push({ name, ...resultOf(file) });
      } catch (error) {
        problems.push(problem(name, error));
      }
    }
  }
  return { evaluations, unfinished, problems };
}

function resultOf(file: string): z.infer<typeof Result> {
  const parsed = Result.safeParse(readSealed(file, 'run `critiq eval` again after deleting it'));
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new UserError(`${file}: ${path.join('.')}: ${message}; run \`critiq eval\` again after deleting it`);
}

/** Most episodes of a pair to list, of each kind. */
const LISTED = 200;

/**
 * Compares two evaluations episode by episode. Evaluations with the same split and seed give an episode the same task and
 * phone, so differences come from the policies; episodes with different tasks are not paired.
 * @throws UserError if one of them has no trajectories
 */
export async function paired(index: RunIndex, before: string, after: string): Promise<Paired> {
  await index.refresh();
  const outcomes = (name: string): Map<string, { goal: string; success: boolean }> => {
    const found = new Map(
      [...index.places({ in: name })].map((place) => [place.shard.ids[place.at], index.row(place)]),
    );
    if (found.size === 0) throw new UserError(`${name}: no trajectory can be read`);
    return found;
  };
  const [a, b] = [outcomes(before), outcomes(after)];
  const counts = { both: 0, neither: 0, gained: 0, lost: 0 };
  const gained: Paired['gained'][number][] = [];
  const lost: Paired['lost'][number][] = [];
  for (const [id, { goal, success }] of a) {
    const other = b.get(id);
    if (other?.goal !== goal) continue;
    const kind = success ? (other.success ? 'both' : 'lost') : other.success ? 'gained' : 'neither';
    counts[kind]++;
    if (kind === 'gained' && gained.length < LISTED) gained.push({ id, goal });
    if (kind === 'lost' && lost.length < LISTED) lost.push({ id, goal });
  }
  return { before, after, test: pairedTest(counts), gained, lost };
}
