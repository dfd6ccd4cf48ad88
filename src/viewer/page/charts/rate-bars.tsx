import type { Rate } from '../../../report/evaluations.js';
import { percent, percentRange } from '../../../report/html.js';

/** A rate with its name; `colour`: which of the page's. */
export interface NamedRate {
  readonly name: string;
  readonly colour: string;
  readonly rate: Rate | undefined;
}

/** Success rates as bars from 0 to 100 % with their 95 % intervals, and the numbers beside them. */
export function RateBars({ rates, caption }: { rates: readonly NamedRate[]; caption: string }) {
  return (
    <div class="scroll">
      <table class="rates">
        <caption>{caption}</caption>
        <thead class="hidden">
          <tr>
            {['evaluation', 'chart', 'rate', '95 % interval', 'episodes'].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rates.map(({ name, colour, rate }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="bar">
                <svg viewBox="0 0 200 16" preserveAspectRatio="none" aria-hidden="true">
                  <path class="frame" d="M0.5 0V16M100 0V16M199.5 0V16" />
                  {rate && (
                    <g style={{ '--stroke': `var(--${colour})` }}>
                      <rect x="0" y="2" width={200 * rate.rate} height="12" />
                      <path
                        d={`M${200 * rate.ci95[0]} 8H${200 * rate.ci95[1]}M${200 * rate.ci95[0]} 3V13M${200 * rate.ci95[1]} 3V13`}
                      />
                    </g>
                  )}
                </svg>
              </td>
              <td>
                {rate ? (
                  <data class="value" value={String(rate.rate)} title={String(rate.rate)}>
                    {percent(rate.rate)}
                  </data>
                ) : (
                  '–'
                )}
              </td>
              <td class="note">{rate && percentRange(rate.ci95)}</td>
              <td class="note">{rate && `${rate.successes} of ${rate.episodes}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
