import { isTap, type Action, type Point } from '../../data/action.js';
import { machineClock } from '../pool/clock.js';
import { CallError, type WebDriverSession } from './client.js';
import { passed } from './screen.js';
import type { WebDriverSettings } from './settings.js';

/** Android's key codes (android.view.KeyEvent). */
const KEYCODES = { PRESS_HOME: 3, PRESS_BACK: 4, PRESS_ENTER: 66 } as const;

/** W3C's name of the Enter key in key actions. */
const ENTER = '\uE007';

/** The screen's size in the units of touch coordinates. */
interface Extent {
  readonly width: number;
  readonly height: number;
}

/**
 * Executes an action on a device by a single WebDriver call with an effect. Declarations about the task are not sent.
 * @param extent of the whole screen, in the driver's units
 * @param left milliseconds left
 * @param acted when the action before it ended, by the machine's clock
 * @throws CallError; its `applied` tells whether the action may have happened
 */
export async function perform(
  session: WebDriverSession,
  action: Action,
  settings: Pick<WebDriverSettings, 'typing' | 'press' | 'tap_ms' | 'swipe_ms' | 'typing_min_ms' | 'settle_ms'>,
  extent: Extent,
  left: () => number,
  acted: number,
): Promise<void> {
  switch (action.type) {
    case 'DUAL_POINT': {
      const { touch, lift } = action;
      const to = isTap(action) ? undefined : spot(lift, extent);
      await session.post('/actions', { actions: [finger(spot(touch, extent), to, settings)] }, left());
      return;
    }
    case 'TYPE':
      await passed(acted, Math.min(settings.typing_min_ms, settings.settle_ms), left);
      return type(session, action.text, settings.typing, left, acted + settings.settle_ms);
    case 'PRESS_BACK':
    case 'PRESS_HOME':
    case 'PRESS_ENTER':
      return press(session, KEYCODES[action.type], settings.press, left);
    case 'STATUS_TASK_COMPLETE':
    case 'STATUS_TASK_IMPOSSIBLE':
      return;
  }
}

/** Presses an Android key. @throws CallError */
export async function press(
  session: WebDriverSession,
  keycode: number,
  by: WebDriverSettings['press'],
  left: () => number,
): Promise<void> {
  if (by === 'mobile') await session.execute('mobile: pressKey', { keycode }, left());
  else await session.post('/appium/device/press_keycode', { keycode }, left());
}

/** Shows the home screen. @throws CallError */
export function goHome(session: WebDriverSession, by: WebDriverSettings['press'], left: () => number): Promise<void> {
  return press(session, KEYCODES.PRESS_HOME, by, left);
}

async function type(
  session: WebDriverSession,
  text: string,
  by: WebDriverSettings['typing'],
  left: () => number,
  focusBy: number,
): Promise<void> {
  if (by === 'type') {
    await session.execute('mobile: type', { text }, left());
  } else if (by === 'keys') {
    if (text === '') return;
    const keys = Array.from(text, (character) => (character === '\n' ? ENTER : character));
    const actions = keys.flatMap((value) => [
      { type: 'keyDown', value },
      { type: 'keyUp', value },
    ]);
    await session.post('/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] }, left());
  } else {
    const element = await focused(session, left, focusBy);
    // `value` is for the protocol before W3C's, which took a list of characters
    const body = { text, value: Array.from(text) };
    await session.post(`/element/${encodeURIComponent(element)}/value`, body, left());
  }
}

/** Milliseconds between two looks for the focus. */
const FOCUS_PAUSE_MS = 250;

/** The element with the focus; a field that was tapped a moment ago may only get it. @throws CallError */
async function focused(session: WebDriverSession, left: () => number, by: number): Promise<string> {
  for (;;) {
    try {
      return await session.activeElement(left());
    } catch (error) {
      const wait = error instanceof CallError && error.code === 'no such element' && machineClock.now() < by;
      if (!wait || left() <= 4 * FOCUS_PAUSE_MS) throw error;
    }
    await passed(machineClock.now(), FOCUS_PAUSE_MS, left);
  }
}

/** A point in the driver's units; points outside are moved to the edge. */
function spot([y, x]: Point, { width, height }: Extent): { x: number; y: number } {
  const within = (fraction: number, side: number) => Math.min(side - 1, Math.max(0, Math.floor(fraction * side)));
  return { x: within(x, width), y: within(y, height) };
}

/** A finger that touches, perhaps moves to another point, and leaves (W3C WebDriver §17.4.2). */
function finger(
  from: { x: number; y: number },
  to: { x: number; y: number } | undefined,
  { tap_ms, swipe_ms }: Pick<WebDriverSettings, 'tap_ms' | 'swipe_ms'>,
): object {
  const move = (at: { x: number; y: number }, duration: number) => ({
    type: 'pointerMove',
    duration,
    origin: 'viewport',
    ...at,
  });
  return {
    type: 'pointer',
    id: 'finger',
    parameters: { pointerType: 'touch' },
    actions: [
      move(from, 0),
      { type: 'pointerDown', button: 0 },
      to === undefined ? { type: 'pause', duration: tap_ms } : move(to, swipe_ms),
      { type: 'pointerUp', button: 0 },
    ],
  };
}
