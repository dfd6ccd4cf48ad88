import { tap, type Action } from '../../../src/data/action.js';
import type { Task } from '../../../src/data/task.js';
import { Phone, type Goal, type Surprises } from '../../../src/devices/phone/index.js';
import { SCREEN } from '../../../src/devices/phone/geometry.js';

export const CALM: Surprises = { slowPage: 0, cookieBanner: 0, sponsored: 0, dialog: 0 };

export function taskFor(goal: Goal, text = 'a task'): Task {
  return { id: 'test', text, family: 'test', goal: { ...goal } };
}

/** A phone with given surprises, and a hand that touches elements by name. */
export function phoneWith(goal: Goal, surprises: Partial<Surprises> = {}, seed = 1) {
  const phone = new Phone('test', { surprises: { ...CALM, ...surprises } });
  phone.begin(taskFor(goal), seed);
  const middle = (id: string): Action => {
    const element = phone.view().elements.find((e) => e.id === id);
    if (!element)
      throw new Error(
        `no ${id} among ${phone
          .view()
          .elements.map((e) => e.id)
          .join(' ')}`,
      );
    const { x, y, w, h } = element.rect;
    return tap([(y + h / 2) / SCREEN.height, (x + w / 2) / SCREEN.width]);
  };
  const hand = {
    phone,
    has: (id: string) => phone.view().elements.some((element) => element.id === id),
    touch: (...ids: string[]) => ids.forEach((id) => phone.apply(middle(id))),
    middle,
    type: (text: string) => phone.apply({ type: 'TYPE', text }),
    press: (key: 'BACK' | 'HOME' | 'ENTER') => phone.apply({ type: `PRESS_${key}` }),
    swipe: (from: [number, number], to: [number, number]) => phone.apply({ type: 'DUAL_POINT', touch: from, lift: to }),
    visit: (address: string) => {
      hand.press('HOME');
      hand.touch('icon:browser', 'field:address');
      hand.type(address);
      hand.press('ENTER');
    },
    search: (query: string) => {
      hand.touch('field:search');
      hand.type(query);
      hand.press('ENTER');
    },
    page: () => phone.state.stack[phone.state.stack.length - 1],
  };
  return hand;
}
