import type { PolicyScores, State } from '../api.js';
import { CandidateTable, advantageScale } from './candidate-table.js';
import { advantageColour } from './numbers.js';
import { Problems } from './notice.js';
import { Screenshot } from './screenshot.js';

interface StatePanelProps {
  readonly run: string;
  readonly state: State;
  readonly caption: string;
  readonly policies: readonly PolicyScores[];
  readonly order: string;
  readonly onOrder: (order: string) => void;
  readonly hot: string | undefined;
  readonly onHot: (action: string | undefined) => void;
}

/** Pixels that the screenshot is wide. */
const WIDTH = 300;

/** One state as one critic sees it: the candidates on the screenshot, and their table. */
export function StatePanel({ run, state, ...table }: StatePanelProps) {
  const { candidates, screen, set, id, step, problems } = state;
  const scale = advantageScale(candidates);
  const pointed = candidates.some(({ action }) => action === table.hot);
  // the action taken is drawn last, over the others
  const drawn = candidates
    .map(({ action, advantage }, i) => ({
      action,
      kind: i === 0 ? ('taken' as const) : ('best' as const),
      colour: advantageColour(advantage, scale),
    }))
    .filter(({ action }) => !pointed || action === table.hot)
    .reverse();
  return (
    <section class="panel" aria-label={table.caption}>
      <Problems problems={problems} />
      <div class="state">
        <div>
          <Screenshot
            run={run}
            screen={screen}
            words={`screen ${step + 1}, with ${candidates.length} candidates`}
            width={WIDTH}
            full
            drawn={drawn}
            place={{ set, id, step }}
          />
          <p class="note scale">
            worse
            <i class="ramp" aria-hidden="true" />
            better than V · × taken
          </p>
        </div>
        <CandidateTable state={state} {...table} />
      </div>
    </section>
  );
}
