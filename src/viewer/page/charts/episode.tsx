import { inWords } from '../../../agents/action-words.js';
import type { Trajectory } from '../../api.js';
import { Axes, atX, atY, padded, type Frame } from './axes.js';
import { shown } from '../numbers.js';

const LINES = [
  { name: 'Q of the action taken', colour: 's2', of: (step: Trajectory['strip'][number]) => step.scores?.q },
  { name: 'V', colour: 's1', of: (step: Trajectory['strip'][number]) => step.scores?.v },
  { name: 'return that followed', colour: 's0', of: (step: Trajectory['strip'][number]) => step.mcReturn },
] as const;

/** What the critic expects along an episode, and what came. `to`: the address of a step. */
export function EpisodeChart({ trajectory: { strip }, to }: { trajectory: Trajectory; to: (step: number) => string }) {
  const values = LINES.flatMap(({ of }) => strip.map(of)).filter((value) => value !== undefined);
  const frame: Frame = {
    ...{ left: 50, right: 630, top: 10, bottom: 230 },
    x: [0.5, strip.length + 0.5],
    y: padded([0, ...values]),
  };
  const every = Math.ceil(strip.length / 16);
  const xTicks = strip.map(({ step }) => step + 1).filter((n) => (n - 1) % every === 0);
  return (
    <figure>
      <svg class="chart wide" viewBox="0 0 640 270" aria-label="Q, V and return by step">
        <Axes frame={frame} xLabel="step" yLabel="value" xTicks={xTicks} />
        {LINES.map(({ name, colour, of }) => {
          const points = strip.flatMap((step) => {
            const value = of(step);
            return value === undefined ? [] : [{ step, x: atX(frame, step.step + 1), y: atY(frame, value), value }];
          });
          return (
            <g key={name} style={{ '--stroke': `var(--${colour})` }}>
              {points.length > 1 && <path class="line" d={`M${points.map(({ x, y }) => `${x} ${y}`).join('L')}`} />}
              {points.map(({ step, x, y, value }) => (
                <a key={step.tid} href={to(step.step)} aria-label={`step ${step.step + 1}: ${name} ${shown(value)}`}>
                  <circle class="point" cx={x} cy={y} r="3.5">
                    <title>{`${step.step + 1}. ${inWords(step.action)}: ${name} ${shown(value)}`}</title>
                  </circle>
                </a>
              ))}
            </g>
          );
        })}
      </svg>
      <figcaption class="note">
        {LINES.map(({ name, colour }) => (
          <span key={name}>
            <i class="swatch" style={{ background: `var(--${colour})` }} />
            {name}{' '}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
