import { caveats, settingOf, type Evaluation, type Pair } from './evaluations.js';
import { count, html, percent, signed, table, type Markup, type Piece } from './html.js';
import { publishedMarkup } from './published.js';
import { difference, pValue, rateTable, type RateLine } from './rates.js';
import type { Report } from './report.js';

/** The section on success rates: the headline, all rates, what the policies are, and the literature. */
export function successMarkup(report: Report): Markup {
  const { evaluations, policies, embedded } = report;
  if (evaluations.size === 0)
    return html`<p class="missing">The setting report.evals is empty, so there are no success rates to show.</p>`;
  const base = baseline(report);
  const own = policies.flatMap(({ name, method }) => {
    const rate = [...evaluations.values()].find(
      (one) => one.policy === name && one.split === 'test' && one.protocol === 'all' && one.mode === 'sampled',
    );
    return method && rate ? [{ policy: name, method, rate }] : [];
  });
  return html`${headline(report)}
${byTemperature(report)}
${allRates(report, base)}
${footnotes(evaluations)}
${policyList(report)}
${families(report)}
${everyPair(report.pairs)}
${publishedMarkup(own, embedded)}`;
}

/** The policy that the others are compared with in the table. */
function baseline({ evaluations, compare }: Report): string | undefined {
  return evaluations.get(compare[0])?.policy;
}

/** The sentence a reader came for: how far the second of the compared evaluations is above the first, and how sure that is. */
function headline({ evaluations, compare: [before, after], comparison, seed }: Report): Markup {
  const [a, b] = [evaluations.get(before), evaluations.get(after)];
  if (!a || !b)
    return html`<p class="missing">report.compare names ${before} and ${after}, but report.evals does not name both, so they are not compared here.</p>`;
  const pair = 'found' in comparison ? comparison.found.pair : undefined;
  const sure =
    pair && pair.shared > 0
      ? html`<p>Paired on ${count(pair.shared)} episodes with the same task on the same phone: 95${'\u00a0'}% interval ${signed(100 * pair.ci95[0], 1)} to ${signed(100 * pair.ci95[1], 1)} points; exact McNemar test, ${pValue(pair.p)}.</p>`
      : html`<p>The two share no episodes, so there is no paired test.</p>`;
  return html`<p class="lead"><b>${b.policy}</b> succeeds in <b>${percent(b.rate)}</b> of ${b.episodes} ${b.split} episodes, ${a.policy} in ${percent(a.rate)} of ${a.episodes}: <b>${signed(100 * (b.rate - a.rate), 1)} points</b>.</p>
${sure}
<p class="note">All of these numbers come from one training seed (${seed}). They show how these trained policies compare: the intervals and tests cover the choice of test episodes. They cannot show that one method is better than another, because training varies from seed to seed. For that, repeat the training with several seeds and compare the means.</p>`;
}

/** The lead of the second compared policy at each temperature: at temperature 1 it also counts what sharpening gains. */
function byTemperature({ evaluations, compare, pairs }: Report): Markup {
  const [a, b] = compare.map((name) => evaluations.get(name));
  if (!a || !b || a.policy === b.policy) return html``;
  const all = [...evaluations].filter(([, one]) => one.split === b.split);
  const settings = [...new Set(all.map(([, one]) => settingOf(one)))];
  const rows = settings.flatMap((setting) => {
    const [before, after] = [a, b].map(({ policy }) =>
      all.find(([, one]) => one.policy === policy && settingOf(one) === setting),
    );
    if (!before || !after) return [];
    const pair = pairs.find((one) => one.before === before[0] && one.after === after[0]);
    return [[setting, percent(before[1].rate), percent(after[1].rate), pair ? difference(pair) : '–']];
  });
  const others = all.filter(([, { policy }]) => policy !== a.policy);
  const lacking = [...new Set(others.map(([, one]) => settingOf(one)))].filter(
    (setting) => !all.some(([, one]) => one.policy === a.policy && settingOf(one) === setting),
  );
  const advice =
    lacking.length > 0 &&
    html`<p class="missing">${a.policy} was not evaluated on ${lacking.join('; ')}: name it in report.evals, so that there is something to compare with.</p>`;
  if (rows.length < 2)
    return html`<p class="note">The two were compared at one temperature alone. A policy that is only surer of what it knows already gains at temperature 1 too: add ${a.policy}-${b.split}-t0.5, ${b.policy}-${b.split}-greedy and so on to report.evals.</p>${advice}`;
  return html`<h3>By temperature</h3><p class="note">The same two policies, each at the same temperature. A policy that is only surer of what it knows already leads at temperature 1, and less when both act greedily.</p>
${table(['actions', a.policy, b.policy, 'difference'], rows)}${advice}`;
}

