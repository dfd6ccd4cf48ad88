import type { TrajectoryPage, TrajectoryRow } from '../api.js';
import { changed, href } from './address.js';
import { Outcome } from './outcome.js';
import { PageLinks } from './page-links.js';

/** Trajectories of a page of the list. */
export const PAGE = 50;

interface TrajectoryListProps {
  readonly page: TrajectoryPage;
  readonly params: URLSearchParams;
  readonly chosen: Pick<TrajectoryRow, 'set' | 'id'> | undefined;
}

/** A page of the trajectories that pass, each a link to itself. */
export function TrajectoryList({ page: { rows, total, offset }, params, chosen }: TrajectoryListProps) {
  const to = (row: TrajectoryRow) =>
    href('trajectories', changed(params, { set: row.set, id: row.id, step: undefined }));
  const pageAt = (start: number) =>
    href(
      'trajectories',
      changed(params, { offset: start || undefined, set: undefined, id: undefined, step: undefined }),
    );
  return (
    <div class="list">
      <p class="count" role="status">
        {total === 0 ? 'No trajectory' : `${offset + 1}–${offset + rows.length} of ${total}`}
      </p>
      <ol start={offset + 1}>
        {rows.map((row) => {
          const current = chosen?.set === row.set && chosen.id === row.id;
          return (
            <li key={`${row.set}/${row.id}`}>
              <a href={to(row)} aria-current={current ? 'true' : undefined}>
                <span class="goal">{row.goal}</span>
                <span class="about">
                  <Outcome {...row} /> {row.steps} {row.steps === 1 ? 'step' : 'steps'} · {row.policy || row.stage} ·{' '}
                  {row.id}
                </span>
              </a>
            </li>
          );
        })}
      </ol>
      <PageLinks total={total} offset={offset} size={PAGE} to={pageAt} />
    </div>
  );
}
