import { useEffect, useRef } from 'preact/hooks';
import { counted } from '../../counted.js';
import type { TrajectoryPage, TrajectoryRow } from '../api.js';
import { changed, href } from './address.js';
import { Outcome } from './outcome.js';
import { PageLinks } from './page-links.js';
import { PolicyName } from './policy-name.js';
import { PAGE, type Chosen } from './trajectory-choice.js';

interface TrajectoryListProps {
  readonly page: TrajectoryPage;
  readonly params: URLSearchParams;
  readonly chosen: Chosen | undefined;
  readonly colours: ReadonlyMap<string, number>;
}

/** A page of the trajectories that pass the filters, each a link. */
export function TrajectoryList({ page: { rows, total, offset }, params, chosen, colours }: TrajectoryListProps) {
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    const box = list.current;
    const item = box?.querySelector('[aria-current]')?.parentElement;
    if (!box || !item) return;
    const [top, bottom] = [item.offsetTop - box.offsetTop, item.offsetTop - box.offsetTop + item.offsetHeight];
    // scrolls the list alone, and only if the row is out of sight
    if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight)
      box.scrollTop = top - (box.clientHeight - item.offsetHeight) / 2;
  }, [chosen?.set, chosen?.id, offset]);
  const to = (row: TrajectoryRow) =>
    href('trajectories', changed(params, { set: row.set, id: row.id, step: undefined }));
  const pageAt = (start: number) =>
    href('trajectories', changed(params, { offset: start, set: undefined, id: undefined, step: undefined }));
  return (
    <div class="list">
      <p class="count" role="status">
        {total === 0 ? 'No trajectory' : `${offset + 1}–${offset + rows.length} of ${total}`}
      </p>
      <ol ref={list} start={offset + 1}>
        {rows.map((row) => {
          const current = chosen?.set === row.set && chosen.id === row.id;
          return (
            <li key={`${row.set}/${row.id}`}>
              <a href={to(row)} aria-current={current ? 'true' : undefined}>
                <span class="goal">{row.goal}</span>
                <span class="about">
                  <Outcome {...row} /> {counted(row.steps, 'step')} ·{' '}
                  {row.policy === '' ? row.stage : <PolicyName name={row.policy} colours={colours} />} · {row.id}
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
