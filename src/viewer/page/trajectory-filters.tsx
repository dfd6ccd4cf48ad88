import type { RunInfo } from '../api.js';
import { changed, go, href, type View } from './address.js';

/** What trajectories are filtered by, under the same names in the address and in requests. */
export const FILTERS = ['text', 'success', 'in', 'stage', 'policy', 'device', 'family', 'labels'] as const;

/** Puts the focus into the text filter, unfolded. */
export function focusFilter(): void {
  const field = document.getElementById('filter-text');
  field?.closest('details')?.setAttribute('open', '');
  field?.focus();
}

/** What a step of a trajectory is filtered by. */
const DISPUTES = {
  judges: 'the two judges differ',
  outcome: 'differ from the outcome',
  state: "differ from the phone's state",
  unknown: 'a step without a rating',
} as const;

interface TrajectoryFiltersProps {
  readonly info: RunInfo;
  readonly view: View;
  readonly params: URLSearchParams;
  /** hides the fields behind a line to click */
  readonly folded: boolean;
}

/** The fields that filter the list. */
export function TrajectoryFilters({ info, view, params, folded }: TrajectoryFiltersProps) {
  const active = FILTERS.filter((name) => params.has(name)).length;
  const fields = <Fields info={info} view={view} params={params} active={active} />;
  if (!folded) return fields;
  return (
    <details class="fold">
      <summary>Filter trajectories{active > 0 && ` (${active} active)`}</summary>
      {fields}
    </details>
  );
}

function Fields({ info, view, params, active }: Omit<TrajectoryFiltersProps, 'folded'> & { readonly active: number }) {
  const set = (name: string, value: string, replace = false): void =>
    go(href(view, changed(params, { [name]: value, offset: undefined })), { replace });
  const distinct = (of: 'stage' | 'policy' | 'device') =>
    [...new Set(info.sets.map((one) => one[of]))].filter((value) => value !== '').sort();
  const none = Object.fromEntries([...FILTERS, 'offset'].map((name) => [name, undefined]));
  return (
    <search class="filters" aria-label="Filter trajectories">
      <label class="text">
        Task
        <input
          id="filter-text"
          type="search"
          placeholder="words of the task, or an id"
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
          name="Task family"
          value={params.get('family')}
          options={info.families.map((family) => [family, family])}
          onChoice={(value) => set('family', value)}
        />
      )}
      {info.labels && info.labels.disputes.length > 0 && (
        <Choice
          name="Labels"
          value={params.get('labels')}
          options={info.labels.disputes.map(({ kind, trajectories }) => [kind, `${DISPUTES[kind]} (${trajectories})`])}
          onChoice={(value) => set('labels', value)}
        />
      )}
      {active > 0 && <a href={href(view, changed(params, none))}>Clear filters</a>}
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
