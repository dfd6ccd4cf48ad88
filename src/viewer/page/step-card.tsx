import { inWords } from '../../agents/action-words.js';
import { counted } from '../../counted.js';
import type { Step, Trajectory } from '../api.js';
import { Screenshot, type Drawn } from './screenshot.js';
import { StepRatings } from './step-label.js';
import { StepValues } from './step-values.js';

/** Width of a strip's screenshots in CSS pixels. */
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

/** One step: the screen with the action drawn in, and the critic's values. */
export function StepCard({ run, of, step, current, scale, to, actions }: StepCardProps) {
  const words = inWords(step.action);
  const better = preferred(step);
  return (
    <li class="card" aria-current={current ? 'step' : undefined} data-step={step.step}>
      <a class="choose" href={to}>
        <span class="step" title={words}>
          {step.step + 1}. <b>{words}</b>
        </span>
        <Screenshot
          run={run}
          screen={step.screen}
          words={`screen of step ${step.step + 1}; action: ${words}`}
          width={CARD}
          drawn={drawingOf(step)}
          place={{ ...of, step: step.step }}
        >
          {!words.startsWith('tap') && !words.startsWith('swipe') && <span class="done">{words}</span>}
        </Screenshot>
      </a>
      <StepRatings step={step} />
      <StepValues step={step} scale={scale} />
      {better !== undefined && (
        <p class="better">
          <span class="key best" aria-hidden="true" /> best candidate: {inWords(better)}
        </p>
      )}
      <p>
        <a href={actions}>{step.scores ? counted(step.scores.candidates, 'candidate') : 'candidates'}</a>
      </p>
    </li>
  );
}

/** The action that best-of-N would imitate, if it is not the one taken. */
export function preferred({ action, scores }: Step): string | undefined {
  return scores?.best != null && scores.best !== action ? scores.best : undefined;
}

/** The action taken, over the one that best-of-N prefers. */
export function drawingOf(step: Step): Drawn[] {
  const better = preferred(step);
  return [
    ...(better === undefined ? [] : [{ action: better, kind: 'best' } as const]),
    { action: step.action, kind: 'taken' },
  ];
}
