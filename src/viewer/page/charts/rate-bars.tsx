import { Heads } from '../heads.js';
import type { Rate } from '../../../report/evaluations.js';
import { percent, percentRange } from '../../../report/html.js';

/** A rate with its name; `colour`: its number in the palette. */
export interface NamedRate {
  readonly name: string;
  readonly colour: number;
  readonly rate: Rate | undefined;
}

/** Success rates as bars from 0 to 100 % with 95 % intervals and the numbers; on narrow pages each is a block. */
export function RateBars({ rates, caption }: { rates: readonly NamedRate[]; caption: string }) {
  return (
    <table class="rates">
      <caption>{caption}</caption>
      <thead class="hidden">
        <tr>
          <Heads names={['policy', 'chart', 'rate', '95 % interval', 'episodes']} />
        </tr>
      </thead>
      <tbody>
        {rates.map(({ name, colour, rate }) => (
          <tr key={name} style={{ '--stroke': `var(--s${colour})` }}>
            <th scope="row">
              <i class="swatch" style={{ background: 'var(--stroke)' }} />
              {name}
            </th>
            <td class="bar">
              <svg viewBox="0 0 200 16" preserveAspectRatio="none" aria-hidden="true">
                <path class="frame" d="M0.5 0V16M100 0V16M199.5 0V16" />
                {rate && (
                  <>
                    <rect x="0" y="2" width={200 * rate.rate} height="12" />
                    <path
                      d={`M${200 * rate.ci95[0]} 8H${200 * rate.ci95[1]}M${200 * rate.ci95[0]} 3V13M${200 * rate.ci95[1]} 3V13`}
                    />
                  </>
                )}
              </svg>
            </td>
            <td class="rate">
              {rate ? (
                <data class="value" value={String(rate.rate)} title={String(rate.rate)}>
                  {percent(rate.rate)}
                </data>
              ) : (
                '–'
              )}
            </td>
            <td class="ci note">{rate && percentRange(rate.ci95)}</td>
            <td class="n note">{rate && `${rate.successes} of ${rate.episodes}`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
