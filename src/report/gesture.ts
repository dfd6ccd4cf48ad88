import { parseAction } from '../agents/grammar.js';
import { isTap, type Point } from '../data/action.js';
import { html, type Markup } from './html.js';

/**
 * Draws a touch over a screenshot of width × height: a cross for a tap, an arrow for a swipe, nothing for other actions.
 * @param kind class of the drawing: `taken`, or `best` for the action that the critic prefers (a ring instead of a cross)
 */
export function drawGesture(text: string, width: number, height: number, kind: 'taken' | 'best'): Markup | undefined {
  const parsed = parseAction(text);
  if ('invalid' in parsed || parsed.action.type !== 'DUAL_POINT') return undefined;
  const { action } = parsed;
  const at = ([y, x]: Point) => [round(x * width), round(y * height)] as const;
  const [x, y] = at(action.touch);
  const tapped: boolean = isTap(action);
  if (tapped) {
    const shape = kind === 'best' ? circle(x, y, 10) : `${circle(x, y, 7)}M${x - 11} ${y}h22M${x} ${y - 11}v22`;
    return strokes(shape, kind);
  }
  const [toX, toY] = at(action.lift);
  const angle = Math.atan2(toY - y, toX - x);
  const barb = (turn: number) =>
    `${round(toX - 10 * Math.cos(angle + turn))} ${round(toY - 10 * Math.sin(angle + turn))}`;
  return strokes(`M${x} ${y}L${toX} ${toY}M${barb(0.5)}L${toX} ${toY}L${barb(-0.5)}`, kind);
}

/** Where an action touches a screen of width × height; undefined for actions without a touch. */
export function touchPoint(
  text: string,
  width: number,
  height: number,
): { readonly x: number; readonly y: number; readonly swipe: boolean } | undefined {
  const parsed = parseAction(text);
  if ('invalid' in parsed || parsed.action.type !== 'DUAL_POINT') return undefined;
  const [y, x] = parsed.action.touch;
  const tapped: boolean = isTap(parsed.action);
  return { x: round(x * width), y: round(y * height), swipe: !tapped };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function circle(x: number, y: number, r: number): string {
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
}

/** The same path twice, the wider one white, so that it shows on any screen. */
function strokes(path: string, kind: string): Markup {
  return html`<path class="halo" d="${path}"/><path class="${kind}" d="${path}"/>`;
}
