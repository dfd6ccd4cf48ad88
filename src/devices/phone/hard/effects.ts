import type { FormField, HardEffect, HardPage, HardState } from './state.js';

/** A page of any world. */
type AnyPage = HardPage | { kind: string; sort?: 'price'; limit?: number; scroll?: number };

/** Performs the effect of a tap in place. `stack` holds the phone's pages, the current one last. */
export function performHard(stack: AnyPage[], state: HardState, effect: HardEffect): void {
  const page = stack[stack.length - 1] as HardPage;
  if (effect.do !== 'undo' && effect.do !== 'remove') delete state.removed;
  switch (effect.do) {
    case 'sort':
    case 'limit': {
      // the results are the page before
      stack.pop();
      const results = stack[stack.length - 1] as Extract<AnyPage, { scroll?: number }>;
      results.scroll = 0;
      // absent, not undefined, where nothing is chosen: equal states have equal texts
      if (effect.do === 'sort') delete results.sort;
      else delete results.limit;
      if (effect.do === 'sort' && effect.by === 'price') results.sort = 'price';
      if (effect.do === 'limit' && effect.to !== undefined) results.limit = effect.to;
      return;
    }
    case 'size':
      if (page.kind !== 'item') return;
      page.size = effect.size;
      delete page.notice;
      return;
    case 'add-item':
      if (page.kind !== 'item') return;
      if (page.size === undefined) page.notice = 'size';
      else {
        const { shop, query, variant, size } = page;
        state.cart.push({ shop, query, variant: variant === 'sponsored' ? 99 : variant, size });
        page.notice = 'added';
      }
      return;
    case 'buy-now':
      if (page.kind !== 'item' && page.kind !== 'cart') return;
      state.ordered = true;
      stack.push({ kind: 'ordered', shop: page.shop });
      return;
    case 'remove': {
      const [item] = state.cart.splice(effect.index, 1);
      if (item) state.removed = { item, index: effect.index };
      return;
    }
    case 'undo':
      if (state.removed) state.cart.splice(state.removed.index, 0, state.removed.item);
      delete state.removed;
      return;
    case 'label':
      if (page.kind === 'contact') page.label = effect.label;
      return;
    case 'save-contact':
      if (page.kind !== 'contact') return;
      if (page.name === '' || page.number === '' || page.label === undefined) page.notice = true;
      else {
        const { name, number, label } = page;
        state.contacts.push({ name, number, label });
        stack.pop();
      }
      return;
    case 'copy':
      state.clipboard = effect.text;
      return;
    case 'paste':
      if (page.kind === 'chat') page.message = state.clipboard;
      return;
    case 'send':
      if (page.kind !== 'chat' || page.message === '') return;
      state.sent.push({ to: page.to, message: page.message });
      page.message = '';
      return;
  }
}

/** Keeps what is typed into a form's field. */
export function commitField(page: AnyPage, field: FormField, text: string): void {
  const at = page as HardPage;
  if (at.kind === 'contact' && field !== 'message') {
    at[field] = text;
    delete at.notice;
  }
  if (at.kind === 'chat' && field === 'message') at.message = text;
}

/** What a form's field holds. */
export function fieldText(page: AnyPage, field: FormField): string {
  const at = page as HardPage;
  if (at.kind === 'contact' && field !== 'message') return at[field];
  return at.kind === 'chat' && field === 'message' ? at.message : '';
}
