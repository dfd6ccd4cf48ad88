import type { Element, View } from '../element.js';
import { arc, box, card, disc, GREY, INK, LINE, PALE, polygon, stroke, text } from '../paint.js';
import { CLOCK_TABS, TIMER_MINUTES, type ClockTab, type Page, type PhoneState } from '../state.js';
import { button, CONTENT, outlineButton, panel } from './chrome.js';
import { drawSwitch, titleBar } from './settings.js';

const COLOR = '#1a237e';
const ACCENT = '#3949ab';
const TABS_TOP = 495;

/** The clock: the current tab's content, and the three tabs at the bottom. */
export function clockPage(state: PhoneState, page: Extract<Page, { kind: 'clock' }>): View {
  const body = { alarm: alarmTab, timer: timerTab, stopwatch: stopwatchTab }[page.tab](state);
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      titleBar('Clock', COLOR),
      ...body,
      ...CLOCK_TABS.map((tab, i) => tabKey(tab, i, tab === page.tab)),
    ],
    maxScroll: 0,
  };
}

function tabKey(tab: ClockTab, index: number, chosen: boolean): Element {
  const rect = { x: index * 90, y: TABS_TOP, w: 90, h: 60 };
  return {
    id: `tab:${tab}`,
    rect,
    tap: { do: 'tab', tab },
    draw: (paint) => {
      box(paint, rect, chosen ? '#e8eaf6' : PALE);
      if (chosen) box(paint, { ...rect, h: 4 }, ACCENT);
      const [x, color] = [rect.x + 45, chosen ? COLOR : GREY];
      if (tab === 'alarm') {
        arc(paint, x, 520, 9, 0, 1, color, 2.5);
        stroke(paint, [[x, 515], [x, 520], [x + 4, 522]], color, 2); // prettier-ignore
        stroke(paint, [[x - 11, 512], [x - 6, 508]], color, 2.5); // prettier-ignore
        stroke(paint, [[x + 11, 512], [x + 6, 508]], color, 2.5); // prettier-ignore
      } else if (tab === 'timer') {
        polygon(paint, [[x - 8, 509], [x + 8, 509], [x, 520]], color); // prettier-ignore
        polygon(paint, [[x - 8, 531], [x + 8, 531], [x, 520]], color); // prettier-ignore
      } else {
        arc(paint, x, 522, 9, 0, 1, color, 2.5);
        stroke(paint, [[x, 522], [x, 517]], color, 2); // prettier-ignore
        stroke(paint, [[x - 3, 508], [x + 3, 508]], color, 3); // prettier-ignore
      }
      text(paint, tab[0].toUpperCase() + tab.slice(1), x, 544, { size: 13, weight: 700, color, align: 'center' });
    },
  };
}

function alarmTab(state: PhoneState): Element[] {
  // newest alarms first, so that a new one is visible
  const rows = state.alarms.slice(0, 4).map((alarm, index): Element => {
    const rect = { x: 10, y: 92 + index * 76, w: 250, h: 68 };
    return {
      id: `alarm:${index}`,
      rect,
      tap: { do: 'toggle-alarm', index },
      draw: (paint) => {
        card(paint, rect, '#f8f9fa', 12);
        const color = alarm.on ? INK : '#9aa0a6';
        text(paint, `${alarm.hour}:00`, rect.x + 16, rect.y + 34, { size: 32, color });
        text(paint, alarm.half, rect.x + 110, rect.y + 39, { size: 18, weight: 500, color });
        drawSwitch(paint, rect.x + 190, rect.y + 22, alarm.on);
      },
    };
  });
  const plus = { x: 109, y: 422, w: 52, h: 52 };
  return [
    ...rows,
    {
      id: 'new-alarm',
      rect: plus,
      tap: { do: 'open', page: { kind: 'new-alarm', hour: undefined, half: undefined } },
      draw: (paint) => {
        disc(paint, 135, 449.5, 26, 'rgba(0,0,0,0.2)');
        disc(paint, 135, 448, 26, ACCENT);
        stroke(paint, [[125, 448], [145, 448]], '#ffffff', 4); // prettier-ignore
        stroke(paint, [[135, 438], [135, 458]], '#ffffff', 4); // prettier-ignore
      },
    },
  ];
}

