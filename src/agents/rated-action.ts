import { isTap, swipeDirection, type Action, type Point } from '../data/action.js';
import type { Frame } from '../data/formats/frame.js';
import { parseAction } from './grammar.js';

type Gesture = Extract<Action, { type: 'DUAL_POINT' }>;

/** An action in the short form in which VEM shows it to judges and value models. No policy is trained on this form. */
export function shortAction(action: Action): string {
  const type = (name: string) => `"action_type": "${name}"`;
  if (action.type === 'TYPE') return `${type('TYPE')}, "typed_text": "${action.text}"`;
  if (action.type !== 'DUAL_POINT') return type(action.type);
  const tapped: boolean = isTap(action);
  return tapped
    ? `${type('DUAL_POINT')}, "click_point": "${written(middle(action))}"`
    : type(`SCROLL_${swipeDirection(action.touch, action.lift).toUpperCase()}`);
}

/** An action's text in the short form; an invalid one as it is. */
export function shortText(text: string): string {
  const parsed = parseAction(text);
  return 'invalid' in parsed ? `an invalid action: ${text}` : shortAction(parsed.action);
}

/** [y, x] with four decimals, as in the policy's actions. */
function written([y, x]: Point): string {
  return `[${y.toFixed(4)}, ${x.toFixed(4)}]`;
}

function middle({ touch, lift }: Gesture): Point {
  return [(touch[0] + lift[0]) / 2, (touch[1] + lift[1]) / 2];
}

/** Radius of the red dot, in pixels of the screenshot. */
const RADIUS = 20;

/** Where the picture of an action has its dot: the middle of touch and lift, for taps and swipes; undefined: it has none. */
export function dotOf(text: string): Point | undefined {
  const parsed = parseAction(text);
  return 'invalid' in parsed || parsed.action.type !== 'DUAL_POINT' ? undefined : middle(parsed.action);
}

/** The screenshot with a red dot where the action touches (`dotOf`); the screenshot itself if it touches nothing. */
export function ratedPicture(frame: Frame, text: string): Frame {
  const dot = dotOf(text);
  if (!dot) return frame;
  const [y, x] = dot;
  const { width, height } = frame;
  const [cy, cx] = [y * height, x * width];
  const rgba = frame.rgba.slice();
  for (let row = Math.max(0, Math.floor(cy - RADIUS)); row < Math.min(height, Math.ceil(cy + RADIUS)); row++) {
    for (
      let column = Math.max(0, Math.floor(cx - RADIUS));
      column < Math.min(width, Math.ceil(cx + RADIUS));
      column++
    ) {
      if (Math.hypot(row + 0.5 - cy, column + 0.5 - cx) > RADIUS) continue;
      rgba.set([255, 0, 0, 255], (row * width + column) * 4);
    }
  }
  return { ...frame, rgba };
}
