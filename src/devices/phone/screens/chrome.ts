import type { Element } from '../element.js';
import { SCREEN, type Rect } from '../geometry.js';
import { arc, BLUE, box, card, disc, frame, GREY, INK, piece, polygon, stroke, text, type Paint } from '../paint.js';
import type { Effect, Field, PhoneState } from '../state.js';
import type { World } from '../world.js';

/** Heights of the bars that every screen has. */
export const STATUS_BAR = 24;
export const NAVIGATION_BAR = 30;

/** The area between the bars, for apps. */
export const CONTENT: Rect = { x: 0, y: STATUS_BAR, w: SCREEN.width, h: SCREEN.height - STATUS_BAR - NAVIGATION_BAR };

/** The keyboard's area while a field has the focus. */
export const KEYBOARD: Rect = { x: 0, y: 365, w: SCREEN.width, h: 190 };

/** A rectangle of one colour. */
export function panel(id: string, rect: Rect, color: string, radius = 0): Element {
  return { id, rect, draw: (paint) => box(paint, rect, color, radius) };
}

/** A coloured button with a label. */
export function button(id: string, rect: Rect, label: string, tap: Effect | undefined, color = BLUE): Element {
  return {
    id,
    rect,
    tap,
    draw: (paint) => {
      box(paint, rect, color, Math.min(rect.h / 2, 18));
      text(paint, label, rect.x + rect.w / 2, rect.y + rect.h / 2, {
        size: 15,
        weight: 700,
        color: '#ffffff',
        align: 'center',
        maxWidth: rect.w - 10,
      });
    },
  };
}

/** An outlined button, for the less prominent choice. */
export function outlineButton(id: string, rect: Rect, label: string, tap?: Effect): Element {
  return {
    id,
    rect,
    tap,
    draw: (paint) => {
      box(paint, rect, '#ffffff', Math.min(rect.h / 2, 18));
      frame(paint, rect, '#9aa0a6', Math.min(rect.h / 2, 18), 1.5);
      text(paint, label, rect.x + rect.w / 2, rect.y + rect.h / 2, {
        size: 14,
        weight: 500,
        color: GREY,
        align: 'center',
        maxWidth: rect.w - 8,
      });
    },
  };
}

/** A text field; if focused, it has a blue outline and a caret and shows the typed text. */
export function textField(
  field: Field,
  rect: Rect,
  state: PhoneState,
  value: string,
  hint: string,
  color = '#ffffff',
): Element {
  const focused = state.focus === field;
  const content = focused ? state.text : value;
  return {
    id: `field:${field}`,
    rect,
    tap: { do: 'focus', field },
    draw: (paint) => {
      const radius = rect.h / 2;
      box(paint, rect, color, radius);
      frame(paint, rect, focused ? BLUE : '#bdc1c6', radius, focused ? 3 : 1);
      const [x, y] = [rect.x + 18, rect.y + rect.h / 2];
      arc(paint, x - 1, y - 1, 5, 0, 1, GREY, 2);
      stroke(paint, [[x + 3, y + 3], [x + 6, y + 6]], GREY, 2); // prettier-ignore
      const style = { size: 18, weight: content ? 700 : 400, color: content ? INK : '#80868b' } as const;
      text(paint, content || (focused ? '' : hint), x + 14, y, { ...style, maxWidth: rect.w - 46 });
      if (focused) {
        const end = Math.min(content ? paint.measureText(content).width : 0, rect.w - 46);
        box(paint, { x: x + 14 + end + 1, y: y - 10, w: 2, h: 20 }, BLUE);
      }
    },
  };
}

