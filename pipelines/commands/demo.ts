/** A step of `critiq demo`: the command of a stage, with settings of its own. */
export interface DemoStep {
  readonly stage: string;
  readonly overrides: readonly string[];
}

/** The whole pipeline. The report runs the evaluations that it shows. @param sources of the report: with `value`, VEM comes too */
export const demoSteps = (sources: readonly string[]): readonly DemoStep[] => [
  ...['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent', 'critic'].map((stage) => ({ stage, overrides: [] })),
  { stage: 'actor', overrides: ['actor.method=filteredbc'] },
  { stage: 'actor', overrides: ['actor.method=digiq'] },
  ...(sources.includes('value') ? ['label', 'value', 'vem'] : []).map((stage) => ({ stage, overrides: [] })),
  { stage: 'report', overrides: [] },
];
