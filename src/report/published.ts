import type { Rate } from './evaluations.js';
import { html, percent, table, type Markup } from './html.js';

/** What a policy of the run was made by, where the literature has a counterpart. */
export type Method = 'sft' | 'filteredbc' | 'digiq' | 'digirl' | 'coso';

/** A published success rate on test tasks of Android in the Wild, in percent. */
interface Published {
  readonly method: string;
  readonly counterpart: Method | undefined;
  readonly general: number;
  readonly webshop: number;
  readonly source: string;
}

const DIGIQ = 'Digi-Q, arXiv 2502.15760';
const COSO = 'CoSo, arXiv 2505.03792';

/** docs/algorithms.md §2 and §4 */
const PUBLISHED: readonly Published[] = [
  { method: 'Auto-UI (supervised)', counterpart: 'sft', general: 22.9, webshop: 25.0, source: DIGIQ },
  { method: 'Filtered BC, offline', counterpart: 'filteredbc', general: 54.5, webshop: 43.8, source: DIGIQ },
  { method: 'DigiRL, offline', counterpart: undefined, general: 59.0, webshop: 47.6, source: DIGIQ },
  { method: 'Digi-Q, offline', counterpart: 'digiq', general: 71.2, webshop: 58.0, source: DIGIQ },
  { method: 'DigiRL, online', counterpart: 'digirl', general: 74.5, webshop: 57.3, source: DIGIQ },
  { method: 'DigiRL, online', counterpart: 'digirl', general: 62.7, webshop: 64.2, source: COSO },
  { method: 'CoSo, online', counterpart: 'coso', general: 71.3, webshop: 70.5, source: COSO },
];

/** The rate of a policy of this run on all test tasks, sampled. */
export interface OwnRate {
  readonly policy: string;
  readonly method: Method;
  readonly rate: Rate;
}

/**
 * Published rates beside those of this run; nothing where no policy of the run has a counterpart.
 * @param embedded whether the run acts on the embedded phone
 */
export function publishedMarkup(own: readonly OwnRate[], embedded: boolean): Markup {
  if (own.length === 0) return html``;
  const why = embedded
    ? 'They are not comparable with this run: they come from real Android apps with a VLM as judge, while this run uses critiq’s embedded phone, which has simpler tasks, an exact judge and, unless models.policy is set, a much smaller policy. At most the order of the methods can be compared.'
    : 'They are comparable with this run only where policy, tasks, devices, judge and protocol are the same.';
  const rows = PUBLISHED.map(({ method, counterpart, general, webshop, source }) => {
    const ours = own.filter((one) => one.method === counterpart);
    return [
      method,
      `${general.toFixed(1)}\u00a0%`,
      `${webshop.toFixed(1)}\u00a0%`,
      ours.map(({ policy, rate }) => `${policy} ${percent(rate.rate)}`).join(', ') || '–',
      source,
    ];
  });
  return html`<h3>Published results, for context</h3>
<p class="note">Success on test tasks of Android in the Wild. ${why}</p>
${table(['method', 'General', 'Web Shopping', 'this run', 'source'], rows, { text: true })}`;
}
