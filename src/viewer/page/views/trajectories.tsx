import { useEffect } from 'preact/hooks';
import type { Trajectory, TrajectoryPage } from '../../api.js';
import { changed, go, href } from '../address.js';
import { askAhead, runPath, useAnswer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { useKeys } from '../keyboard.js';
import { Notice, Problems, Waiting } from '../notice.js';
import { FILTERS, TrajectoryFilters } from '../trajectory-filters.js';
import { PAGE, TrajectoryList } from '../trajectory-list.js';
import { TrajectoryStrip } from '../trajectory-strip.js';

/** How often the list of a run at work is asked for. */
const LOOK_MS = 4000;

/** All trajectories, filtered, and one of them step by step. */
export function TrajectoriesView({ info, params }: ViewProps) {
  const { name: run } = info;
  const query = new URLSearchParams({ limit: String(PAGE), offset: params.get('offset') ?? '0' });
  for (const filter of FILTERS) {
    const value = params.get(filter);
    if (value) query.set(filter, value);
  }
  const list = useAnswer<TrajectoryPage>(runPath(run, 'trajectories', query), info.running ? LOOK_MS : undefined);
  const rows = list.value?.rows ?? [];
  const [set, id] = [params.get('set') ?? rows[0]?.set, params.get('id') ?? rows[0]?.id];
  const known = set !== undefined && id !== undefined;
  const one = useAnswer<Trajectory>(known ? runPath(run, 'trajectory', new URLSearchParams({ set, id })) : undefined);
  const shown = one.value !== undefined && !list.loading;
  useEffect(() => {
    if (!shown || info.running) return;
    const next = rows[rows.findIndex((row) => row.set === set && row.id === id) + 1];
    if (next) askAhead(runPath(run, 'trajectory', new URLSearchParams({ set: next.set, id: next.id })));
    const later = Number(query.get('offset')) + PAGE;
    if (later < (list.value?.total ?? 0)) {
      const page = new URLSearchParams(query);
      page.set('offset', String(later));
      askAhead(runPath(run, 'trajectories', page));
    }
  }, [shown, set, id, list.value]);
  const at = rows.findIndex((row) => row.set === set && row.id === id);
  const choose = (n: number): void => {
    const row = rows[n];
    if (row)
      go(href('trajectories', changed(params, { set: row.set, id: row.id, step: undefined })), { replace: true });
  };
  useKeys({
    ArrowDown: () => choose(at + 1),
    ArrowUp: () => choose(at - 1),
    '/': () => document.getElementById('filter-text')?.focus(),
  });
  if (info.sets.length === 0 && info.problems.length === 0) return <NoTrajectories run={run} />;
  return (
    <div class="trajectories">
      <TrajectoryFilters info={info} params={params} />
      <Problems problems={info.problems} />
      {info.sets
        .filter(({ planned, shards }) => planned !== null && planned > shards)
        .map((one) => (
          <Notice key={one.name} kind="empty">
            <p>
              <code>{one.name}</code>: {one.shards} of {one.planned} shards are there.{' '}
              {info.running ? 'The list grows as more are done.' : `The same critiq ${one.stage} makes the rest.`}
            </p>
          </Notice>
        ))}
      <div class="beside">
        {list.value ? (
          <TrajectoryList page={list.value} params={params} chosen={known ? { set, id } : undefined} />
        ) : list.error ? (
          <Notice kind="problem">{list.error}</Notice>
        ) : (
          <Waiting />
        )}
        <section aria-label="The chosen trajectory" aria-busy={one.loading}>
          {one.error && <Notice kind="problem">{one.error}</Notice>}
          {one.value && known && <TrajectoryStrip run={run} trajectory={one.value} params={params} />}
          {list.value?.total === 0 && !known && (
            <Notice kind="empty">
              <p>No trajectory passes these filters.</p>
            </Notice>
          )}
        </section>
      </div>
    </div>
  );
}

function NoTrajectories({ run }: { run: string }) {
  return (
    <Notice kind="empty">
      <p>
        <b>{run} has no trajectories yet.</b>
      </p>
      <p>
        <code>critiq collect run={run}</code> collects some with a policy;{' '}
        <code>critiq import digiq FILE run={run}</code> takes over a data set of others. What other stages have done is
        in the other views.
      </p>
    </Notice>
  );
}
