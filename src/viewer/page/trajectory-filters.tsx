import type { RunInfo } from '../api.js';
import { changed, go, href } from './address.js';

/** What a trajectory can be chosen by, in the address line and to the server under the same names. */
export const FILTERS = ['text', 'success', 'in', 'stage', 'policy', 'device', 'family'] as const;

/** The fields above the list. */
export function TrajectoryFilters({ info, params }: { info: RunInfo; params: URLSearchParams }) {
  const set = (name: string, value: string, replace = false): void =>
    go(href('trajectories', changed(params, { [name]: value, offset: undefined })), { replace });
  const distinct = (of: 'stage' | 'policy' | 'device') =>
    [...new Set(info.sets.map((one) => one[of]))].filter((value) => value !== '').sort();
  const some = FILTERS.some((name) => params.has(name));
  return (
    <search class="filters" aria-label="Filter trajectories">
      <label class="text">
        Task
        <input
          id="filter-text"
          type="search"
          placeholder="words of the task or id"
          value={params.get('text') ?? ''}
          onInput={({ currentTarget }) => set('text', currentTarget.value, true)}
        />
      </label>
      <Choice
        name="Outcome"
        value={params.get('success')}
        options={[
          ['yes', 'success'],
          ['no', 'failure'],
        ]}
        onChoice={(value) => set('success', value)}
      />
      {(['stage', 'policy', 'device'] as const).map((of) => (
        <Choice
          key={of}
          name={of === 'stage' ? 'Stage' : of === 'policy' ? 'Policy' : 'Device'}
          value={params.get(of)}
          options={distinct(of).map((value) => [value, value])}
          onChoice={(value) => set(of, value)}
        />
      ))}
      <Choice
        name="Data set"
        value={params.get('in')}
        options={info.sets.map(({ name, trajectories }) => [name, `${name} (${trajectories})`])}
        onChoice={(value) => set('in', value)}
      />
      {info.families.length > 1 && (
        <Choice
          name="Kind of task"
          value={params.get('family')}
          options={info.families.map((family) => [family, family])}
          onChoice={(value) => set('family', value)}
        />
      )}
      {some && <a href={href('trajectories', { run: params.get('run') ?? undefined })}>Clear</a>}
    </search>
  );
}

interface ChoiceProps {
  readonly name: string;
  readonly value: string | null;
  readonly options: readonly (readonly [value: string, label: string])[];
  readonly onChoice: (value: string) => void;
}

function Choice({ name, value, options, onChoice }: ChoiceProps) {
  return (
    <label>
      {name}
      <select value={value ?? ''} onChange={({ currentTarget }) => onChoice(currentTarget.value)}>
        <option value="">all</option>
        {options.map(([of, label]) => (
          <option key={of} value={of}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
