import type { Step } from '../api.js';
import { advantageColour, Value } from './numbers.js';

/** The critic's values, the reward and the return of a step. */
export function StepValues({ step: { scores, reward, mcReturn }, scale }: { step: Step; scale: number }) {
  return (
    <dl>
      {scores && (
        <>
          <dt>Q</dt>
          <dd>
            <Value of={scores.q} />
          </dd>
          <dt>V</dt>
          <dd>
            <Value of={scores.v} />
          </dd>
          <dt title="advantage: Q − V">A</dt>
          <dd>
            <i class="swatch" style={{ background: advantageColour(scores.advantage, scale) }} />
            <Value of={scores.advantage} />
          </dd>
        </>
      )}
      <dt>reward</dt>
      <dd>
        <Value of={reward} />
      </dd>
      <dt title="discounted sum of the rewards from here to the end">return</dt>
      <dd>
        <Value of={mcReturn} />
      </dd>
    </dl>
  );
}
