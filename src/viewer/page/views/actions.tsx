import { useState } from 'preact/hooks';
import type { PolicyScores, State, TrajectoryPage } from '../../api.js';
import { changed, go, href } from '../address.js';
import { runPath, useAnswer, type Answer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { FIRST_ORDER } from '../candidate-table.js';
import { useKeys } from '../keyboard.js';
import { Notice, Waiting } from '../notice.js';
import { Value } from '../numbers.js';
import { StatePanel } from '../state-panel.js';

/** One state with all its candidates; beside it, the same state as the critic of another run sees it. */
export function ActionsView({ info, runs, params }: ViewProps) {
  const run = info.name;
  const named = params.has('set') && params.has('id');
  const first = useAnswer<TrajectoryPage>(
    named ? undefined : runPath(run, 'trajectories', new URLSearchParams('limit=1')),
  );
  const [set, id] = [params.get('set') ?? first.value?.rows[0]?.set, params.get('id') ?? first.value?.rows[0]?.id];
  if (!named && first.value?.total === 0)
    return (
      <Notice kind="empty">
        <p>There is no state to look at: {run} has no trajectories yet.</p>
      </Notice>
    );
  if (set === undefined || id === undefined) return <Waiting />;
  return <OneState info={info} runs={runs} params={changed(params, { set, id })} />;
}

function OneState({ info, runs, params }: ViewProps) {
  const run = info.name;
  const [set, id, step] = [params.get('set')!, params.get('id')!, Number(params.get('step') ?? 0)];
  const other = params.get('with') ?? undefined;
  const place = new URLSearchParams({ set, id, step: String(step) });
  const here = useAnswer<State>(runPath(run, 'state', place));
  const there = useAnswer<State>(other === undefined ? undefined : runPath(other, 'state', place));
  const pair = [params.get('policy'), params.get('policy2')];
  const scored = [usePolicy(run, place, pair[0]), usePolicy(run, place, pair[1])];
  const [hot, setHot] = useState<string>();
  const order = params.get('sort') ?? FIRST_ORDER;
  const state = here.value;
  // while the next state is asked for, what policies said of the last one is not about what is shown
  const policies = scored.flatMap(({ value }) => (value && value.tid === state?.tid ? [value] : []));
  const last = (state?.steps ?? 1) - 1;
  const to = (n: number) => href('actions', changed(params, { step: n }));
  const back = href('trajectories', { run, set, id, step });
  useKeys({
    ArrowRight: () => go(to(Math.min(step + 1, last)), { replace: true }),
    ArrowLeft: () => go(to(Math.max(step - 1, 0)), { replace: true }),
    Enter: () => go(back),
  });
  const table = {
    order,
    onOrder: (by: string) => go(href('actions', changed(params, { sort: by })), { replace: true }),
    hot,
    onHot: setHot,
  };
  return (
    <article class="actions" aria-labelledby="goal">
      <div class="bar">
        <nav aria-label="Steps">
          {step > 0 ? <a href={to(step - 1)}>← step {step}</a> : <span aria-disabled="true">← first</span>}{' '}
          <b>
            step {(state?.step ?? step) + 1} of {state?.steps ?? '…'}
          </b>{' '}
          {step < last ? <a href={to(step + 1)}>step {step + 2} →</a> : <span aria-disabled="true">last →</span>}
        </nav>
        <a href={back}>The trajectory</a>
        <label>
          Beside it
          <select
            value={other ?? ''}
            onChange={({ currentTarget }) => go(href('actions', changed(params, { with: currentTarget.value })))}
          >
            <option value="">nothing</option>
            {runs
              .filter((name) => name !== run)
              .map((name) => (
                <option key={name} value={name}>
                  run {name}
                </option>
              ))}
          </select>
        </label>
      </div>
      {info.policies.length > 0 && (
        <div class="bar">
          {pair.map((chosen, i) => (
            <label key={i}>
              {i === 0 ? 'Policy' : 'and policy'}
              <select
                aria-label={i === 0 ? 'first policy' : 'second policy'}
                value={chosen ?? ''}
                onChange={({ currentTarget }) =>
                  go(href('actions', changed(params, { [i === 0 ? 'policy' : 'policy2']: currentTarget.value })))
                }
              >
                <option value="">none</option>
                {info.policies.map((name) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
          ))}
          {scored.some(({ loading }) => loading) && <span class="note">computing…</span>}
        </div>
      )}
      {scored.map(
        ({ error }, i) =>
          error && (
            <Notice key={i} kind="problem">
              {error}
            </Notice>
          ),
      )}
      {here.error && <Notice kind="problem">{here.error}</Notice>}
      {state && (
        <>
          <h2 id="goal">{state.goal}</h2>
          <p class="about">
            <code>{id}</code> of <code>{set}</code> · V <Value of={state.v} /> · return that followed{' '}
            <Value of={state.mcReturn} /> · {state.candidates.length} candidates · the two critics as one by{' '}
            {info.aggregate}, imitated above A {info.threshold}
          </p>
          {state.v === null && state.problems.length === 0 && (
            <Notice kind="empty">
              <p>
                No critic was asked about this state: <code>critiq critic</code> values those of{' '}
                <code>trajectories</code>.
              </p>
            </Notice>
          )}
          <div class={other === undefined ? '' : 'sides'}>
            <StatePanel run={run} state={state} caption={`run ${run}`} policies={policies} {...table} />
            {there.error && <Notice kind="problem">{`run ${other}: ${there.error}`}</Notice>}
            {other !== undefined && there.value?.step === state.step && (
              <div>
                {sameScreen(state, there.value) || (
                  <Notice kind="problem">
                    <p>
                      Run {other} has another screen at this step: what stands beside each other is not the same state.
                    </p>
                  </Notice>
                )}
                <StatePanel run={other} state={there.value} caption={`run ${other}`} policies={[]} {...table} />
              </div>
            )}
          </div>
          <details>
            <summary>The prompt</summary>
            <p>
              <code>{state.prompt}</code>
            </p>
          </details>
        </>
      )}
    </article>
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
