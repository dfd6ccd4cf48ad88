import { inWords } from '../../../agents/action-words.js';
import type { Trajectory } from '../../api.js';
import { Axes, atX, atY, padded, type Frame } from './axes.js';
import { shown } from '../numbers.js';

const LINES = [
  { name: 'Q of the action taken', colour: 's2', of: (step: Trajectory['strip'][number]) => step.scores?.q },
  { name: 'V', colour: 's1', of: (step: Trajectory['strip'][number]) => step.scores?.v },
  { name: 'return', colour: 's0', of: (step: Trajectory['strip'][number]) => step.mcReturn },
] as const;

interface EpisodeChartProps {
  readonly trajectory: Trajectory;
  /** the address of a step */
  readonly to: (step: number) => string;
  /** for a narrow page */
  readonly narrow: boolean;
}

/** Q, V and the return along an episode. */
export function EpisodeChart({ trajectory: { strip }, to, narrow }: EpisodeChartProps) {
  const values = LINES.flatMap(({ of }) => strip.map(of)).filter((value) => value !== undefined);
  const frame: Frame = {
    ...{ left: 50, right: narrow ? 370 : 630, top: 10, bottom: 230 },
    x: [0.5, strip.length + 0.5],
    y: padded([0, ...values]),
  };
  const every = Math.ceil(strip.length / (narrow ? 8 : 16));
  const xTicks = strip.map(({ step }) => step + 1).filter((n) => (n - 1) % every === 0);
  return (
    <figure>
      <svg class="chart wide" viewBox={`0 0 ${narrow ? 380 : 640} 276`} aria-label="Q, V and return by step">
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
      <figcaption class="legend">
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
