import type { Histogram } from '../../../report/histogram.js';
import { percent } from '../../../report/html.js';
import { Axes, atX, atY, type Frame } from './axes.js';

interface HistogramChartProps {
  readonly histogram: Histogram;
  /** the actor's threshold, drawn as a line */
  readonly mark: number;
}

/** Shares by advantage: of the actions taken as an area, of the other candidates as a line. */
export function HistogramChart({ histogram: { low, high, counts }, mark }: HistogramChartProps) {
  const series = Object.entries(counts).map(([name, bins]) => {
    const total = bins.reduce((sum, count) => sum + count, 0) || 1;
    return { name, total, shares: bins.map((count) => count / total) };
  });
  const most = Math.max(...series.flatMap(({ shares }) => shares), 1e-9) * 1.05;
  const frame: Frame = { left: 58, right: 410, top: 20, bottom: 330, x: [low, high], y: [0, most] };
  const outline = (shares: readonly number[]) =>
    shares
      .map((share, i) => `V${atY(frame, share)}H${atX(frame, low + ((high - low) * (i + 1)) / shares.length)}`)
      .join('');
  return (
    <figure>
      <svg
        class="chart"
        viewBox="0 0 420 380"
        role="img"
        aria-label="Shares by advantage, of the actions taken and of the other candidates"
      >
        <Axes frame={frame} xLabel="advantage" yLabel="share" format={percent} />
        {series.map(({ name, shares }) => (
          <path
            key={name}
            class={name === 'taken' ? 'area' : 'line'}
            style={{ '--stroke': `var(--${name === 'taken' ? 's0' : 's1'})` }}
            d={`M${frame.left} ${frame.bottom}${outline(shares)}V${frame.bottom}`}
          />
        ))}
        {mark >= low && mark <= high && (
          <>
            <path class="diagonal" d={`M${atX(frame, mark)} ${frame.top - 14}V${frame.bottom}`} />
            <text x={atX(frame, mark) + 4} y={frame.top - 4}>
              threshold {mark}
            </text>
          </>
        )}
      </svg>
      <figcaption class="legend">
        {series.map(({ name, total }) => (
          <span key={name}>
            <i class="swatch" style={{ background: `var(--${name === 'taken' ? 's0' : 's1'})` }} />
            {name === 'taken' ? 'action taken' : 'other candidates'} ({total}){' '}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
