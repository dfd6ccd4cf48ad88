import { pValue } from '../../report/rates.js';
import { signed } from '../../report/html.js';
import type { Paired } from '../api.js';
import { href } from './address.js';
import { runPath, useAnswer } from './answer.js';
import { Notice } from './notice.js';
import { Value } from './numbers.js';

/** Most links of each kind. */
const SHOWN = 12;

interface PairedOutcomesProps {
  readonly run: string;
  readonly before: string;
  readonly after: string;
}

/** Two evaluations on the same tasks and phones: the paired difference, and the episodes that only one wins. */
export function PairedOutcomes({ run, before, after }: PairedOutcomesProps) {
  const { value, error } = useAnswer<Paired>(runPath(run, 'paired', new URLSearchParams({ before, after })));
  if (error) return <Notice kind="problem">{error}</Notice>;
  if (!value) return null;
  const { test, gained, lost } = value;
  if (test.shared === 0) return <p>These two evaluations have no episodes in common.</p>;
  const points = (rate: number) => signed(100 * rate, 1);
  const list = (kind: string, episodes: Paired['gained'], total: number) => (
    <section aria-label={kind}>
      <h4>
        {kind}: <Value of={total} digits={0} />
      </h4>
      <ul>
        {episodes.slice(0, SHOWN).map(({ id, goal }) => (
          <li key={id}>
            {goal}{' '}
            <span class="note">
              <a href={href('trajectories', { run, set: before, id })}>before</a>{' '}
              <a href={href('trajectories', { run, set: after, id })}>after</a>
            </span>
          </li>
        ))}
      </ul>
      {total > SHOWN && <p class="note">and {total - SHOWN} more</p>}
    </section>
  );
  return (
    <>
      <p>
        Difference <b>{points(test.difference)} points</b>, 95 % interval {points(test.ci95[0])} to{' '}
        {points(test.ci95[1])}; exact McNemar test, {pValue(test.p)}. Paired on <Value of={test.shared} digits={0} />{' '}
        episodes with the same task: both win <Value of={test.both} digits={0} />, neither wins{' '}
        <Value of={test.neither} digits={0} />.
      </p>
      <div class="charts">
        {list(`Only ${after.replace('eval/', '')} wins`, gained, test.gained)}
        {list(`Only ${before.replace('eval/', '')} wins`, lost, test.lost)}
      </div>
    </>
  );
}
