import { join } from 'node:path';
import type { Summary } from '../../src/runner/execute.js';
import { runFolder } from '../../src/runner/instance.js';
import type { LoadedRegistry } from '../../src/runner/registry.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import type { Config } from '../../src/settings/settings.js';

/** A step of the demo: a stage with its own settings. */
export interface DemoStep {
  readonly stage: string;
  readonly overrides: readonly string[];
}

/** The whole pipeline. The report evaluates the policies that it compares. */
export const DEMO: readonly DemoStep[] = [
  ...['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent', 'critic'].map((stage) => ({ stage, overrides: [] })),
  { stage: 'actor', overrides: ['actor.method=filteredbc'] },
  { stage: 'actor', overrides: ['actor.method=digiq'] },
  { stage: 'report', overrides: [] },
];

export interface Demo {
  /** path of report.html */
  readonly report: string;
  /** a summary of each stage, in the order in which they finished */
  readonly stages: readonly Summary[];
}

/**
 * `critiq demo`: runs the steps of `DEMO` as their commands would. After an interruption it resumes where it stopped.
 * @param settings loads the settings of a step
 * @param tell called when a stage has finished
 */
export async function runDemo(
  settings: (step: DemoStep) => Promise<{ loaded: LoadedRegistry; config: Config }>,
  options: Omit<RunOptions, 'deps'>,
  tell: (summary: Summary) => void,
): Promise<Demo> {
  const stages = new Map<string, Summary>();
  let report = '';
  for (const step of DEMO) {
    const { loaded, config } = await settings(step);
    for (const summary of await runStage(loaded, step.stage, config, options)) {
      // later steps find earlier stages up to date: they are already reported
      if (stages.has(summary.instance) && summary.made === 0) continue;
      stages.set(summary.instance, summary);
      tell(summary);
    }
    report = join(runFolder(config), 'report.html');
  }
  return { report, stages: [...stages.values()] };
}
