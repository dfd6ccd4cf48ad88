import type { Step, StepLabel } from '../api.js';

type Rating = StepLabel['rating'];

/** The ratings of a step, each with its reason, and what disagrees with the first. */
export function StepRatings({ step: { label } }: { step: Step }) {
  if (!label) return null;
  const { rating, explanation, judge, source, second, outcome, state } = label;
  const differs = (other: Rating) => other !== null && rating !== null && other !== rating;
  return (
    <div class="ratings">
      <Rated rating={rating} by={source === 'judge' ? judge : `by ${source}`} why={explanation} />
      {second && (
        <Rated rating={second.rating} by={second.judge} why={second.explanation} differs={differs(second.rating)} />
      )}
      {source !== 'outcome' && differs(outcome) && <p class="differs">but by the outcome: {WORDS[outcome!]}</p>}
      {source !== 'state' && differs(state) && <p class="differs">but by the state of the phone: {WORDS[state!]}</p>}
    </div>
  );
}

const WORDS = { 1: 'bad', 2: 'good' } as const;

interface RatedProps {
  readonly rating: Rating;
  readonly by: string;
  readonly why: string;
  readonly differs?: boolean;
}

function Rated({ rating, by, why, differs = false }: RatedProps) {
  const sign = rating === null ? '? no rating' : rating === 2 ? '▲ good' : '▼ bad';
  return (
    <p class={differs ? 'differs' : ''}>
      <span class={`outcome ${rating === null ? '' : rating === 2 ? 'good' : 'bad'}`}>{sign}</span>{' '}
      <span class="by">{by}</span>
      {why !== '' && <>: {why}</>}
    </p>
  );
}
