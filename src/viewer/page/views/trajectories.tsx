import type { Trajectory } from '../../api.js';
import { runPath, useAnswer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { useKeys } from '../keyboard.js';
import { useNarrow } from '../narrow.js';
import { Notice, Problems, Waiting } from '../notice.js';
import { coloursOf } from '../policy-name.js';
import { useTrajectoryChoice } from '../trajectory-choice.js';
import { focusFilter, TrajectoryFilters } from '../trajectory-filters.js';
import { TrajectoryList } from '../trajectory-list.js';
import { TrajectoryPicker } from '../trajectory-picker.js';
import { TrajectoryStrip } from '../trajectory-strip.js';

/** All trajectories, filtered, and one of them step by step. */
export function TrajectoriesView({ info, params }: ViewProps) {
  const { name: run } = info;
  const narrow = useNarrow();
  const choice = useTrajectoryChoice('trajectories', info, params);
  const { page, error, chosen, previous, next, choose } = choice;
  const one = useAnswer<Trajectory>(
    chosen && runPath(run, 'trajectory', new URLSearchParams({ set: chosen.set, id: chosen.id })),
  );
  const colours = coloursOf(info);
  useKeys({
    ArrowDown: () => choose(next),
    ArrowUp: () => choose(previous),
    '/': focusFilter,
  });
  if (info.sets.length === 0 && info.problems.length === 0) return <NoTrajectories run={run} />;
  return (
    <div class="trajectories">
      <TrajectoryFilters info={info} view="trajectories" params={params} folded={narrow} />
      <Problems problems={info.problems} />
      {info.sets
        .filter(({ planned, shards }) => planned !== null && planned > shards)
        .map(({ name, shards, planned, stage }) => (
          <Notice key={name} kind="empty">
            <p>
              <code>{name}</code>: {shards} of {planned} shards are done.{' '}
              {info.running ? (
                'The list grows as the stage goes on.'
              ) : (
                <>
                  Run the same <code>critiq {stage}</code> again to finish it.
                </>
              )}
            </p>
          </Notice>
        ))}
      <div class={narrow ? '' : 'beside'}>
        {error ? (
          <Notice kind="problem">{error}</Notice>
        ) : !page ? (
          <Waiting />
        ) : narrow ? (
          <TrajectoryPicker choice={choice} />
        ) : (
          <TrajectoryList page={page} params={params} chosen={chosen} colours={colours} />
        )}
        <section aria-label="The chosen trajectory" aria-busy={one.loading}>
          {one.error && <Notice kind="problem">{one.error}</Notice>}
          {one.value && chosen && (
            <TrajectoryStrip run={run} trajectory={one.value} params={params} colours={colours} />
          )}
          {page?.total === 0 && !chosen && (
            <Notice kind="empty">
              <p>No trajectories match these filters.</p>
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
        <code>critiq import digiq FILE run={run}</code> imports a released data set. The other views show what other
        stages have made.
      </p>
    </Notice>
  );
}
