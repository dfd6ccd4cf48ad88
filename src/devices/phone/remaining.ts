import { Random } from '../../random.js';
import type { Action } from '../../data/action.js';
import { expert } from './expert.js';
import type { Grid } from './geometry.js';
import type { Phone } from './phone.js';
import { stateText } from './state.js';

/**
 * How far a phone is from the end of its task. Keep one for each episode: it remembers the states that it has seen.
 *
 * The distance is the number of actions on the shortest of these ways, the declaration of success included: the expert's
 * way from here; PRESS_HOME and the expert's way from there; one to all pages of PRESS_BACK and the expert's way from
 * there. From every state some action shortens it by one, so an action is on a right way exactly if it shortens it.
 */
export class Remaining {
  private readonly known = new Map<string, number>();
  private readonly expert = new Map<string, number>();

  /** @param grid the grid that the expert's taps snap to; every target contains a point of the default one */
  constructor(private readonly grid: Grid) {}

  /** Actions to the end of the task from the phone's state; at least 1. The phone stays as it is. */
  of(phone: Phone): number {
    const text = stateText(phone.state);
    const known = this.known.get(text);
    if (known !== undefined) return known;
    let best = this.byExpert(phone);
    const after = (action: Action, from: Phone): Phone => {
      const copy = from.copy();
      copy.apply(action);
      return copy;
    };
    best = Math.min(best, 1 + this.byExpert(after({ type: 'PRESS_HOME' }, phone)));
    let back = phone;
    for (let pressed = 1; pressed <= phone.state.stack.length && pressed < best; pressed++) {
      back = after({ type: 'PRESS_BACK' }, back);
      best = Math.min(best, pressed + this.byExpert(back));
    }
    this.known.set(text, best);
    return best;
  }

  /** Actions on the expert's own way; Infinity where it goes round in a circle. */
  private byExpert(from: Phone): number {
    const passed = new Set<string>();
    const phone = from.copy();
    let rest = 0;
    for (;;) {
      const text = stateText(phone.state);
      const known = passed.has(text) ? Infinity : this.expert.get(text);
      if (known !== undefined) {
        rest = known;
        break;
      }
      passed.add(text);
      // among equally right points any will do: they hit the same element
      const action = expert(phone, { grid: this.grid, random: new Random(0, 'remaining') });
      if (action.type === 'STATUS_TASK_COMPLETE') break;
      phone.apply(action);
    }
    [...passed].reverse().forEach((text, i) => this.expert.set(text, rest + i + 1));
    return rest + passed.size;
  }
}
