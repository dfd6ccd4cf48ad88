import { decimal } from '../../../report/html.js';
import { ticks } from '../../../report/ticks.js';

/** The frame of a chart in its own units: the box of the plot, and the values at its edges. */
export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly x: readonly [low: number, high: number];
  readonly y: readonly [low: number, high: number];
}

/** The position of a value on the x axis. */
export function atX({ left, right, x: [low, high] }: Frame, value: number): number {
  return left + ((value - low) / (high - low || 1)) * (right - left);
}

/** The position of a value on the y axis. */
export function atY({ top, bottom, y: [low, high] }: Frame, value: number): number {
  return bottom - ((value - low) / (high - low || 1)) * (bottom - top);
}

/** The range of some values, with a little room. */
export function padded(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 0.05 * (high - low || 1);
  return [low - room, high + room];
}

interface AxesProps {
  readonly frame: Frame;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xTicks?: readonly number[];
  readonly format?: (value: number) => string;
}

/** Grid lines with tick labels, and the names of the axes. */
export function Axes({ frame, xLabel, yLabel, xTicks, format = decimal }: AxesProps) {
  const { left, right, top, bottom } = frame;
  return (
    <g class="axes">
      {(xTicks ?? ticks(...frame.x)).map((tick) => (
        <g key={`x${tick}`}>
          <path class="grid" d={`M${atX(frame, tick)} ${top}V${bottom}`} />
          <text x={atX(frame, tick)} y={bottom + 18} text-anchor="middle">
            {decimal(tick)}
          </text>
        </g>
      ))}
      {ticks(...frame.y).map((tick) => (
        <g key={`y${tick}`}>
          <path class="grid" d={`M${left} ${atY(frame, tick)}H${right}`} />
          <text x={left - 6} y={atY(frame, tick) + 4} text-anchor="end">
            {format(tick)}
          </text>
        </g>
      ))}
      <text x={(left + right) / 2} y={bottom + 38} text-anchor="middle" class="label">
        {xLabel}
      </text>
      <text transform={`translate(14 ${(top + bottom) / 2}) rotate(-90)`} text-anchor="middle" class="label">
        {yLabel}
      </text>
    </g>
  );
}
