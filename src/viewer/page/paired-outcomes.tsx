import type { Paired } from '../api.js';
import { href } from './address.js';
import { runPath, useAnswer } from './answer.js';
import { Notice } from './notice.js';
import { Value } from './numbers.js';

/** Links that are shown of each kind before "more". */
const SHOWN = 12;

interface PairedOutcomesProps {
  readonly run: string;
  readonly before: string;
  readonly after: string;
}

/** Which episodes only one of two policies wins, on the same tasks and phones. */
export function PairedOutcomes({ run, before, after }: PairedOutcomesProps) {
  const { value, error } = useAnswer<Paired>(runPath(run, 'paired', new URLSearchParams({ before, after })));
  if (error) return <Notice kind="problem">{error}</Notice>;
  if (!value) return null;
  const { counts, gained, lost } = value;
  if (counts.shared === 0) return <p>They have no episode of the same task in common.</p>;
  const list = (kind: string, episodes: Paired['gained'], total: number, winner: string) => (
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
      {total > SHOWN && (
        <p class="note">
          and {total - SHOWN} more of <code>{winner}</code>
        </p>
      )}
    </section>
  );
  return (
    <>
      <p>
        Of <Value of={counts.shared} digits={0} /> episodes with the same task in both, both win{' '}
        <Value of={counts.both} digits={0} /> and neither <Value of={counts.neither} digits={0} />.
      </p>
      <div class="charts">
        {list(`Only ${after.replace('eval/', '')} wins`, gained, counts.gained, after)}
        {list(`Only ${before.replace('eval/', '')} wins`, lost, counts.lost, before)}
      </div>
    </>
  );
}
