import { useState } from 'preact/hooks';
import { counted } from '../../../counted.js';
import type { PolicyScores, State, Trajectory } from '../../api.js';
import { changed, go, href } from '../address.js';
import { runPath, useAnswer, type Answer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { FIRST_ORDER } from '../candidate-rows.js';
import { useKeys } from '../keyboard.js';
import { Notice, Waiting } from '../notice.js';
import { Value } from '../numbers.js';
import { coloursOf } from '../policy-name.js';
import { StatePanel } from '../state-panel.js';
import { StepPicker } from '../step-picker.js';
import { useTrajectoryChoice, type TrajectoryChoice } from '../trajectory-choice.js';
import { focusFilter, TrajectoryFilters } from '../trajectory-filters.js';
import { TrajectoryPicker } from '../trajectory-picker.js';

/** One state with all its candidates, by the critic of one run or of two. */
export function ActionsView({ info, runs, params }: ViewProps) {
  const choice = useTrajectoryChoice('actions', info, params);
  const { chosen, page, error, previous, next, choose } = choice;
  useKeys({
    ArrowDown: () => choose(next),
    ArrowUp: () => choose(previous),
    '/': focusFilter,
  });
  if (page?.total === 0 && info.sets.length === 0)
    return (
      <Notice kind="empty">
        <p>There is no state to show: {info.name} has no trajectories yet.</p>
      </Notice>
    );
  return (
    <>
      {error && <Notice kind="problem">{error}</Notice>}
      {chosen ? (
        <OneState info={info} runs={runs} params={changed(params, chosen)} choice={choice} />
      ) : page ? (
        <>
          <TrajectoryFilters info={info} view="actions" params={params} folded />
          <Notice kind="empty">
            <p>No trajectories match these filters.</p>
          </Notice>
        </>
      ) : (
        !error && <Waiting />
      )}
    </>
  );
}

function OneState({ info, runs, params, choice }: ViewProps & { readonly choice: TrajectoryChoice }) {
  const run = info.name;
  const [set, id] = [params.get('set')!, params.get('id')!];
  const trajectory = useAnswer<Trajectory>(runPath(run, 'trajectory', new URLSearchParams({ set, id })));
  const whole = trajectory.value?.set === set && trajectory.value.id === id ? trajectory.value : undefined;
  const last = whole === undefined ? undefined : whole.strip.length - 1;
  const asked = Number(params.get('step') ?? 0) || 0;
  // Trajectories has one more, the final screen
  const step = last === undefined ? asked : Math.min(asked, last);
  const other = params.get('with') ?? undefined;
  const place = new URLSearchParams({ set, id, step: String(step) });
  const here = useAnswer<State>(runPath(run, 'state', place));
  const there = useAnswer<State>(other === undefined ? undefined : runPath(other, 'state', place));
  const pair = [params.get('score'), params.get('score2')];
  const scored = [usePolicy(run, place, pair[0]), usePolicy(run, place, pair[1])];
  const [hot, setHot] = useState<string>();
  const state = here.value;
  // until the next state arrives, scores of another one do not belong to what is shown
  const policies = scored.flatMap(({ value }) => (value && value.tid === state?.tid ? [value] : []));
  const beside = there.value?.step === state?.step && there.value?.id === state?.id ? there.value : undefined;
  const same = state && beside && sameScreen(state, beside);
  const to = (n: number) => href('actions', changed(params, { step: n }));
  const back = href('trajectories', changed(params, { step }));
  const show = (n: number) => go(to(Math.min(Math.max(n, 0), last ?? n)), { replace: true });
  useKeys({
    ArrowRight: () => show(step + 1),
    ArrowLeft: () => show(step - 1),
    Home: () => show(0),
    End: () => show(last ?? step),
    Enter: () => go(back),
  });
  const setParam = (name: string) => (value: string) => go(href('actions', changed(params, { [name]: value })));
  return (
    <article class="actions" aria-labelledby="goal">
      <div class="bar">
        <TrajectoryPicker choice={choice} />
        <nav aria-label="Step">
          {step > 0 ? <a href={to(step - 1)}>← step {step}</a> : <span aria-disabled="true">← first</span>}{' '}
          <b>
            step {step + 1} of {state?.steps ?? '…'}
          </b>{' '}
          {step < (last ?? step) ? (
            <a href={to(step + 1)}>step {step + 2} →</a>
          ) : (
            <span aria-disabled="true">last →</span>
          )}
        </nav>
        <a href={back}>Whole trajectory</a>
        <TrajectoryFilters info={info} view="actions" params={params} folded />
      </div>
      {[here.error, ...scored.map(({ error }) => error), there.error && `run ${other}: ${there.error}`].map(
        (error, i) =>
          error && (
            <Notice key={i} kind="problem">
              {error}
            </Notice>
          ),
      )}
      {state && (
        <>
          <StatePanel
            runs={same ? [run, other] : [run]}
            here={state}
            there={same ? beside : undefined}
            policies={policies}
            colours={coloursOf(info)}
            order={params.get('sort') ?? FIRST_ORDER}
            onOrder={(by) => go(href('actions', changed(params, { sort: by })), { replace: true })}
            hot={hot}
            onHot={setHot}
          >
            <h2 id="goal">{state.goal}</h2>
            <p class="about">
              <code>{state.id}</code> in <code>{state.set}</code> · V <Value of={state.v} />
              {same && (
                <>
                  {' '}
                  (run {other}: <Value of={beside.v} />)
                </>
              )}{' '}
              {state.trueV !== null && (
                <>
                  {' '}
                  · true V <Value of={state.trueV} />
                </>
              )}{' '}
              · return <Value of={state.mcReturn} /> · {counted(state.candidates.length, 'candidate')} · twins combined
              by {info.aggregate} · the actor imitates actions with an advantage A above {info.threshold}
            </p>
            {state.v === null && state.problems.length === 0 && (
              <Notice kind="empty">
                <p>
                  The critic has no values for this state: <code>critiq critic</code> computes values only for states of{' '}
                  <code>trajectories</code>.
                </p>
              </Notice>
            )}
            {same === false && (
              <Notice kind="problem">
                <p>Run {other} has a different screen or task at this step, so its values are not shown.</p>
              </Notice>
            )}
            {whole && <StepPicker run={run} trajectory={whole} step={step} to={to} />}
            <div class="bar">
              {runs.length > 1 && (
                <Select
                  label="Compare with run"
                  value={other}
                  options={runs.filter((name) => name !== run)}
                  onChoice={setParam('with')}
                />
              )}
              {info.policies.length > 0 &&
                pair.map((chosen, i) => (
                  <Select
                    key={i}
                    label={i === 0 ? 'Score by policy' : 'and by policy'}
                    name={i === 0 ? 'first policy' : 'second policy'}
                    value={chosen ?? undefined}
                    options={info.policies}
                    onChoice={setParam(i === 0 ? 'score' : 'score2')}
                  />
                ))}
              {scored.some(({ loading }) => loading) && <span class="note">computing…</span>}
            </div>
          </StatePanel>
          <details>
            <summary>Prompt</summary>
            <p>
              <code>{state.prompt}</code>
            </p>
          </details>
        </>
      )}
    </article>
  );
}

interface SelectProps {
  readonly label: string;
  /** its name for screen readers, where the label alone does not say it */
  readonly name?: string;
  readonly value: string | undefined;
  readonly options: readonly string[];
  readonly onChoice: (value: string) => void;
}

function Select({ label, name, value, options, onChoice }: SelectProps) {
  return (
    <label>
      {label}
      <select aria-label={name} value={value ?? ''} onChange={({ currentTarget }) => onChoice(currentTarget.value)}>
        <option value="">none</option>
        {options.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
}

function usePolicy(run: string, place: URLSearchParams, policy: string | null): Answer<PolicyScores> {
  const query = new URLSearchParams(place);
  if (policy !== null) query.set('policy', policy);
  return useAnswer<PolicyScores>(policy === null ? undefined : runPath(run, 'policy-scores', query));
}

function sameScreen(a: State, b: State): boolean {
  return JSON.stringify(a.screen) === JSON.stringify(b.screen) && a.goal === b.goal;
}
