import { isTap, swipeDirection, type Action, type Point } from '../data/action.js';
import { bootstrap95, wilson95 } from '../data/interval.js';
import type { PredictionRow } from '../data/predictions.js';
import { byTrajectory } from '../data/transitions.js';
import { parseAction } from './grammar.js';
import { actionsMatch, inside, type Box } from './matching.js';

/**
 * When a predicted action counts as the recorded one. `aitw`: Android in the Wild's rule (matching.ts). `androidcontrol`: exact
 * parameters, as AndroidControl's step accuracy asks for: a tap inside the smallest element that the recorded tap hit
 * (within 0.14 of it where it hit none), a swipe in the same direction, the same text; other actions by type.
 */
export type Convention = 'aitw' | 'androidcontrol';
export const CONVENTIONS = ['aitw', 'androidcontrol'] as const;

/** Distance of taps that match where no element is known. */
const TAP_RADIUS = 0.14;

/** Kinds of recorded actions that rates are given for. */
export type ActionKind = 'tap' | 'swipe' | Exclude<Action['type'], 'DUAL_POINT'>;

export function kindOf(action: Action): ActionKind {
  if (action.type !== 'DUAL_POINT') return action.type;
  return isTap(action) ? 'tap' : 'swipe';
}

/** Whether a prediction counts as the recorded action. */
export function matches(reference: Action, predicted: Action, boxes: readonly Box[], convention: Convention): boolean {
  if (convention === 'aitw') return actionsMatch(predicted, reference, boxes);
  if (kindOf(reference) !== kindOf(predicted)) return false;
  if (reference.type === 'TYPE') return sameText(reference.text, (predicted as typeof reference).text, 'equal');
  if (reference.type !== 'DUAL_POINT') return true;
  const other = predicted as typeof reference;
  if (kindOf(reference) === 'swipe')
    return swipeDirection(reference.touch, reference.lift) === swipeDirection(other.touch, other.lift);
  const element = smallestAround(reference.touch, boxes);
  if (element) return inside(other.touch, element);
  return Math.hypot(reference.touch[0] - other.touch[0], reference.touch[1] - other.touch[1]) <= TAP_RADIUS;
}

function smallestAround(point: Point, boxes: readonly Box[]): Box | undefined {
  const around = boxes.filter((box) => inside(point, box));
  return around.sort((a, b) => a[2] * a[3] - b[2] * b[3])[0];
}

/** Whether typed texts are the same, whatever their case. `part`: also where one contains the other, as SeeClick counts. */
function sameText(reference: string, predicted: string, how: 'equal' | 'part'): boolean {
  const [a, b] = [reference, predicted].map((text) => text.trim().toLowerCase());
  if (a === b) return true;
  return how === 'part' && a !== '' && b !== '' && (a.includes(b) || b.includes(a));
}

/** A recorded step, and the text that a policy gave for it. */
export interface PredictedStep {
  readonly tid: number;
  readonly trajectory: string;
  readonly step: number;
  readonly family: string;
  /** text of the recorded action */
  readonly action: string;
  readonly prediction: string;
  readonly boxes: readonly Box[];
}

/** Compares one step. A text that cannot be parsed is a miss, whatever the recorded action is. */
export function scored(step: PredictedStep, convention: Convention): PredictionRow {
  const { tid, trajectory, family, action: reference, prediction, boxes } = step;
  const [recorded, said] = [parseAction(reference), parseAction(prediction)];
  const row = { tid, trajectory, step: step.step, family, reference, prediction, parsed: !('invalid' in said) };
  const missed = { matched: false, typeMatched: false };
  if ('invalid' in recorded) return { ...row, ...missed, kind: 'outside', textMatched: null };
  const { action } = recorded;
  const typed = action.type === 'TYPE';
  if ('invalid' in said) return { ...row, ...missed, kind: kindOf(action), textMatched: typed ? false : null };
  const predicted = said.action;
  return {
    ...row,
    kind: kindOf(action),
    matched: matches(action, predicted, boxes, convention),
    typeMatched: action.type === predicted.type,
    textMatched: typed ? predicted.type === 'TYPE' && sameText(action.text, predicted.text, 'part') : null,
  };
}

/** A rate over steps; `ci95`: bootstrap by episode. */
export interface StepRate {
  readonly hits: number;
  readonly of: number;
  readonly rate: number;
  readonly ci95: readonly [number, number];
}

export interface OfflineRates {
  /** steps whose actions match */
  readonly step: StepRate;
  /** episodes of which every step matches; Wilson's interval */
  readonly task: StepRate;
  /** same type of action */
  readonly type: StepRate;
  /** same text (or one contains the other), of the recorded TYPE actions */
  readonly typed_text: StepRate;
  /** matching, of the recorded taps and of the recorded swipes */
  readonly click: StepRate;
  readonly scroll: StepRate;
  /** predictions that are no valid action, of all steps */
  readonly unparsable: StepRate;
  /** recorded actions outside of the grammar: these steps do not count */
  readonly outside: number;
}

/** The rates of some predictions. @param seed of the bootstrap */
export function offlineRates(rows: readonly PredictionRow[], seed: number): OfflineRates {
  const counted = rows.filter(({ kind }) => kind !== 'outside');
  const groups = [...byTrajectory(counted).values()];
  const rate = (of: (row: PredictionRow) => boolean, hit: (row: PredictionRow) => boolean): StepRate => {
    const clusters = groups
      .map((steps) => steps.filter(of))
      .filter((steps) => steps.length > 0)
      .map((steps) => ({ hits: steps.filter(hit).length, of: steps.length }));
    const hits = clusters.reduce((sum, one) => sum + one.hits, 0);
    const total = clusters.reduce((sum, one) => sum + one.of, 0);
    return { hits, of: total, rate: total === 0 ? 0 : hits / total, ci95: bootstrap95(clusters, seed) };
  };
  const won = groups.filter((steps) => steps.every(({ matched }) => matched)).length;
  const all = (): boolean => true;
  return {
    step: rate(all, ({ matched }) => matched),
    task: {
      hits: won,
      of: groups.length,
      rate: groups.length === 0 ? 0 : won / groups.length,
      ci95: wilson95(won, groups.length),
    },
    type: rate(all, ({ typeMatched }) => typeMatched),
    typed_text: rate(
      ({ textMatched }) => textMatched !== null,
      ({ textMatched }) => textMatched === true,
    ),
    click: rate(
      ({ kind }) => kind === 'tap',
      ({ matched }) => matched,
    ),
    scroll: rate(
      ({ kind }) => kind === 'swipe',
      ({ matched }) => matched,
    ),
    unparsable: rate(all, ({ parsed }) => !parsed),
    outside: rows.length - counted.length,
  };
}
