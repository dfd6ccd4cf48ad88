import type { Element, View } from '../element.js';
import type { Rect } from '../geometry.js';
import { drawSwitchIcon } from '../icons.js';
import { box, disc, LINE, text, type Paint } from '../paint.js';
import type { Page, PhoneState, SwitchName } from '../state.js';
import type { World } from '../world.js';
import { CONTENT, panel } from './chrome.js';

const BAR = 56;
const ROW = 60;

/** The visible area of the list of switches. */
export const SETTINGS_LIST = { ...CONTENT, y: CONTENT.y + BAR, h: CONTENT.h - BAR };

/** The label of a switch. */
export function switchLabel(name: SwitchName): string {
  return name === 'wifi' ? 'Wi-Fi' : name[0].toUpperCase() + name.slice(1);
}

/** The list of switches, longer than the screen. */
export function settingsPage(world: World, state: PhoneState, page: Extract<Page, { kind: 'settings' }>): View {
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      ...world.switches.map((name, i) => ({
        ...switchRow(state, name, { x: 0, y: SETTINGS_LIST.y + i * ROW - page.scroll, w: 270, h: ROW }),
        clip: SETTINGS_LIST,
      })),
      titleBar('Settings', '#546e7a'),
    ],
    maxScroll: Math.max(0, world.switches.length * ROW - SETTINGS_LIST.h),
  };
}

/** A switch with its icon and label. */
export function switchRow(state: PhoneState, name: SwitchName, at: Rect): Element {
  return {
    id: `switch:${name}`,
    rect: at,
    tap: { do: 'toggle', name },
    draw: (paint, rect) => {
      drawSwitchIcon(paint, name, 14, rect.y + 14);
      text(paint, switchLabel(name), 60, rect.y + 30, { size: 18, weight: 500 });
      drawSwitch(paint, 210, rect.y + 18, state.switches[name]);
      box(paint, { x: 60, y: rect.y + ROW - 1, w: 210, h: 1 }, LINE);
    },
  };
}

/** A coloured bar with a title. */
export function titleBar(title: string, color: string): Element {
  const rect = { ...CONTENT, h: BAR };
  return {
    id: 'title-bar',
    rect,
    draw: (paint) => {
      box(paint, rect, color);
      text(paint, title, 16, rect.y + BAR / 2, { size: 24, weight: 700, color: '#ffffff' });
    },
  };
}

/** Draws a switch, 46 × 24: blue with the knob on the right if on, grey with the knob on the left if off. */
export function drawSwitch(paint: Paint, x: number, y: number, on: boolean): void {
  box(paint, { x, y: y + 1, w: 46, h: 22 }, on ? '#1a73e8' : '#bdc1c6', 11);
  disc(paint, on ? x + 34 : x + 12, y + 12, 9, '#ffffff');
}