/** The status bar: time, radios, battery. */
export function statusBar(world: World, state: PhoneState, background: string, dark: boolean): Element {
  const rect = { x: 0, y: 0, w: SCREEN.width, h: STATUS_BAR };
  const { switches } = state;
  return {
    id: 'status-bar',
    rect,
    draw: (paint) => {
      const color = dark ? '#ffffff' : '#3c4043';
      box(paint, rect, background);
      text(paint, clockText(world.time), 10, 12, { size: 13, weight: 500, color });
      let x = 238;
      frame(paint, { x, y: 7, w: 20, h: 10 }, color, 2, 1.2);
      box(paint, { x: x + 2, y: 9, w: 16 * world.battery, h: 6 }, switches['battery saver'] ? '#f9ab00' : color);
      x -= 18;
      if (switches['airplane mode']) {
        stroke(paint, [[x + 5, 6], [x + 5, 18]], color, 2); // prettier-ignore
        polygon(paint, [[x + 5, 9], [x + 12, 14], [x - 2, 14]], color); // prettier-ignore
      } else {
        polygon(paint, [[x, 18], [x + 12, 18], [x + 12, 6]], switches['mobile data'] ? color : '#9aa0a6'); // prettier-ignore
      }
      x -= 18;
      if (switches.wifi) {
        for (const r of [4, 8]) arc(paint, x + 6, 17, r, 0.64, 0.86, color, 2);
        disc(paint, x + 6, 17, 1.6, color);
        x -= 14;
      }
      if (switches.bluetooth) {
        stroke(paint, [[x, 8], [x + 7, 14.5], [x + 3.5, 18], [x + 3.5, 6], [x + 7, 9.5], [x, 16]], color, 1.3); // prettier-ignore
      }
    },
  };
}

/** Minutes since midnight as 14:05. */
export function clockText(minutes: number): string {
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
}

/** The navigation bar: back, home, and a square without a function. */
export function navigationBar(background: string, color: string): Element[] {
  const y = SCREEN.height - NAVIGATION_BAR;
  const middle = y + NAVIGATION_BAR / 2;
  const third = SCREEN.width / 3;
  const key = (id: string, at: number, tap: Effect | undefined, draw: (paint: Paint) => void): Element => ({
    id,
    rect: { x: at * third, y, w: third, h: NAVIGATION_BAR },
    tap,
    draw,
  });
  return [
    panel('navigation-bar', { x: 0, y, w: SCREEN.width, h: NAVIGATION_BAR }, background),
    key(
      'key:back',
      0,
      { do: 'back' },
      (paint) =>
      polygon(paint, [[59, middle - 6], [59, middle + 6], [48, middle]], color), // prettier-ignore
    ),
    key('key:home', 1, { do: 'home' }, (paint) => disc(paint, 135, middle, 6, color)),
    key('key:recents', 2, undefined, (paint) => box(paint, { x: 207, y: middle - 5, w: 10, h: 10 }, color, 1)),
  ];
}

const ROWS = ['qwertyuiop', 'asdfghjkl', 'zxcvbnm'];

/** The keyboard covers the lower part of the screen; taps on it do nothing, since text is entered by the TYPE action. */
export function keyboard(): Element {
  return {
    id: 'keyboard',
    rect: KEYBOARD,
    draw: (paint) => paint.drawImage(piece('keyboard', KEYBOARD.w, KEYBOARD.h, drawKeys), KEYBOARD.x, KEYBOARD.y),
  };
}

function drawKeys(paint: Paint): void {
  box(paint, { x: 0, y: 0, w: KEYBOARD.w, h: KEYBOARD.h }, '#d5d9de');
  const label = { size: 14, weight: 500, align: 'center' } as const;
  ROWS.forEach((row, r) => {
    const left = (KEYBOARD.w - row.length * 27) / 2;
    [...row].forEach((letter, i) => {
      const key = { x: left + i * 27 + 1.5, y: 8 + r * 46, w: 24, h: 38 };
      card(paint, key, '#ffffff', 4);
      text(paint, letter, key.x + 12, key.y + 19, label);
    });
  });
  card(paint, { x: 4, y: 146, w: 50, h: 38 }, '#b4bac2', 4);
  card(paint, { x: 60, y: 146, w: 146, h: 38 }, '#ffffff', 4);
  card(paint, { x: 212, y: 146, w: 54, h: 38 }, BLUE, 4);
  stroke(paint, [[232, 165], [246, 165]], '#ffffff', 2.5); // prettier-ignore
  polygon(paint, [[243, 159], [252, 165], [243, 171]], '#ffffff'); // prettier-ignore
}

/** A grey veil over the whole area between the bars: what is under it is visible but cannot be touched. */
export function veil(id: string): Element {
  return { id, rect: CONTENT, draw: (paint) => box(paint, CONTENT, 'rgba(32,33,36,0.55)') };
}
