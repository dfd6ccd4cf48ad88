import type { EvaluationList, NamedEvaluation } from '../../api.js';
import { changed, go, href } from '../address.js';
import { runPath, useAnswer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { Failures } from '../failures.js';
import { Notice, Problems, Waiting } from '../notice.js';
import { Value } from '../numbers.js';
import { PairedOutcomes } from '../paired-outcomes.js';
import { RateBars, type NamedRate } from '../charts/rate-bars.js';

const COLOURS = 6;
/** How often a run at work is asked for results. */
const LOOK_MS = 5000;

const short = (name: string): string => name.replace('eval/', '');

/** Success rates of the policies, all together and by kind of task; two of them episode by episode; what failed. */
export function EvaluationsView({ info, params }: ViewProps) {
  const run = info.name;
  const answer = useAnswer<EvaluationList>(runPath(run, 'evaluations'), info.running ? LOOK_MS : undefined);
  if (answer.error) return <Notice kind="problem">{answer.error}</Notice>;
  if (!answer.value) return <Waiting />;
  const { evaluations, unfinished, problems } = answer.value;
  return (
    <div class="evaluations">
      <Problems problems={[...problems, ...info.problems.filter(({ where }) => where.startsWith('eval/'))]} />
      {unfinished.length > 0 && (
        <Notice kind="empty">
          <p>
            Without a result yet:{' '}
            {unfinished.map((name) => (
              <code key={name}>{name} </code>
            ))}
            {info.running ? '(it comes when all episodes are done)' : '(the same critiq eval finishes it)'}
          </p>
        </Notice>
      )}
      {evaluations.length === 0 ? (
        <Notice kind="empty">
          <p>
            <b>No policy of {run} has been evaluated yet.</b> <code>critiq eval eval.policy=base run={run}</code> does
            it.
          </p>
        </Notice>
      ) : (
        <Results run={run} evaluations={evaluations} params={params} />
      )}
    </div>
  );
}

interface ResultsProps {
  readonly run: string;
  readonly evaluations: readonly NamedEvaluation[];
  readonly params: URLSearchParams;
}

function Results({ run, evaluations, params }: ResultsProps) {
  const families = [...new Set(evaluations.flatMap((one) => Object.keys(one.families)))].sort();
  const rates = (of: (one: NamedEvaluation) => NamedRate['rate']): NamedRate[] =>
    evaluations.map((one, i) => ({ name: short(one.name), colour: `s${i % COLOURS}`, rate: of(one) }));
  const names = evaluations.map(({ name }) => name);
  const before =
    names.find((name) => name === params.get('before')) ?? names.find((name) => name === 'eval/base-test') ?? names[0];
  const after =
    names.find((name) => name === params.get('after')) ??
    names.find((name) => name === 'eval/digiq-test') ??
    names.at(-1)!;
  const failed = names.find((name) => name === params.get('failures')) ?? after;
  const select = (name: string, value: string, label: string) => (
    <label>
      {label}
      <select
        value={value}
        onChange={({ currentTarget }) =>
          go(href('evaluations', changed(params, { [name]: currentTarget.value, offset: undefined })))
        }
      >
        {names.map((one) => (
          <option key={one} value={one}>
            {short(one)}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <>
      <section aria-labelledby="rates">
        <h2 id="rates">Success rates</h2>
        <RateBars rates={rates((one) => one)} caption="all tasks; 95 % intervals (Wilson)" />
        <details>
          <summary>How each was measured</summary>
          <Measured evaluations={evaluations} />
        </details>
      </section>
      <section aria-labelledby="families">
        <h2 id="families">By kind of task</h2>
        <div class="charts">
          {families.map((family) => (
            <RateBars key={family} rates={rates((one) => one.families[family])} caption={family} />
          ))}
        </div>
      </section>
      <section aria-labelledby="pair">
        <h2 id="pair">Two side by side</h2>
        <div class="bar">
          {select('before', before, 'Before')}
          {select('after', after, 'After')}
        </div>
        <PairedOutcomes run={run} before={before} after={after} />
      </section>
      <section aria-labelledby="failures">
        <h2 id="failures">Failures</h2>
        <div class="bar">{select('failures', failed, 'Of')}</div>
        <Failures
          run={run}
          set={failed}
          offset={Number(params.get('offset') ?? 0)}
          to={(offset) => href('evaluations', changed(params, { offset: offset || undefined }))}
        />
      </section>
    </>
  );
}

function Measured({ evaluations }: { evaluations: readonly NamedEvaluation[] }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            {['evaluation', 'policy', 'tasks', 'actions', 'judge', 'mean steps', 'not judged', 'lost'].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {evaluations.map(({ name, policy, split, protocol, mode, temperature, judge, mean_steps, unknown, lost }) => (
            <tr key={name}>
              <th scope="row">{short(name)}</th>
              <td>{policy}</td>
              <td>
                {split}, {protocol}
              </td>
              <td>{mode === 'greedy' ? 'greedy' : `sampled at ${temperature}`}</td>
              <td>{judge || '–'}</td>
              <td>
                <Value of={mean_steps} digits={1} />
              </td>
              <td>{unknown.length}</td>
              <td>{lost.length}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
