import type { Reliability } from '../../../report/reliability.js';
import { Axes, atX, atY, padded, type Frame } from './axes.js';
import { shown, Value } from '../numbers.js';

const COLOURS: Readonly<Record<string, string>> = { train: 's0', validation: 's2', all: 's2' };
const NAMES: Readonly<Record<string, string>> = {
  train: 'trained on',
  validation: 'held out',
  all: 'all trajectories',
};

/** Mean Q against the mean return that followed, by bins; on the diagonal the critic is right. */
export function CalibrationChart({ reliability }: { reliability: Readonly<Record<string, Reliability>> }) {
  const series = Object.entries(reliability);
  const bins = series.flatMap(([, { bins }]) => bins);
  const range = padded([0, ...bins.flatMap(({ predicted, observed, ci95 }) => [predicted, observed, ...(ci95 ?? [])])]);
  const frame: Frame = { left: 50, right: 410, top: 10, bottom: 330, x: range, y: range };
  const largest = Math.max(...bins.map(({ count }) => count));
  return (
    <figure>
      <svg
        class="chart"
        viewBox="0 0 420 370"
        role="img"
        aria-label="Return that followed against Q, by bins of Q; the table has the numbers"
      >
        <Axes frame={frame} xLabel="Q of the action taken" yLabel="return that followed" />
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
                  <title>{`${count} steps: Q ${shown(predicted)}, return ${shown(observed)}`}</title>
                </circle>
              </g>
            ))}
          </g>
        ))}
      </svg>
      <div class="scroll">
        <table class="calibration">
          <thead>
            <tr>
              {['trajectories', 'steps', 'bias', 'RMSE', 'correlation', 'calibration error'].map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {series.map(([name, one]) => (
              <tr key={name} data-part={name}>
                <th scope="row">
                  <i class="swatch" style={{ background: `var(--${COLOURS[name]})` }} />
                  {NAMES[name]} ({one.trajectories})
                </th>
                <td>
                  <Value of={one.steps} digits={0} />
                </td>
                {[one.bias, one.rmse, one.correlation, one.calibration_error].map((value, i) => (
                  <td key={i}>
                    <Value of={value} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
