import { useEffect, useRef } from 'preact/hooks';
import type { Trajectory } from '../api.js';
import { changed, go, href } from './address.js';
import { useKeys } from './keyboard.js';
import { Notice, Problems } from './notice.js';
import { Outcome } from './outcome.js';
import { Screenshot } from './screenshot.js';
import { CARD, StepCard } from './step-card.js';

interface TrajectoryStripProps {
  readonly run: string;
  readonly trajectory: Trajectory;
  readonly params: URLSearchParams;
}

const PARTS = { train: 'the critic was trained on it', validation: 'the critic was not trained on it' };

/** A trajectory as a row of its screens, one of them the current one. */
export function TrajectoryStrip({ run, trajectory, params }: TrajectoryStripProps) {
  const { strip, set, id, goal, task, success, truncated, stage, policy, device, family, reward, part, problems } =
    trajectory;
  const step = Math.min(Number(params.get('step') ?? 0), strip.length - 1);
  const list = useRef<HTMLOListElement>(null);
  const to = (n: number) => href('trajectories', changed(params, { set, id, step: n }));
  const actions = (n: number) => href('actions', { run, set, id, step: n });
  useKeys({
    ArrowRight: () => go(to(Math.min(step + 1, strip.length - 1)), { replace: true }),
    ArrowLeft: () => go(to(Math.max(step - 1, 0)), { replace: true }),
    Home: () => go(to(0), { replace: true }),
    End: () => go(to(strip.length - 1), { replace: true }),
    Enter: () => go(actions(step)),
  });
  useEffect(() => {
    const card = list.current?.querySelector<HTMLElement>(`[data-step="${step}"]`);
    const row = list.current;
    // along the strip only: the page itself stays where it is
    if (card && row) row.scrollTo({ left: card.offsetLeft - (row.clientWidth - card.offsetWidth) / 2 });
  }, [step, id, set]);
  const asked = strip.some(({ scores }) => scores !== null);
  const scale = Math.max(...strip.map(({ scores }) => Math.abs(scores?.advantage ?? 0)));
  const facts = [policy && `policy ${policy}`, stage, device && `on ${device}`, family, part && PARTS[part]];
  return (
    <article class="trajectory" aria-labelledby="goal">
      <h2 id="goal">{goal}</h2>
      <p class="about">
        <Outcome success={success} truncated={truncated} /> <code>{id}</code> of <code>{set}</code>
        {task !== goal && (
          <>
            {' '}
            · task <code>{task}</code>
          </>
        )}{' '}
        · {strip.length} steps · reward {reward} · {facts.filter(Boolean).join(' · ')}
      </p>
      <Problems problems={problems} />
      {!asked && problems.length === 0 && (
        <Notice kind="empty">
          <p>
            No Q and V here: the critic values the states of <code>trajectories</code>, once <code>critiq critic</code>{' '}
            has run.
          </p>
        </Notice>
      )}
      <ol class="strip" ref={list} aria-label="Steps">
        {strip.map((one) => (
          <StepCard
            key={one.tid}
            run={run}
            of={trajectory}
            step={one}
            current={one.step === step}
            scale={scale}
            to={to(one.step)}
            actions={actions(one.step)}
          />
        ))}
        <li class="card end">
          <span class="step">the end</span>
          <Screenshot run={run} screen={trajectory.last} words="the last screen" width={CARD} />
        </li>
      </ol>
      <p class="legend">
        <span class="key taken" aria-hidden="true" /> taken
        {asked && (
          <>
            {' '}
            <span class="key best" aria-hidden="true" /> what best-of-N would take instead
          </>
        )}
      </p>
    </article>
  );
}