/** The page for a new alarm: a key for each hour, am or pm, cancel, save. */
export function newAlarmPage(page: Extract<Page, { kind: 'new-alarm' }>): View {
  const elements: Element[] = [panel('background', CONTENT, '#ffffff'), titleBar('New alarm', COLOR)];
  for (let hour = 1; hour <= 12; hour++) {
    const rect = { x: 15 + ((hour - 1) % 3) * 84, y: 100 + Math.floor((hour - 1) / 3) * 70, w: 72, h: 58 };
    elements.push(choice(`hour:${hour}`, rect, String(hour), page.hour === hour, { do: 'pick', hour }));
  }
  (['am', 'pm'] as const).forEach((half, i) => {
    const rect = { x: 15 + i * 126, y: 388, w: 114, h: 52 };
    elements.push(choice(`half:${half}`, rect, half, page.half === half, { do: 'pick', half }));
  });
  elements.push(outlineButton('cancel-alarm', { x: 15, y: 472, w: 114, h: 46 }, 'Cancel', { do: 'back' }));
  const complete = page.hour !== undefined && page.half !== undefined;
  const save = { x: 141, y: 472, w: 114, h: 46 };
  elements.push(
    button('save-alarm', save, 'Save', complete ? { do: 'save-alarm' } : undefined, complete ? ACCENT : '#b0b4c8'),
  );
  return { elements, maxScroll: 0 };
}

function choice(id: string, rect: Element['rect'], label: string, chosen: boolean, tap: Element['tap']): Element {
  return {
    id,
    rect,
    tap,
    draw: (paint) => {
      box(paint, rect, chosen ? ACCENT : '#e8eaf6', 12);
      text(paint, label, rect.x + rect.w / 2, rect.y + rect.h / 2, {
        size: 24,
        weight: 500,
        color: chosen ? '#ffffff' : COLOR,
        align: 'center',
      });
    },
  };
}

function timerTab(state: PhoneState): Element[] {
  const dial: Element = {
    id: 'timer-dial',
    rect: { x: 75, y: 95, w: 120, h: 120 },
    draw: (paint) => {
      arc(paint, 135, 155, 54, 0, 1, LINE, 6);
      if (state.timer !== undefined) arc(paint, 135, 155, 54, -0.25, 0.6, ACCENT, 6);
      text(paint, `${state.timer ?? 0}:00`, 135, 155, { size: 30, weight: 500, align: 'center' });
    },
  };
  const keys = TIMER_MINUTES.map((minutes, i): Element => {
    const rect = { x: 15 + (i % 3) * 84, y: 240 + Math.floor(i / 3) * 76, w: 72, h: 64 };
    return choice(`timer:${minutes}`, rect, String(minutes), state.timer === minutes, { do: 'timer', minutes });
  });
  const stop = button(
    'timer-stop',
    { x: 85, y: 420, w: 100, h: 44 },
    'Stop',
    { do: 'timer', minutes: undefined },
    '#c5221f',
  );
  return [dial, ...keys, ...(state.timer === undefined ? [] : [stop])];
}

function stopwatchTab(state: PhoneState): Element[] {
  const dial: Element = {
    id: 'stopwatch-dial',
    rect: { x: 35, y: 110, w: 200, h: 200 },
    draw: (paint) => {
      arc(paint, 135, 210, 92, 0, 1, state.stopwatch ? ACCENT : LINE, 8);
      text(paint, state.stopwatch ? '00:04' : '00:00', 135, 210, { size: 50, weight: 500, align: 'center' });
    },
  };
  const label = state.stopwatch ? 'Stop' : 'Start';
  const color = state.stopwatch ? '#c5221f' : '#188038';
  return [dial, button('stopwatch', { x: 75, y: 390, w: 120, h: 54 }, label, { do: 'stopwatch' }, color)];
}
