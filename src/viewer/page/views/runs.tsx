import { Heads } from '../heads.js';
import type { RunRow, RunsCompared } from '../../api.js';
import { changed, go, href } from '../address.js';
import { useAnswer } from '../answer.js';
import { Notice, Waiting } from '../notice.js';
import type { ViewProps } from '../view-props.js';

/** How often the table is refreshed. */
const LOOK_MS = 10_000;
/** Settings and evaluations of a run that the table shows. */
const SHOWN = 4;

/** All runs of the folder; those that are ticked are compared: settings that differ, and their evaluations. */
export function RunsView({ params }: ViewProps) {
  const answer = useAnswer<RunRow[]>('/all-runs', LOOK_MS);
  if (answer.error) return <Notice kind="problem">{answer.error}</Notice>;
  if (!answer.value) return <Waiting />;
  const chosen = (params.get('compare') ?? '').split(',').filter((name) => name !== '');
  const toggle = (run: string): void => {
    const next = chosen.includes(run) ? chosen.filter((name) => name !== run) : [...chosen, run];
    go(href('runs', changed(params, { compare: next.join(',') })));
  };
  return (
    <div class="runs">
      <section aria-labelledby="all-runs">
        <h2 id="all-runs">All runs</h2>
        <p class="note">Tick two or more to compare them; the first one ticked is the baseline.</p>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <Heads names={['compare', 'run', 'changed', 'state', 'settings', 'success']} />
              </tr>
            </thead>
            <tbody>
              {answer.value.map((row) => (
                <Row key={row.run} row={row} ticked={chosen.includes(row.run)} toggle={() => toggle(row.run)} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
      {chosen.length > 1 && <Comparison runs={chosen} />}
    </div>
  );
}

interface RowProps {
  readonly row: RunRow;
  readonly ticked: boolean;
  readonly toggle: () => void;
}

function Row({ row, ticked, toggle }: RowProps) {
  const { run, changed_at: time, forked_from: from, state, like, differs, rates } = row;
  const settings = Object.entries(differs).map(([path, value]) => `${path}=${shown(value)}`);
  const best = Object.entries(rates).sort(([, a], [, b]) => b.rate - a.rate);
  return (
    <tr>
      <td>
        <input type="checkbox" checked={ticked} onChange={toggle} aria-label={`compare ${run}`} />
      </td>
      <th scope="row">
        <a href={href('evaluations', { run })}>{run}</a>
      </th>
      <td>{new Date(time).toLocaleString()}</td>
      <td>{state}</td>
      <td>
        <Lines of={[from === null ? like : `fork of ${from}`, ...settings]} />
      </td>
      <td>
        <Lines of={best.map(([name, { rate, ci95 }]) => `${name} ${percent(rate)} (${range(ci95)})`)} />
      </td>
    </tr>
  );
}

function Lines({ of }: { of: readonly string[] }) {
  return (
    <>
      {of.slice(0, SHOWN).map((line) => (
        <div key={line}>{line}</div>
      ))}
      {of.length > SHOWN && (
        <details>
          <summary>{of.length - SHOWN} more</summary>
          {of.slice(SHOWN).map((line) => (
            <div key={line}>{line}</div>
          ))}
        </details>
      )}
    </>
  );
}

function Comparison({ runs }: { runs: readonly string[] }) {
  const answer = useAnswer<RunsCompared>(`/compare?runs=${encodeURIComponent(runs.join(','))}`);
  if (answer.error) return <Notice kind="problem">{answer.error}</Notice>;
  if (!answer.value) return <Waiting />;
  const { settings, evaluations, missing } = answer.value;
  const common = evaluations.filter(({ rates }) => rates.length > 1);
  return (
    <>
      <section aria-labelledby="settings-diff">
        <h2 id="settings-diff">Settings that differ</h2>
        {settings.length === 0 ? (
          <p>The results that these runs share were built with the same settings.</p>
        ) : (
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <Heads names={['setting', ...answer.value.runs, 'in']} />
                </tr>
              </thead>
              <tbody>
                {settings.map(({ path, values, instances }) => (
                  <tr key={`${path} ${instances.join()}`}>
                    <th scope="row">
                      <code>{path}</code>
                    </th>
                    {values.map((value, i) => (
                      <td key={i}>{shown(value)}</td>
                    ))}
                    <td>{instances.join(', ')}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {missing.length > 0 && (
          <p class="note">
            {missing.map(({ instance, only_in: only }) => `${instance} only in ${only.join(', ')}`).join('; ')}
          </p>
        )}
      </section>
      <section aria-labelledby="across">
        <h2 id="across">Evaluations across runs</h2>
        {common.length === 0 ? <p>These runs have no evaluation in common.</p> : <Across evaluations={common} />}
      </section>
    </>
  );
}

function Across({ evaluations }: { evaluations: RunsCompared['evaluations'] }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <Heads
              names={['evaluation', 'run', 'success', '95 % interval', 'episodes', 'against the first (points)']}
            />
          </tr>
        </thead>
        <tbody>
          {evaluations.flatMap(({ name, rates }) =>
            rates.map(({ run, rate, ci95, successes, episodes, against_first: against }, i) => (
              <tr key={`${name} ${run}`}>
                <th scope="row">{i === 0 ? name : ''}</th>
                <td>{run}</td>
                <td>{percent(rate)}</td>
                <td>{range(ci95)}</td>
                <td>
                  {successes} of {episodes}
                </td>
                <td>
                  {against &&
                    `${points(against.difference)} (${points(against.ci95[0])} to ${points(against.ci95[1])})`}
                  {against?.why !== undefined && <span class="note"> not paired: {against.why}</span>}
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  );
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return '–';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

const percent = (rate: number): string => `${(100 * rate).toFixed(1)} %`;
const range = ([low, high]: readonly [number, number]): string =>
  `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)}`;

function points(difference: number): string {
  const text = (100 * difference).toFixed(1);
  return Number(text) > 0 ? `+${text}` : text.replace('-', '−');
}
