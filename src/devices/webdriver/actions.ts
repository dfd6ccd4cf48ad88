import { isTap, type Action, type Point } from '../../data/action.js';
import type { WebDriverSession } from './client.js';
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
 * @throws CallError; its `applied` tells whether the action may have happened
 */
export async function perform(
  session: WebDriverSession,
  action: Action,
  settings: Pick<WebDriverSettings, 'typing' | 'press' | 'tap_ms' | 'swipe_ms'>,
  extent: Extent,
  left: () => number,
): Promise<void> {
  switch (action.type) {
    case 'DUAL_POINT': {
      const { touch, lift } = action;
      const to = isTap(action) ? undefined : spot(lift, extent);
      await session.post('/actions', { actions: [finger(spot(touch, extent), to, settings)] }, left());
      return;
    }
    case 'TYPE':
      return type(session, action.text, settings.typing, left);
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
    const element = await session.activeElement(left());
    // `value` is for the protocol before W3C's, which took a list of characters
    const body = { text, value: Array.from(text) };
    await session.post(`/element/${encodeURIComponent(element)}/value`, body, left());
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
