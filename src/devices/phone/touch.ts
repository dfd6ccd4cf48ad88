import { isTap, type Action } from '../../data/action.js';
import { elementAt, type View } from './element.js';
import { pixelAt, type Pixel } from './geometry.js';
import type { FormField } from './hard/state.js';
import { shown, type Effect, type Field, type Page, type PhoneState } from './state.js';
import { commitField, fieldText, performHard } from './hard/effects.js';
import { normalise, shopAt } from './words.js';
import type { World } from './world.js';

/** Pixels that a list moves for each pixel of the finger, as if a flick carried on. */
const FLING = 1.5;
/** Most characters in a field. */
const MAX_TEXT = 200;

/**
 * Applies an action to the state, in place. `view` is the current screen, `viewOf(world, state)`. A status action does
 * nothing, since the caller ends the episode.
 */
export function applyAction(world: World, state: PhoneState, view: View, action: Action): void {
  switch (action.type) {
    case 'PRESS_HOME':
      return goHome(state);
    case 'PRESS_BACK':
      return goBack(state);
    case 'STATUS_TASK_COMPLETE':
    case 'STATUS_TASK_IMPOSSIBLE':
      return;
    default:
  }
  if (action.type === 'DUAL_POINT') {
    const [from, to] = [pixelAt(action.touch), pixelAt(action.lift)];
    applyFinger(world, state, view, from, isTap(action) ? undefined : to);
  } else if (state.loading) {
    state.loading = false; // the action hits the loading screen, then the page appears
  } else if (action.type === 'PRESS_ENTER') {
    enter(world, state);
  } else if (action.type === 'TYPE' && state.focus !== undefined) {
    state.text = action.text.slice(0, MAX_TEXT);
    if (isForm(state.focus)) commitField(shown(state), state.focus, normalise(state.text));
  }
}

/** Applies a tap on a pixel, or a swipe from it to another, in place. */
export function applyFinger(world: World, state: PhoneState, view: View, from: Pixel, to: Pixel | undefined): void {
  if (to === undefined) touch(world, state, view, from);
  else swipe(world, state, view, from, to);
}

function open(world: World, state: PhoneState, page: Page): void {
  state.stack.push(page);
  state.focus = undefined;
  state.text = '';
  state.loading = world.slow(page);
  if (page.kind === 'start') state.dialog = world.dialog;
}

function goHome(state: PhoneState): void {
  state.stack = [{ kind: 'launcher', page: 0 }];
  state.focus = undefined;
  state.text = '';
  state.loading = false;
  state.dialog = false;
}

function goBack(state: PhoneState): void {
  const page = shown(state);
  if (state.focus !== undefined) {
    state.focus = undefined;
    state.text = '';
  } else if (state.dialog) {
    state.dialog = false;
  } else if (page.kind === 'launcher') {
    page.page = 0;
  } else {
    state.loading = false;
    state.stack.pop();
  }
}

function touch(world: World, state: PhoneState, view: View, { x, y }: Pixel): void {
  const element = elementAt(view, x, y);
  const system = element?.tap?.do === 'back' || element?.tap?.do === 'home';
  if (state.loading && !system) {
    state.loading = false;
    return;
  }
  if (element?.id === 'keyboard') return;
  if (element?.tap) return perform(world, state, element.tap);
  if (state.focus !== undefined) {
    state.focus = undefined;
    state.text = '';
  }
}

function perform(world: World, state: PhoneState, effect: Effect): void {
  const page = shown(state);
  switch (effect.do) {
    case 'open':
      return open(world, state, structuredClone(effect.page));
    case 'focus':
      if (state.focus !== effect.field) {
        state.focus = effect.field;
        state.text = effect.field === 'search' && page.kind === 'results' ? page.query : '';
        if (isForm(effect.field)) state.text = fieldText(page, effect.field);
      }
      return;
    case 'accept':
      state.accepted.add(effect.shop);
      return;
    case 'dismiss':
      state.dialog = false;
      return;
    case 'back':
      return goBack(state);
    case 'home':
      return goHome(state);
    case 'toggle':
      state.switches[effect.name] = !state.switches[effect.name];
      return;
    case 'tab':
      if (page.kind === 'clock') page.tab = effect.tab;
      return;
    case 'pick':
      if (page.kind === 'new-alarm') {
        page.hour = effect.hour ?? page.hour;
        page.half = effect.half ?? page.half;
      }
      return;
    case 'save-alarm':
      if (page.kind === 'new-alarm' && page.hour !== undefined && page.half !== undefined) {
        state.alarms.unshift({ hour: page.hour, half: page.half, on: true });
        state.stack.pop();
      }
      return;
    case 'toggle-alarm':
      state.alarms = state.alarms.map((alarm, i) => (i === effect.index ? { ...alarm, on: !alarm.on } : alarm));
      return;
    case 'stopwatch':
      state.stopwatch = !state.stopwatch;
      return;
    case 'timer':
      state.timer = effect.minutes;
      return;
    case 'add-to-cart':
      state.cart++;
      return;
    case 'unfocus':
      return;
    default:
      state.focus = undefined;
      state.text = '';
      if (state.hard) performHard(state.stack, state.hard, effect);
  }
}

/** Whether a field belongs to a form: what is typed into it stays, and ENTER only closes the keyboard. */
function isForm(field: Field | undefined): field is FormField {
  return field === 'name' || field === 'number' || field === 'message';
}

/** A swipe: lists follow it up and down, launcher pages left and right. */
function swipe(world: World, state: PhoneState, view: View, from: Pixel, to: Pixel): void {
  const page = shown(state);
  if (state.loading) {
    state.loading = false;
    return;
  }
  if (state.focus !== undefined || state.dialog) return;
  const [dy, dx] = [to.y - from.y, to.x - from.x];
  if (page.kind === 'launcher' && Math.abs(dx) > Math.abs(dy)) {
    page.page = Math.min(world.icons.length - 1, Math.max(0, page.page - Math.sign(dx)));
  } else if ('scroll' in page && Math.abs(dy) > Math.abs(dx)) {
    if ('shop' in page && view.elements.some(({ id }) => id === 'banner')) return;
    page.scroll = Math.round(Math.min(view.maxScroll, Math.max(0, page.scroll - dy * FLING)));
  }
}

function enter(world: World, state: PhoneState): void {
  if (isForm(state.focus)) {
    state.focus = undefined;
    state.text = '';
    return;
  }
  const query = normalise(state.text);
  if (state.focus === undefined || query === '') return;
  const page = shown(state);
  if (state.focus === 'search' && 'shop' in page) {
    open(world, state, { kind: 'results', shop: page.shop, query, scroll: 0 });
  } else {
    const shop = shopAt(query);
    const address = /^\S+\.\S+$/.test(query);
    if (shop) open(world, state, { kind: 'shop', shop: shop.address });
    else open(world, state, address ? { kind: 'missing', address: query } : { kind: 'web', query, scroll: 0 });
  }
}
