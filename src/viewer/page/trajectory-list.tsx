import type { TrajectoryPage, TrajectoryRow } from '../api.js';
import { changed, href } from './address.js';
import { Outcome } from './outcome.js';

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
                  <Outcome {...row} /> {row.steps} steps · {row.policy || row.stage} · {row.id}
                </span>
              </a>
            </li>
          );
        })}
      </ol>
      {total > PAGE && (
        <nav class="pages" aria-label="Pages of the list">
          <PageLink to={offset > 0 ? pageAt(Math.max(0, offset - PAGE)) : undefined}>Previous</PageLink>
          <PageLink to={offset + PAGE < total ? pageAt(offset + PAGE) : undefined}>Next</PageLink>
        </nav>
      )}
    </div>
  );
}

function PageLink({ to, children }: { to: string | undefined; children: string }) {
  return to === undefined ? (
    <span aria-disabled="true">{children}</span>
  ) : (
    <a href={to} rel={children.toLowerCase()}>
      {children}
    </a>
  );
}
