import type { Element, View } from '../element.js';
import { appColor } from '../icons.js';
import { BLUE, box, disc, frame, GREY, INK, LINE, PALE, polygon, text } from '../paint.js';
import type { Rect } from '../geometry.js';
import { button, CONTENT, outlineButton, panel } from '../screens/chrome.js';
import { switchRow, titleBar } from '../screens/settings.js';
import type { PhoneState } from '../state.js';
import type { World } from '../world.js';
import { LABELS, mailCode, peopleOf, SETTINGS_GROUPS, type FormField, type HardPage, type Person } from './state.js';

/** Screens of the hard world's apps: nested settings, contacts, mail, messages. */

const TOP = CONTENT.y + 56;
const SLATE = '#546e7a';

/** A row of a list that opens something. */
function row(id: string, at: number, label: string, colour: string, tap: Element['tap'], height = 60): Element {
  const rect = { x: 0, y: TOP + at * height, w: 270, h: height };
  return {
    id,
    rect,
    tap,
    draw: (paint) => {
      disc(paint, 32, rect.y + height / 2, 17, colour);
      text(paint, label[0].toUpperCase(), 32, rect.y + height / 2, {
        size: 18,
        weight: 700,
        color: '#ffffff',
        align: 'center',
      });
      text(paint, capital(label), 62, rect.y + height / 2, { size: 18, weight: 500 });
      const y = rect.y + height / 2;
      polygon(paint, [[246, y - 6], [252, y], [246, y + 6]], GREY); // prettier-ignore
      box(paint, { x: 62, y: rect.y + height - 1, w: 208, h: 1 }, LINE);
    },
  };
}

const capital = (word: string): string => word[0].toUpperCase() + word.slice(1);

const COLOURS = ['#5c6bc0', '#26a69a', '#ef6c00', '#8d6e63', '#ab47bc', '#42a5f5', '#7cb342', '#ec407a'];

/** The first page of the settings: the groups of switches. */
export function settingsGroups(world: World): View {
  const groups = world.groups.map((group, i) =>
    row(`group:${group}`, i, group, COLOURS[i], { do: 'open', page: { kind: 'group', group } }),
  );
  return { elements: [panel('background', CONTENT, '#ffffff'), ...groups, titleBar('Settings', SLATE)], maxScroll: 0 };
}

/** A page of the settings with its switches. */
export function groupPage(world: World, state: PhoneState, { group }: Extract<HardPage, { kind: 'group' }>): View {
  const own: readonly string[] = SETTINGS_GROUPS[group];
  const rows = world.switches
    .filter((name) => own.includes(name))
    .map((name, i) => switchRow(state, name, { x: 0, y: TOP + i * 60, w: 270, h: 60 }));
  return {
    elements: [panel('background', CONTENT, '#ffffff'), ...rows, titleBar(capital(group), SLATE)],
    maxScroll: 0,
  };
}

/** The saved contacts, and a button for a new one. */
export function peoplePage(state: PhoneState): View {
  const saved = state.hard!.contacts.slice(0, 5).map((contact, i): Element => {
    const rect = { x: 0, y: TOP + i * 60, w: 270, h: 60 };
    return {
      id: `saved:${i}`,
      rect,
      draw: (paint) => {
        disc(paint, 32, rect.y + 30, 17, COLOURS[i]);
        text(paint, capital(contact.name), 62, rect.y + 20, { size: 17, weight: 700, maxWidth: 190 });
        text(paint, `${contact.label} ${contact.number}`, 62, rect.y + 43, { size: 14, color: GREY, maxWidth: 190 });
      },
    };
  });
  const page = { kind: 'contact', name: '', number: '' } as const;
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      ...saved,
      titleBar('Contacts', appColor('contacts')),
      button('new-contact', { x: 60, y: 480, w: 150, h: 44 }, 'New contact', { do: 'open', page }),
    ],
    maxScroll: 0,
  };
}

/** A text field of a form: label above, what is typed in a box. */
function formField(state: PhoneState, field: FormField, rect: Rect, hint: string, value: string): Element {
  const focused = state.focus === field;
  const shown = focused ? state.text : value;
  return {
    id: `field:${field}`,
    rect,
    tap: { do: 'focus', field },
    draw: (paint) => {
      box(paint, rect, '#ffffff', 6);
      frame(paint, rect, focused ? BLUE : '#9aa0a6', 6, focused ? 3 : 1.5);
      const style = { size: 17, color: shown ? INK : '#80868b', maxWidth: rect.w - 30 } as const;
      text(paint, shown || hint, rect.x + 12, rect.y + rect.h / 2, style);
      if (focused) {
        const end = shown ? Math.min(paint.measureText(shown).width, rect.w - 30) : 0;
        box(paint, { x: rect.x + 13 + end, y: rect.y + rect.h / 2 - 10, w: 2, h: 20 }, BLUE);
      }
    },
  };
}

