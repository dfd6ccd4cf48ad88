import { useEffect, useRef } from 'preact/hooks';
import type { RunInfo, TrajectoryPage, TrajectoryRow } from '../api.js';
import { changed, go, href, type View } from './address.js';
import { askAhead, runPath, useAnswer } from './answer.js';
import { FILTERS } from './trajectory-filters.js';

/** Trajectories on a page of the list. */
export const PAGE = 50;
/** How often the list of a run in progress is refreshed. */
const LOOK_MS = 4000;

/** Names a trajectory. */
export type Chosen = Pick<TrajectoryRow, 'set' | 'id'>;

/** The filtered list around the chosen trajectory. */
export interface TrajectoryChoice {
  readonly page: TrajectoryPage | undefined;
  readonly error: string | undefined;
  readonly loading: boolean;
  /** the trajectory that the address names, else the first of the page */
  readonly chosen: Chosen | undefined;
  /** its index in the page; -1 if it is not there */
  readonly at: number;
  /** its neighbours in the whole list, across pages */
  readonly previous: TrajectoryRow | undefined;
  readonly next: TrajectoryRow | undefined;
  readonly choose: (row: Chosen | undefined) => void;
}

/** Lists the trajectories that pass the filters of the address: the page at its offset, or the one with the chosen trajectory. */
export function useTrajectoryChoice(view: View, info: RunInfo, params: URLSearchParams): TrajectoryChoice {
  const { name: run } = info;
  const filter = new URLSearchParams({ limit: String(PAGE) });
  for (const name of FILTERS) {
    const value = params.get(name);
    if (value) filter.set(name, value);
  }
  const at = (offset: number) => pathWith(run, filter, { offset: String(offset) });
  const [set, id] = [params.get('set'), params.get('id')];
  const offset = params.get('offset');
  const shown = useRef<{ filter: string; path: string; page: TrajectoryPage }>(undefined);
  const key = `${run} ${filter.toString()}`;
  const onPage = (page: TrajectoryPage) => page.rows.findIndex((row) => row.set === set && row.id === id);
  let path = at(Number(offset ?? 0));
  if (offset === null && set !== null && id !== null) {
    const known = shown.current?.filter === key && onPage(shown.current.page) >= 0 ? shown.current.path : undefined;
    path = known ?? pathWith(run, filter, { near_set: set, near_id: id });
  }
  const { value: page, error, loading } = useAnswer<TrajectoryPage>(path, info.running ? LOOK_MS : undefined);
  if (page && !loading) shown.current = { filter: key, path, page };
  const rows = page?.rows ?? [];
  const chosen = set !== null && id !== null ? { set, id } : rows[0] && { set: rows[0].set, id: rows[0].id };
  const index = rows.findIndex((row) => row.set === chosen?.set && row.id === chosen.id);
  const [first, end] = [page?.offset ?? 0, (page?.offset ?? 0) + rows.length];
  const before = useAnswer<TrajectoryPage>(index === 0 && first > 0 ? at(Math.max(0, first - PAGE)) : undefined);
  const more = page !== undefined && end < page.total;
  const after = useAnswer<TrajectoryPage>(more && index === rows.length - 1 ? at(end) : undefined);
  const next = index < 0 ? rows[0] : (rows[index + 1] ?? after.value?.rows[0]);
  useEffect(() => {
    if (loading || info.running || !next || !chosen) return;
    askAhead(runPath(run, 'trajectory', new URLSearchParams({ set: next.set, id: next.id })));
  }, [loading, next?.set, next?.id]);
  return {
    page,
    error,
    loading,
    chosen,
    at: index,
    previous: rows[index - 1] ?? before.value?.rows.at(-1),
    next,
    choose: (row) => {
      if (!row) return;
      // the page goes along where the next one is not on it
      const stays = rows.some((one) => one.set === row.set && one.id === row.id);
      const changes = { set: row.set, id: row.id, step: undefined, ...(stays ? {} : { offset: undefined }) };
      go(href(view, changed(params, changes)), { replace: true });
    },
  };
}

function pathWith(run: string, filter: URLSearchParams, more: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(filter);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  return runPath(run, 'trajectories', query);
}
