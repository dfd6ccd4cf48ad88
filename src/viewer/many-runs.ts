import type { RunRow, RunsCompared } from './api.js';

/** Where the viewer gets the table of runs and their comparison from. */
export interface ManyRuns {
  /** every run of the folder, the one that changed last first */
  list(): RunRow[];
  /** @throws UserError if a run does not exist */
  compare(runs: readonly string[]): Promise<RunsCompared>;
}