/** The form of a new contact: nothing is saved before name, number and label are given. */
export function contactPage(state: PhoneState, page: Extract<HardPage, { kind: 'contact' }>): View {
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      titleBar('New contact', appColor('contacts')),
      formField(state, 'name', { x: 16, y: TOP + 16, w: 238, h: 46 }, 'Name', page.name),
      formField(state, 'number', { x: 16, y: TOP + 74, w: 238, h: 46 }, 'Number', page.number),
      ...LABELS.map((label, i): Element => {
        const rect = { x: 12 + i * 83, y: TOP + 134, w: 80, h: 38 };
        const on = page.label === label;
        return {
          id: `label:${label}`,
          rect,
          tap: { do: 'label', label },
          draw: (paint) => {
            box(paint, rect, on ? '#d2e3fc' : '#ffffff', 19);
            frame(paint, rect, on ? BLUE : '#9aa0a6', 19, on ? 2.5 : 1.5);
            text(paint, label, rect.x + 40, rect.y + 19, {
              size: 15,
              weight: 500,
              align: 'center',
              color: on ? BLUE : INK,
            });
          },
        };
      }),
      {
        id: 'notice',
        rect: { x: 0, y: TOP + 176, w: 270, h: 36 },
        draw: (paint) => {
          if (page.notice)
            text(paint, 'Something is missing', 135, TOP + 194, {
              size: 16,
              weight: 700,
              color: '#d93025',
              align: 'center',
            });
        },
      },
      button('save-contact', { x: 16, y: TOP + 216, w: 238, h: 44 }, 'Save', { do: 'save-contact' }, '#188038'),
    ],
    maxScroll: 0,
  };
}

function listOfPeople(world: World, title: string, app: 'mail' | 'messages', open: (person: Person) => HardPage): View {
  const rows = peopleOf(world.seed).map((person, i) =>
    row(`person:${person}`, i, person, COLOURS[person.charCodeAt(0) % 8], { do: 'open', page: open(person) }, 56),
  );
  return { elements: [panel('background', CONTENT, '#ffffff'), ...rows, titleBar(title, appColor(app))], maxScroll: 0 };
}

export function mailsPage(world: World): View {
  return listOfPeople(world, 'Mail', 'mail', (from) => ({ kind: 'mail', from }));
}

export function chatsPage(world: World): View {
  return listOfPeople(world, 'Messages', 'messages', (to) => ({ kind: 'chat', to, message: '' }));
}

/** A mail with a code that can be copied. */
export function mailPage(world: World, { from }: Extract<HardPage, { kind: 'mail' }>): View {
  const code = mailCode(world.seed, from);
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      {
        id: 'letter',
        rect: { x: 0, y: TOP, w: 270, h: 220 },
        draw: (paint) => {
          text(paint, `From ${capital(from)}`, 16, TOP + 30, { size: 18, weight: 700 });
          for (let i = 0; i < 5; i++)
            box(paint, { x: 16, y: TOP + 62 + i * 17, w: i === 4 ? 120 : 226, h: 6 }, LINE, 3);
          text(paint, `Your code: ${code}`, 16, TOP + 180, { size: 24, weight: 700 });
        },
      },
      outlineButton('copy', { x: 16, y: TOP + 216, w: 140, h: 42 }, 'Copy code', { do: 'copy', text: code }),
      titleBar('Mail', appColor('mail')),
    ],
    maxScroll: 0,
  };
}

/** A chat: what was sent, and a field for the next message. */
export function chatPage(state: PhoneState, page: Extract<HardPage, { kind: 'chat' }>): View {
  const sent = state.hard!.sent.filter(({ to }) => to === page.to).slice(-3);
  return {
    elements: [
      panel('background', CONTENT, PALE),
      ...sent.map(({ message }, i): Element => {
        const rect = { x: 70, y: TOP + 14 + i * 50, w: 190, h: 40 };
        return {
          id: `sent:${i}`,
          rect,
          draw: (paint) => {
            box(paint, rect, '#d2e3fc', 16);
            text(paint, message, rect.x + 14, rect.y + 20, { size: 17, maxWidth: 164 });
          },
        };
      }),
      formField(state, 'message', { x: 8, y: 300, w: 254, h: 44 }, 'Message', page.message),
      outlineButton('paste', { x: 8, y: 252, w: 90, h: 40 }, 'Paste', { do: 'paste' }),
      button('send', { x: 172, y: 252, w: 90, h: 40 }, 'Send', { do: 'send' }, '#188038'),
      titleBar(capital(page.to), appColor('messages')),
    ],
    maxScroll: 0,
  };
}

/** A mark on the status bar while something is copied. */
export function clipboardMark(state: PhoneState): Element[] {
  const clip = state.hard?.clipboard ?? '';
  if (clip === '') return [];
  const rect = { x: 70, y: 2, w: 84, h: 20 };
  return [
    {
      id: 'clipboard',
      rect,
      draw: (paint) => {
        box(paint, rect, '#fdd663', 6);
        text(paint, `copied ${clip}`, rect.x + 42, rect.y + 10, { size: 12, weight: 700, align: 'center' });
      },
    },
  ];
}
