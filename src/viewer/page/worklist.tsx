import type { WorklistPage } from '../api.js';
import { changed, href } from './address.js';
import { Outcome } from './outcome.js';
import { PageLinks } from './page-links.js';
import { Value } from './numbers.js';

/** Rows on a page. */
export const WORKLIST_PAGE = 25;

const SIDES = [
  ['either', 'all'],
  ['over', 'Q too high'],
  ['under', 'Q too low'],
] as const;

/** The trajectories where Q and return differ most; each row opens the trajectory at that step. */
export function Worklist({ page, params }: { page: WorklistPage; params: URLSearchParams }) {
  const side = params.get('side') ?? 'either';
  const run = params.get('run') ?? undefined;
  return (
    <>
      <nav class="tabs" aria-label="Direction of the error">
        {SIDES.map(([name, label]) => (
          <a
            key={name}
            href={href('values', changed(params, { side: name, offset: undefined }))}
            aria-current={side === name ? 'true' : undefined}
          >
            {label}
          </a>
        ))}
      </nav>
      <div class="scroll">
        <table class="worklist">
          <thead>
            <tr>
              <th scope="col">trajectory</th>
              <th scope="col">outcome</th>
              <th scope="col">step</th>
              <th scope="col">Q</th>
              <th scope="col">return</th>
              <th scope="col">Q − return</th>
              <th scope="col">
                <span class="hidden">curve</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {page.rows.map((row) => (
              <tr key={row.id} aria-current={params.get('id') === row.id ? 'true' : undefined}>
                <th scope="row">
                  <a href={href('trajectories', { run, set: row.set, id: row.id, step: row.step })}>{row.goal}</a>{' '}
                  <code>{row.id}</code>
                </th>
                <td>
                  <Outcome {...row} />
                </td>
                <td>{row.step + 1}</td>
                <td>
                  <Value of={row.q} />
                </td>
                <td>
                  <Value of={row.mcReturn} />
                </td>
                <td>
                  <Value of={row.error} />
                </td>
                <td>
                  <a href={href('values', changed(params, { set: row.set, id: row.id }))}>curve</a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <PageLinks
        total={page.total}
        offset={page.offset}
        size={WORKLIST_PAGE}
        to={(offset) => href('values', changed(params, { offset: offset || undefined }))}
      />
    </>
  );
}
