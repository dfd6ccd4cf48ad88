import { inWords } from '../../agents/action-words.js';
import type { Step, Trajectory } from '../api.js';
import { advantageColour, Value } from './numbers.js';
import { Screenshot, type Drawn } from './screenshot.js';

/** Pixels that a strip's screenshot is wide. */
export const CARD = 176;

interface StepCardProps {
  readonly run: string;
  readonly of: Pick<Trajectory, 'set' | 'id'>;
  readonly step: Step;
  readonly current: boolean;
  /** the largest advantage of the trajectory, for colours */
  readonly scale: number;
  readonly to: string;
  readonly actions: string;
}

/** One step: the screen, what was done on it, and what the critic says of that. */
export function StepCard({ run, of, step, current, scale, to, actions }: StepCardProps) {
  const { action, screen, scores, reward, mcReturn } = step;
  const words = inWords(action);
  const better = scores?.best != null && scores.best !== action ? scores.best : undefined;
  const drawn: Drawn[] = [
    ...(better === undefined ? [] : [{ action: better, kind: 'best' } as const]),
    { action, kind: 'taken' },
  ];
  return (
    <li class="card" aria-current={current ? 'step' : undefined} data-step={step.step}>
      <a class="choose" href={to}>
        <span class="step" title={words}>
          {step.step + 1}. <b>{words}</b>
        </span>
        <Screenshot
          run={run}
          screen={screen}
          words={`screen ${step.step + 1}; then: ${words}`}
          width={CARD}
          drawn={drawn}
          place={{ ...of, step: step.step }}
        >
          {!words.startsWith('tap') && !words.startsWith('swipe') && <span class="said">{words}</span>}
        </Screenshot>
      </a>
      <dl>
        {scores && (
          <>
            <dt>Q</dt>
            <dd>
              <Value of={scores.q} />
            </dd>
            <dt>V</dt>
            <dd>
              <Value of={scores.v} />
            </dd>
            <dt title="advantage: Q less V">A</dt>
            <dd>
              <i class="swatch" style={{ background: advantageColour(scores.advantage, scale) }} />
              <Value of={scores.advantage} />
            </dd>
          </>
        )}
        <dt>reward</dt>
        <dd>
          <Value of={reward} />
        </dd>
        <dt title="discounted sum of the rewards from here to the end">return</dt>
        <dd>
          <Value of={mcReturn} />
        </dd>
      </dl>
      {better !== undefined && (
        <p class="better">
          <span class="key best" aria-hidden="true" /> rather: {inWords(better)}
        </p>
      )}
      <p>
        <a href={actions}>{scores ? `${scores.candidates} candidates` : 'candidates'}</a>
      </p>
    </li>
  );
}
