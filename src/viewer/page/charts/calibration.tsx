import { Heads } from '../heads.js';
import type { Reliability } from '../../../report/reliability.js';
import { Axes, atX, atY, padded, type Frame } from './axes.js';
import { shown, Value } from '../numbers.js';
import { PARTS } from '../../../report/verdicts.js';

const COLOURS: Readonly<Record<string, string>> = { train: 's0', validation: 's2', all: 's2' };

/** Mean return against mean Q, by bins of Q; on the diagonal they are equal. */
export function CalibrationChart({ reliability }: { reliability: Readonly<Record<string, Reliability>> }) {
  const series = Object.entries(reliability);
  const bins = series.flatMap(([, { bins }]) => bins);
  const range = padded([0, ...bins.flatMap(({ predicted, observed, ci95 }) => [predicted, observed, ...(ci95 ?? [])])]);
  const frame: Frame = { left: 58, right: 410, top: 10, bottom: 330, x: range, y: range };
  const largest = Math.max(...bins.map(({ count }) => count));
  return (
    <figure>
      <svg
        class="chart"
        viewBox="0 0 420 380"
        role="img"
        aria-label="Mean return against mean Q, by bins of Q; the table has the numbers"
      >
        <Axes frame={frame} xLabel="Q of the action taken (minimum of the twins)" yLabel="return" />
        <path class="diagonal" d={`M${frame.left} ${frame.bottom}L${frame.right} ${frame.top}`} />
        {series.map(([name, { bins }]) => (
          <g key={name} style={{ '--stroke': `var(--${COLOURS[name]})` }}>
            <path
              class="line"
              d={`M${bins.map((bin) => `${atX(frame, bin.predicted)} ${atY(frame, bin.observed)}`).join('L')}`}
            />
            {bins.map(({ predicted, observed, ci95, count }) => (
              <g key={predicted}>
                {ci95 && (
                  <path class="whisker" d={`M${atX(frame, predicted)} ${atY(frame, ci95[0])}V${atY(frame, ci95[1])}`} />
                )}
                <circle
                  class="point"
                  cx={atX(frame, predicted)}
                  cy={atY(frame, observed)}
                  r={2.5 + 4 * Math.sqrt(count / largest)}
                >
                  <title>{`${count} ${count === 1 ? 'step' : 'steps'}: mean Q ${shown(predicted)}, mean return ${shown(observed)}`}</title>
                </circle>
              </g>
            ))}
          </g>
        ))}
      </svg>
    </figure>
  );
}

/** The numbers of the chart by part of the trajectories. */
export function CalibrationTable({ reliability }: { reliability: Readonly<Record<string, Reliability>> }) {
  const series = Object.entries(reliability);
  return (
    <div class="scroll">
      <table class="calibration">
        <thead>
          <tr>
            <Heads
              names={[
                'part',
                'trajectories',
                'steps',
                'mean error',
                'RMS error',
                'correlation',
                'slope',
                'calibration error',
              ]}
            />
          </tr>
        </thead>
        <tbody>
          {series.map(([name, one]) => (
            <tr key={name} data-part={name}>
              <th scope="row">
                <i class="swatch" style={{ background: `var(--${COLOURS[name]})` }} />
                {PARTS[name]}
              </th>
              <td>{one.trajectories}</td>
              <td>
                <Value of={one.steps} digits={0} />
              </td>
              {[one.bias, one.rmse, one.correlation, one.slope, one.calibration_error].map((value, i) => (
                <td key={i}>
                  <Value of={value} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