function allRates({ evaluations, policies, pairs }: Report, base: string | undefined): Markup {
  const groups = new Map<string, RateLine[]>();
  for (const [name, one] of evaluations) {
    const key = settingOf(one);
    const against = pairs.find(({ before, after }) => after === name && evaluations.get(before)?.policy === base);
    const line = { ...lineOf(one, policies), against, steps: one.mean_steps };
    groups.set(key, [...(groups.get(key) ?? []), line]);
  }
  const several = [...evaluations.values()].some(({ policy }) => policy !== base);
  return rateTable(
    [...groups].map(([heading, lines]) => ({ heading, lines })),
    'Success rates with Wilson’s 95\u00a0% intervals; differences in percentage points, paired by episode',
    several ? base : undefined,
  );
}

function lineOf({ policy, ...rate }: Evaluation, policies: Report['policies']): RateLine {
  return { label: policy, colour: policies.find(({ name }) => name === policy)?.colour ?? 0, rate };
}

function footnotes(evaluations: ReadonlyMap<string, Evaluation>): Markup {
  const notes = [...evaluations].flatMap(([name, one]) => {
    const found = caveats(one);
    return found.length === 0 ? [] : [html`<li>${name}: ${found.join('; ')}</li>`];
  });
  return notes.length === 0 ? html`` : html`<ul class="note">${notes}</ul>`;
}

function policyList({ policies }: Report): Markup {
  return html`<h3>The policies</h3><dl class="policies">${policies.map(
    ({ name, description, colour }) =>
      html`<div class="s${colour}"><dt><i class="swatch"></i>${name}</dt><dd>${description}</dd></div>`,
  )}</dl>`;
}

/** The sampled policies by task family, and all numbers in a table. */
function families({ evaluations, policies }: Report): Markup {
  const whole = [...evaluations.values()].filter(({ protocol }) => protocol === 'all');
  const names = [...new Set(whole.flatMap((one) => Object.keys(one.families)))].sort();
  if (names.length < 2) return html``;
  const sampled = whole.filter(({ mode }) => mode === 'sampled');
  const several = new Set(sampled.map(settingOf)).size > 1;
  const tables = names.map((name) => {
    const lines = sampled.flatMap((one) => {
      const rate = one.families[name];
      const line = lineOf(one, policies);
      return rate ? [{ ...line, label: several ? `${line.label}, ${settingOf(one)}` : line.label, rate }] : [];
    });
    return lines.length > 0 && html`<div>${rateTable([{ lines }], name)}</div>`;
  });
  return html`<h3>By task family</h3><div class="families">${tables}</div>`;
}

function everyPair(pairs: readonly Pair[]): Markup {
  if (pairs.length < 2) return html``;
  const rows = pairs.map((pair): Piece[] => [
    html`${pair.after} <span class="note">against</span> ${pair.before}`,
    difference(pair),
    pValue(pair.p),
    pair.gained,
    pair.lost,
    pair.both,
    pair.neither,
  ]);
  return html`<details><summary>Every pair of policies</summary>
<p class="note">Differences in percentage points with 95${'\u00a0'}% intervals (Newcombe’s paired score interval) and p-values of McNemar’s exact test, not corrected for the number of pairs.</p>
${table(['evaluations', 'difference', 'p-value', 'only the first wins', 'only the second wins', 'both', 'neither'], rows)}</details>`;
}
