import type { ComponentChildren } from 'preact';
import { candidateRows, advantageScale } from './candidate-rows.js';
import { CandidateTable, type CandidateTableProps } from './candidate-table.js';
import { advantageColour } from './numbers.js';
import { Problems } from './notice.js';
import { Screenshot, type Drawn } from './screenshot.js';

interface StatePanelProps extends Omit<CandidateTableProps, 'rows' | 'scale'> {
  /** what stands above the table */
  readonly children: ComponentChildren;
}

/** Width of the screenshot in CSS pixels. */
const WIDTH = 300;

/** One state in one run or two: the numbered candidates on the screenshot, and their table. */
export function StatePanel({ children, ...props }: StatePanelProps) {
  const { runs, here, there, hot } = props;
  const { candidates, screen, set, id, step, problems } = here;
  const scale = advantageScale(candidates);
  const rows = candidateRows(here, there);
  const pointed = rows.some(({ action }) => action === hot);
  // the best last, over the others, and the action taken over all
  const drawn = [...rows]
    .sort((a, b) => Number(a.taken) - Number(b.taken) || b.number - a.number)
    .filter(({ action }) => !pointed || action === hot)
    .map(({ action, number, taken, here: own }): Drawn => ({
      action,
      kind: taken ? 'taken' : 'best',
      label: number,
      colour: advantageColour(own?.advantage ?? null, scale),
    }));
  return (
    <section class="panel" aria-label="Candidates">
      <Problems problems={[...problems, ...(there?.problems ?? [])]} />
      <div class="state">
        <div class="head">{children}</div>
        <div class="picture">
          <Screenshot
            run={runs[0]}
            screen={screen}
            words={`screen of step ${step + 1}, with ${rows.length} numbered candidates`}
            width={WIDTH}
            full
            drawn={drawn}
            place={{ set, id, step }}
          />
          <p class="note scale">
            below V
            <i class="ramp" aria-hidden="true" />
            above V · <span class="key taken" aria-hidden="true" /> taken
          </p>
        </div>
        <CandidateTable {...props} rows={rows} scale={scale} />
      </div>
    </section>
  );
}
