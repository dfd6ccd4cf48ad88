import { legend, reliabilityChart } from './charts.js';
import { count, decimal, html, percent, percentRange, table, type Markup } from './html.js';
import type { RatingQuality, ValueQuality } from './rating-quality.js';

const AGAINST = { labels: 'the labels', state: 'the state of the device' } as const;

/** The section on VEM's value model: how well its values match ratings of held-out steps. */
export function valueModelMarkup({ labels, state }: ValueQuality): Markup {
  const rows = Object.entries({ labels, state }).flatMap(([name, quality]) =>
    quality ? [{ against: AGAINST[name as keyof typeof AGAINST], quality }] : [],
  );
  if (rows.length === 0) return html`<p class="missing">There are no held-out ratings to compare with.</p>`;
  const series = rows.map(({ against, quality }, i) => ({ label: against, colour: 2 * i, reliability: quality }));
  return html`${table(
    [
      'against',
      'trajectories',
      'steps',
      'accuracy',
      '95\u00a0% interval',
      'always the commoner',
      'AUC',
      'calibration error',
    ],
    rows.map(({ against, quality: q }: { against: string; quality: RatingQuality }) => [
      against,
      count(q.trajectories),
      count(q.steps),
      percent(q.accuracy),
      percentRange(q.ci95),
      percent(Math.max(q.good, 1 - q.good)),
      decimal(q.auc),
      q.calibration_error.toFixed(3),
    ]),
    { caption: 'Steps of trajectories that the value model was not trained on.' },
  )}
<figure><h3>Calibration</h3>
${legend(series)}${reliabilityChart(series, { x: 'probability of rating 2 (good)', y: 'share of good steps' })}
<figcaption class="note">Steps are grouped into ten bins by the value; on the dashed line the value equals the share of good steps.</figcaption></figure>`;
}
