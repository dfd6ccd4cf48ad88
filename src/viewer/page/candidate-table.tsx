import { inWords } from '../../agents/action-words.js';
import type { PolicyScores, State } from '../api.js';
import { columnsOf, sortedRows, type CandidateRow, type Column } from './candidate-rows.js';
import { advantageColour, Value } from './numbers.js';

export interface CandidateTableProps {
  readonly runs: readonly [here: string, there?: string];
  readonly here: State;
  /** the same state in the other run */
  readonly there: State | undefined;
  readonly rows: readonly CandidateRow[];
  /** the largest advantage, for colours */
  readonly scale: number;
  /** log-probabilities by policies, a column each */
  readonly policies: readonly PolicyScores[];
  readonly colours: ReadonlyMap<string, number>;
  readonly order: string;
  readonly onOrder: (order: string) => void;
  /** text of the action under the pointer or with the focus */
  readonly hot: string | undefined;
  readonly onHot: (action: string | undefined) => void;
}

/** All candidates of a state with their numbers, of one run or of two. */
export function CandidateTable(props: CandidateTableProps) {
  const { runs, here, there, rows, scale, policies, colours, order, onOrder, hot, onHot } = props;
  const columns = columnsOf(policies, runs, here.trueV !== null);
  const best = (state: State | undefined) => (state?.best == null ? undefined : state.candidates[state.best].action);
  const [bestHere, bestThere] = [best(here), best(there)];
  return (
    <div class="scroll">
      <table class="candidates">
        <caption>
          {runs[1] === undefined ? `Candidates in run ${runs[0]}` : `Candidates in run ${runs[0]} and run ${runs[1]}`}
        </caption>
        <thead>
          <tr>
            <th scope="col">action</th>
            {columns.map((column) => (
              <SortableHead key={column.key} column={column} colours={colours} order={order} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody onMouseLeave={() => onHot(undefined)}>
          {sortedRows(rows, columns, order).map((row) => {
            const { action, number, valid, taken } = row;
            const { q1 = null, q2 = null, advantage = null, truthError = null } = row.here ?? {};
            const hints: Readonly<Record<string, string | undefined>> = {
              q: q1 === null ? undefined : `Q1 ${q1}, Q2 ${q2}`,
              truth: truthError === null ? undefined : `standard error ${truthError.toFixed(3)}`,
            };
            return (
              <tr
                key={action}
                class={`${hot === action ? 'hot' : ''} ${valid ? '' : 'invalid'}`}
                onMouseEnter={() => onHot(action)}
              >
                <th scope="row">
                  <span class="number" style={{ background: advantageColour(advantage, scale) }}>
                    {number}
                  </span>
                  <button type="button" title={action} onFocus={() => onHot(action)} onBlur={() => onHot(undefined)}>
                    {inWords(action)}
                  </button>
                  {taken && <span class="mark taken">taken</span>}
                  {action === bestHere && <span class="mark best">best of N</span>}
                  {action === bestThere && <span class="mark best">best of N in {runs[1]}</span>}
                </th>
                {columns.map(({ key, digits, signed, of }) => (
                  <td key={key} data-column={key} title={hints[key]}>
                    <Value of={of(row)} digits={digits} signed={signed} />
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

interface SortableHeadProps extends Pick<CandidateTableProps, 'order' | 'onOrder' | 'colours'> {
  readonly column: Column;
}

function SortableHead({ column: { key, label, meaning, policy }, colours, order, onOrder }: SortableHeadProps) {
  const direction = order === key ? 'ascending' : order === `-${key}` ? 'descending' : undefined;
  return (
    <th scope="col" aria-sort={direction}>
      {policy !== undefined && <i class="swatch" style={{ background: `var(--s${colours.get(policy) ?? 0})` }} />}
      <button
        type="button"
        title={`${meaning}; click to sort`}
        onClick={() => onOrder(direction === 'descending' ? key : `-${key}`)}
      >
        {label}
        <span aria-hidden="true">{direction === 'ascending' ? ' ↑' : direction === 'descending' ? ' ↓' : ''}</span>
      </button>
    </th>
  );
}
