import { Heads } from '../heads.js';
import { byPolicy } from '../../../report/colours.js';
import { settingOf } from '../../../report/evaluations.js';
import type { EvaluationList, NamedEvaluation } from '../../api.js';
import { changed, go, href } from '../address.js';
import { runPath, useAnswer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { Failures } from '../failures.js';
import { Notice, Problems, Waiting } from '../notice.js';
import { Value } from '../numbers.js';
import { PairedOutcomes } from '../paired-outcomes.js';
import { coloursOf } from '../policy-name.js';
import { RateBars, type NamedRate } from '../charts/rate-bars.js';

/** How often results of a run in progress are refreshed. */
const LOOK_MS = 5000;

const short = (name: string): string => name.replace('eval/', '');

/** Success rates of the policies, in total and by task family; two of them episode by episode; the failures. */
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
            {info.running ? '(results come when all episodes are done)' : '(run the same critiq eval again to finish)'}
          </p>
        </Notice>
      )}
      {evaluations.length === 0 ? (
        <Notice kind="empty">
          <p>
            <b>No policy of {run} has been evaluated yet.</b> <code>critiq eval eval.policy=base run={run}</code>{' '}
            evaluates one.
          </p>
        </Notice>
      ) : (
        <Results
          run={run}
          evaluations={[...evaluations].sort((a, b) => byPolicy(a.policy, b.policy))}
          params={params}
          colours={coloursOf(info)}
        />
      )}
    </div>
  );
}

interface ResultsProps {
  readonly run: string;
  readonly evaluations: readonly NamedEvaluation[];
  readonly params: URLSearchParams;
  readonly colours: ReadonlyMap<string, number>;
}

function Results({ run, evaluations, params, colours }: ResultsProps) {
  const settings = [...new Set(evaluations.map(settingOf))];
  const rates = (setting: string, of: (one: NamedEvaluation) => NamedRate['rate']): NamedRate[] =>
    evaluations
      .filter((one) => settingOf(one) === setting)
      .map((one) => ({ name: one.policy, colour: colours.get(one.policy) ?? 0, rate: of(one) }));
  const names = evaluations.map(({ name }) => name);
  const pick = (name: string | null | undefined) => names.find((one) => one === name);
  const before = pick(params.get('before')) ?? pick('eval/base-test') ?? names[0];
  const after = pick(params.get('after')) ?? pick('eval/digiq-test') ?? names.at(-1)!;
  const failed = pick(params.get('failures')) ?? after;
  const tasks = settings.find((one) => one === params.get('tasks')) ?? settings[0];
  const families = [...new Set(evaluations.flatMap((one) => Object.keys(one.families)))].sort();
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
        <p class="note">Bars have Wilson's 95 % intervals. Rates are comparable only within a group.</p>
        {settings.map((setting) => (
          <RateBars key={setting} rates={rates(setting, (one) => one)} caption={setting} />
        ))}
        <details>
          <summary>How each was measured</summary>
          <Measured evaluations={evaluations} />
        </details>
      </section>
      <section aria-labelledby="families">
        <h2 id="families">By task family</h2>
        {settings.length > 1 && (
          <nav class="tabs" aria-label="Tasks">
            {settings.map((one) => (
              <a
                key={one}
                href={href('evaluations', changed(params, { tasks: one }))}
                aria-current={one === tasks ? 'true' : undefined}
              >
                {one}
              </a>
            ))}
          </nav>
        )}
        <div class="charts">
          {families.map((family) => (
            <RateBars key={family} rates={rates(tasks, (one) => one.families[family])} caption={family} />
          ))}
        </div>
      </section>
      <section aria-labelledby="pair">
        <h2 id="pair">Before and after</h2>
        <div class="bar">
          {select('before', before, 'Before')}
          {select('after', after, 'After')}
        </div>
        <PairedOutcomes run={run} before={before} after={after} />
      </section>
      <section aria-labelledby="failures">
        <h2 id="failures">Failures</h2>
        <div class="bar">{select('failures', failed, 'Evaluation')}</div>
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
            <Heads names={['evaluation', 'policy', 'tasks', 'actions', 'judge', 'mean steps', 'not judged', 'lost']} />
          </tr>
        </thead>
        <tbody>
          {evaluations.map(({ name, policy, split, protocol, mode, temperature, judge, mean_steps, unknown, lost }) => (
            <tr key={name}>
              <th scope="row">{short(name)}</th>
              <td>{policy}</td>
              <td>
                {protocol === 'first96'
                  ? `first 96 of ${split}`
                  : protocol === 'offline'
                    ? `recorded: ${split}`
                    : protocol === 'distinct'
                      ? `distinct of ${split}`
                      : split}
              </td>
              <td>{mode === 'greedy' ? 'greedy' : `temperature ${temperature}`}</td>
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
