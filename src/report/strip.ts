import { drawGesture } from './gesture.js';
import { inWords } from '../agents/action-words.js';
import { fixed, html, type Markup } from './html.js';
import type { Thumbnail } from './thumbnails.js';

/** An action that was possible in a state, with the critic's values. */
export interface ScoredCandidate {
  readonly action: string;
  /** how often it was sampled */
  readonly count: number;
  readonly valid: boolean;
  readonly q: number;
  readonly advantage: number;
}

/** The critic's values of a step. `candidates[0]` is the action taken; `best`: index of the one that the actor imitates. */
export interface Scores {
  readonly v: number;
  readonly candidates: readonly ScoredCandidate[];
  readonly best: number | undefined;
}

export interface StripStep {
  readonly action: string;
  /** undefined where the screenshot is not stored */
  readonly picture: Thumbnail | undefined;
  readonly scores?: Scores;
  /** discounted return of the rest of the trajectory */
  readonly mcReturn?: number;
}

/** A trajectory as a row of screenshots. */
export interface Strip {
  readonly title: string;
  readonly goal: string;
  /** for example where it comes from */
  readonly note: string;
  readonly success: boolean;
  readonly truncated: boolean;
  readonly steps: readonly StripStep[];
  /** steps left out after those shown */
  readonly more: number;
  /** the final screen; undefined where it is not stored or steps were left out */
  readonly last: Thumbnail | undefined;
}

/** Candidates listed for a step. */
const LISTED = 4;

export function stripMarkup(strip: Strip): Markup {
  const { title, goal, note, success, truncated, steps, more, last } = strip;
  const outcome = success ? 'success' : truncated ? 'failure: out of steps' : 'failure';
  return html`<article class="strip"><h3>${title} <span class="outcome ${success ? 'good' : 'bad'}">${success ? '✓' : '✗'} ${outcome}</span></h3>
<p><q>${goal}</q> <span class="note">${note}</span></p>
<ol tabindex="0" aria-label="${`Steps of ${title}`}">${steps.map((step, i) => stepMarkup(step, i))}
${
  last || more > 0
    ? html`<li>${last && html`<div class="step">final screen</div>${picture(last, 'the final screen', [])}`}${more > 0 && html`<p>and ${more} more ${more === 1 ? 'step' : 'steps'}</p>`}</li>`
    : ''
}</ol></article>
`;
}

function stepMarkup({ action, picture: thumb, scores, mcReturn }: StripStep, index: number): Markup {
  const words = inWords(action);
  const best = scores?.best;
  const drawn = (size: Thumbnail) => [
    best !== undefined && best !== 0
      ? drawGesture(scores!.candidates[best].action, size.width, size.height, 'best')
      : undefined,
    drawGesture(action, size.width, size.height, 'taken'),
  ];
  return html`<li><div class="step" title="${words}">${index + 1}. <b>${words}</b></div>
${thumb ? picture(thumb, `screen of step ${index + 1}; action: ${words}`, drawn(thumb)) : html`<p class="missing">no stored screenshot</p>`}
${
  scores &&
  html`<dl><dt>Q</dt><dd>${fixed(scores.candidates[0].q, 3)}</dd><dt>V</dt><dd>${fixed(scores.v, 3)}</dd><dt>A</dt><dd>${fixed(scores.candidates[0].advantage, 3)}</dd>${
    mcReturn !== undefined &&
    html`<dt title="discounted return of the rest of the trajectory">return</dt><dd>${fixed(mcReturn, 3)}</dd>`
  }</dl>${candidateTable(scores)}`
}</li>
`;
}

function picture({ uri, width, height }: Thumbnail, words: string, drawing: readonly (Markup | undefined)[]): Markup {
  return html`<svg class="screen" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${words}"><image href="${uri}" width="${width}" height="${height}"/>${drawing}</svg>`;
}

/** The candidates with the largest advantages, and the action taken. */
function candidateTable({ candidates, best }: Scores): Markup {
  const ranked = [...candidates.keys()].sort((a, b) => candidates[b].advantage - candidates[a].advantage || a - b);
  const listed = ranked.filter((index, rank) => rank < LISTED || index === 0 || index === best);
  const rest = candidates.length - listed.length;
  return html`<table class="candidates"><thead><tr><th scope="col">candidate</th><th scope="col" title="times sampled">n</th><th scope="col">Q</th><th scope="col">A</th></tr></thead><tbody>
${listed.map((index) => {
  const { action, count, q, advantage, valid } = candidates[index];
  const marks = `${index === best ? '★ ' : ''}${index === 0 ? '▸ ' : ''}`;
  return html`<tr class="${index === best ? 'chosen' : ''} ${valid ? '' : 'invalid'}"><th scope="row">${marks}${inWords(action)}</th><td>${count}</td><td>${fixed(q, 2)}</td><td>${fixed(advantage, 2)}</td></tr>
`;
})}</tbody></table>${rest > 0 && html`<p class="note">and ${rest} more</p>`}`;
}
