import { inWords } from '../../report/gesture.js';
import type { Candidate, State } from '../api.js';
import { advantageColour, Value } from './numbers.js';

/** What the table can be in the order of. */
export const COLUMNS = ['count', 'logProb', 'q', 'v', 'advantage'] as const;
export type SortBy = (typeof COLUMNS)[number];

/** A column and a direction: `-q` is Q, the largest first. */
export type Order = SortBy | `-${SortBy}`;

const HEADS: Readonly<Record<SortBy, readonly [label: string, meaning: string]>> = {
  count: ['n', 'how often it was sampled'],
  logProb: ['log p', 'log-probability under the policy that sampled it, in nats'],
  q: ['Q', 'what the critic expects of taking it'],
  v: ['V', 'what the critic expects of the state'],
  advantage: ['A', 'advantage: Q less V'],
};

/** The order that a URL names; the largest advantage first where it names none. */
export function orderOf(text: string | null): Order {
  const column = COLUMNS.find((name) => name === text?.replace(/^-/, ''));
  return column ? (`${text!.startsWith('-') ? '-' : ''}${column}` as Order) : '-advantage';
}

/** Indices of the candidates in an order; what has no number comes last, and the earlier first among equals. */
export function sorted(state: State, order: Order): number[] {
  const column = order.replace(/^-/, '') as SortBy;
  const sign = order.startsWith('-') ? -1 : 1;
  const value = (i: number) => (column === 'v' ? state.v : state.candidates[i][column]);
  return [...state.candidates.keys()].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null) || a - b;
    return sign * (x - y) || a - b;
  });
}

interface CandidateTableProps {
  readonly state: State;
  readonly caption: string;
  readonly order: Order;
  readonly onOrder: (order: Order) => void;
  /** text of the action that is pointed at, in all tables and drawings */
  readonly hot: string | undefined;
  readonly onHot: (action: string | undefined) => void;
}

/** All candidates of a state with their numbers. */
export function CandidateTable({ state, caption, order, onOrder, hot, onHot }: CandidateTableProps) {
  const scale = advantageScale(state.candidates);
  return (
    <div class="scroll">
      <table class="candidates">
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">action</th>
            {COLUMNS.map((column) => (
              <SortableHead key={column} column={column} order={order} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody onMouseLeave={() => onHot(undefined)}>
          {sorted(state, order).map((i) => {
            const { action, count, valid, logProb, q, q1, q2, advantage } = state.candidates[i];
            const best = i === state.best;
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
                  {best && <span class="mark best">best of N</span>}
                </th>
                <td>
                  <Value of={count} digits={0} />
                </td>
                <td>
                  <Value of={logProb} />
                </td>
                <td title={q1 === null ? undefined : `Q1 ${q1}, Q2 ${q2}`}>
                  <Value of={q} />
                </td>
                <td>
                  <Value of={state.v} />
                </td>
                <td>
                  <Value of={advantage} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function SortableHead({ column, order, onOrder }: { column: SortBy } & Pick<CandidateTableProps, 'order' | 'onOrder'>) {
  const [label, meaning] = HEADS[column];
  const direction = order === column ? 'ascending' : order === `-${column}` ? 'descending' : undefined;
  return (
    <th scope="col" aria-sort={direction}>
      <button
        type="button"
        title={`${meaning}; sort by it`}
        onClick={() => onOrder(direction === 'descending' ? column : `-${column}`)}
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
