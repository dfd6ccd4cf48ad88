import type { TrajectoryChoice } from './trajectory-choice.js';

/** Chooses a trajectory from the page of the list that holds the current one, and steps to its neighbours. */
export function TrajectoryPicker({ choice }: { choice: TrajectoryChoice }) {
  const { page, chosen, at, previous, next, choose } = choice;
  const rows = page?.rows ?? [];
  return (
    <div class="picker" role="group" aria-label="Trajectory">
      <button type="button" disabled={!previous} onClick={() => choose(previous)} title="Previous trajectory (↑)">
        <span aria-hidden="true">‹</span>
        <span class="hidden">Previous trajectory</span>
      </button>
      <select
        aria-label="Trajectory"
        value={String(at)}
        onChange={({ currentTarget }) => choose(rows[Number(currentTarget.value)])}
      >
        {at < 0 && <option value="-1">{chosen ? `${chosen.id} (not in the filtered list)` : 'No trajectory'}</option>}
        {rows.map(({ set, id, goal, success }, i) => (
          <option key={`${set}/${id}`} value={String(i)}>
            {success ? '✓' : '✗'} {id} {goal}
          </option>
        ))}
      </select>
      <button type="button" disabled={!next} onClick={() => choose(next)} title="Next trajectory (↓)">
        <span aria-hidden="true">›</span>
        <span class="hidden">Next trajectory</span>
      </button>
      {page && (
        <span class="note">
          {at >= 0 && `${page.offset + at + 1} of `}
          {page.total}
        </span>
      )}
    </div>
  );
}
