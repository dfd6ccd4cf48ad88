import { inWords } from '../../agents/action-words.js';
import type { Candidate, PolicyScores, State } from '../api.js';
import { advantageColour, Value } from './numbers.js';

/** A column of numbers that the table can be in the order of. */
interface Column {
  /** its name in URLs */
  readonly key: string;
  readonly label: string;
  readonly meaning: string;
  readonly digits?: number;
  readonly of: (candidate: Candidate, index: number) => number | null;
}

/** A column and a direction: `-q` is Q, the largest first. */
export const FIRST_ORDER = '-advantage';

function columnsOf(state: State, policies: readonly PolicyScores[]): Column[] {
  return [
    { key: 'count', label: 'n', meaning: 'how often it was sampled', digits: 0, of: ({ count }) => count },
    {
      key: 'logProb',
      label: 'log p',
      meaning: 'log-probability under the policy that sampled it, in nats',
      of: ({ logProb }) => logProb,
    },
    ...policies.map(({ policy, logProbs }) => ({
      key: `p:${policy}`,
      label: `log p ${policy}`,
      meaning: `log-probability under policy ${policy}, in nats, computed now`,
      of: (_: Candidate, index: number) => logProbs[index] ?? null,
    })),
    { key: 'q', label: 'Q', meaning: 'what the critic expects of taking it', of: ({ q }) => q },
    { key: 'v', label: 'V', meaning: 'what the critic expects of the state', of: () => state.v },
    { key: 'advantage', label: 'A', meaning: 'advantage: Q less V', of: ({ advantage }) => advantage },
  ];
}

/** Indices of the candidates by a column; what has no number comes last, and the earlier first among equals. */
function sorted({ candidates }: State, columns: readonly Column[], order: string): number[] {
  const column = columns.find(({ key }) => key === order.replace(/^-/, '')) ?? columns.at(-1)!;
  const sign = order.startsWith('-') ? -1 : 1;
  const values = candidates.map(column.of);
  return [...candidates.keys()].sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (x === null || y === null) return Number(x === null) - Number(y === null) || a - b;
    return sign * (x - y) || a - b;
  });
}

interface CandidateTableProps {
  readonly state: State;
  readonly caption: string;
  /** what policies say of the candidates, a column each */
  readonly policies: readonly PolicyScores[];
  readonly order: string;
  readonly onOrder: (order: string) => void;
  /** text of the action that is pointed at, in all tables and drawings */
  readonly hot: string | undefined;
  readonly onHot: (action: string | undefined) => void;
}

/** All candidates of a state with their numbers. */
export function CandidateTable({ state, caption, policies, order, onOrder, hot, onHot }: CandidateTableProps) {
  const scale = advantageScale(state.candidates);
  const columns = columnsOf(state, policies);
  return (
    <div class="scroll">
      <table class="candidates">
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">action</th>
            {columns.map((column) => (
              <SortableHead key={column.key} column={column} order={order} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody onMouseLeave={() => onHot(undefined)}>
          {sorted(state, columns, order).map((i) => {
            const { action, valid, q1, q2, advantage } = state.candidates[i];
            return (
              <tr
                key={action}
                class={`${hot === action ? 'hot' : ''} ${valid ? '' : 'invalid'}`}
                onMouseEnter={() => onHot(action)}
              >
                <th scope="row">
                  <i class="swatch" style={{ background: advantageColour(advantage, scale) }} />
                  <button type="button" title={action} onFocus={() => onHot(action)} onBlur={() => onHot(undefined)}>
                    {inWords(action)}
                  </button>
                  {i === 0 && <span class="mark taken">taken</span>}
                  {i === state.best && <span class="mark best">best of N</span>}
                </th>
                {columns.map(({ key, digits, of }) => (
                  <td key={key} data-column={key} title={key === 'q' && q1 !== null ? `Q1 ${q1}, Q2 ${q2}` : undefined}>
                    <Value of={of(state.candidates[i], i)} digits={digits} />
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

function SortableHead({ column, order, onOrder }: { column: Column } & Pick<CandidateTableProps, 'order' | 'onOrder'>) {
  const { key, label, meaning } = column;
  const direction = order === key ? 'ascending' : order === `-${key}` ? 'descending' : undefined;
  return (
    <th scope="col" aria-sort={direction}>
      <button
        type="button"
        title={`${meaning}; sort by it`}
        onClick={() => onOrder(direction === 'descending' ? key : `-${key}`)}
      >
        {label}
        <span aria-hidden="true">{direction === 'ascending' ? ' ↑' : direction === 'descending' ? ' ↓' : ''}</span>
      </button>
    </th>
  );
}

/** The largest advantage there is, for colours. */
export function advantageScale(candidates: readonly Candidate[]): number {
  return Math.max(0, ...candidates.map(({ advantage }) => Math.abs(advantage ?? 0)));
}
