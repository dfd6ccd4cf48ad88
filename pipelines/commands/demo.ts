/** A step of `critiq demo`: the command of a stage, with settings of its own. */
export interface DemoStep {
  readonly stage: string;
  readonly overrides: readonly string[];
}

/** The whole pipeline. The report runs the evaluations that it shows. */
export const DEMO: readonly DemoStep[] = [
  ...['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent', 'critic'].map((stage) => ({ stage, overrides: [] })),
  { stage: 'actor', overrides: ['actor.method=filteredbc'] },
  { stage: 'actor', overrides: ['actor.method=digiq'] },
  { stage: 'report', overrides: [] },
];
