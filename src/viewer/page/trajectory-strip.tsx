import { useEffect, useRef } from 'preact/hooks';
import { counted } from '../../counted.js';
import type { Trajectory } from '../api.js';
import { changed, go, href } from './address.js';
import { useKeys } from './keyboard.js';
import { Notice, Problems } from './notice.js';
import { Outcome } from './outcome.js';
import { usePlayback } from './playback.js';
import { PolicyName } from './policy-name.js';
import { Screenshot } from './screenshot.js';
import { CARD, StepCard } from './step-card.js';
import { PlayButton, Speed, TrajectoryPlayer } from './trajectory-player.js';

interface TrajectoryStripProps {
  readonly run: string;
  readonly trajectory: Trajectory;
  readonly params: URLSearchParams;
  readonly colours: ReadonlyMap<string, number>;
}

const PARTS = { train: "in the critic's training data", validation: "held out from the critic's training" };

/** A trajectory as a row of its screens, with a current one; it can play, and open in full size. */
export function TrajectoryStrip({ run, trajectory, params, colours }: TrajectoryStripProps) {
  const { strip, set, id, goal, task, success, truncated, stage, policy, device, family, reward, part, problems } =
    trajectory;
  // the number of steps stands for the final screen
  const last = strip.length;
  const step = Math.min(Number(params.get('step') ?? 0) || 0, last);
  const list = useRef<HTMLOListElement>(null);
  const address = (changes: Record<string, string | number | undefined>) =>
    href('trajectories', changed(params, { set, id, ...changes }));
  const actions = (n: number) => href('actions', changed(params, { set, id, step: n, large: undefined }));
  const show = (n: number) => go(address({ step: n }), { replace: true });
  const enlarge = (on: boolean) => go(address({ step, large: on ? 1 : undefined }), { replace: true });
  const playback = usePlayback(`${set}/${id}`, step, last, show);
  useKeys({
    ArrowRight: () => show(Math.min(step + 1, last)),
    ArrowLeft: () => show(Math.max(step - 1, 0)),
    Home: () => show(0),
    End: () => show(last),
    ' ': playback.toggle,
    z: () => enlarge(true),
    Enter: () => go(actions(Math.min(step, last - 1))),
  });
  useEffect(() => {
    const row = list.current;
    const card = row?.querySelector<HTMLElement>(`[data-step="${step}"]`);
    // scrolls the strip alone, not the page
    if (card && row) row.scrollTo({ left: card.offsetLeft - (row.clientWidth - card.offsetWidth) / 2 });
  }, [step, id, set]);
  const scored = strip.some(({ scores }) => scores !== null);
  const rated = strip.some(({ label }) => label !== null);
  const scale = Math.max(...strip.map(({ scores }) => Math.abs(scores?.advantage ?? 0)));
  const facts = [stage, device && `on ${device}`, family, part && PARTS[part]];
  return (
    <article class="trajectory" aria-labelledby="goal">
      <h2 id="goal">{goal}</h2>
      <p class="about">
        <Outcome success={success} truncated={truncated} /> · <code>{id}</code> in <code>{set}</code>
        {task !== goal && (
          <>
            {' '}
            · task <code>{task}</code>
          </>
        )}{' '}
        · {counted(strip.length, 'step')} · reward {reward}
        {policy !== '' && (
          <>
            {' '}
            · policy <PolicyName name={policy} colours={colours} />
          </>
        )}{' '}
        · {facts.filter(Boolean).join(' · ')}
      </p>
      <Problems problems={problems} />
      {!scored && !rated && problems.length === 0 && (
        <Notice kind="empty">
          <p>
            No Q and V here: <code>critiq critic</code> computes them for the states of <code>trajectories</code>.
          </p>
        </Notice>
      )}
      <div class="bar">
        <PlayButton playback={playback} />
        <Speed playback={playback} />
        <button type="button" onClick={() => enlarge(true)}>
          Enlarge
        </button>
      </div>
      <ol class="strip" ref={list} aria-label="Steps">
        {strip.map((one) => (
          <StepCard
            key={one.tid}
            run={run}
            of={trajectory}
            step={one}
            current={one.step === step}
            scale={scale}
            to={address({ step: one.step })}
            actions={actions(one.step)}
          />
        ))}
        <li class="card end" data-step={last} aria-current={step === last ? 'step' : undefined}>
          <span class="step">final screen</span>
          <Screenshot run={run} screen={trajectory.last} words="the final screen" width={CARD} />
        </li>
      </ol>
      <p class="legend">
        <span class="key taken" aria-hidden="true" /> action taken
        {scored && (
          <>
            {' '}
            <span class="key best" aria-hidden="true" /> the best candidate above the actor's threshold
          </>
        )}
      </p>
      {params.has('large') && (
        <TrajectoryPlayer
          run={run}
          trajectory={trajectory}
          step={step}
          scale={scale}
          playback={playback}
          onStep={show}
          onClose={() => enlarge(false)}
        />
      )}
    </article>
  );
}
