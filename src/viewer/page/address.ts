import { useEffect, useState } from 'preact/hooks';

/** The views, in the order of the navigation; each has an address of its own. */
export const VIEWS = ['trajectories', 'actions', 'training', 'values', 'tokens', 'evaluations'] as const;
export type View = (typeof VIEWS)[number];

/** What the address line says: everything that is chosen is in it, so that it can be kept and passed on. */
export interface Address {
  readonly view: View;
  readonly params: URLSearchParams;
}

export type Changes = Readonly<Record<string, string | number | undefined>>;

const listeners = new Set<() => void>();

function current(): Address {
  const name = location.pathname.slice(1);
  const view = VIEWS.find((one) => one === name) ?? 'trajectories';
  return { view, params: new URLSearchParams(location.search) };
}

/** The address, again whenever it changes. */
export function useAddress(): Address {
  const [address, set] = useState(current);
  useEffect(() => {
    const changed = (): void => set(current());
    listeners.add(changed);
    addEventListener('popstate', changed);
    return () => {
      listeners.delete(changed);
      removeEventListener('popstate', changed);
    };
  }, []);
  return address;
}

/** Parameters with some of them changed; undefined and empty ones are left out. */
export function changed(params: URLSearchParams, changes: Changes): URLSearchParams {
  const made = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') made.delete(name);
    else made.set(name, String(value));
  }
  return made;
}

/** The address of a view. */
export function href(view: View, params: URLSearchParams | Changes): string {
  const query = (params instanceof URLSearchParams ? params : changed(new URLSearchParams(), params)).toString();
  return `/${view}${query === '' ? '' : `?${query}`}`;
}

/** Goes to an address. `replace`: without a step back to where we are, for what changes by the keystroke. */
export function go(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  for (const listener of listeners) listener();
}

/** Plain links to views change the address without loading the page again. */
export function followLinks(): void {
  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a');
    if (!link || link.origin !== location.origin || link.target !== '' || event.defaultPrevented) return;
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (!VIEWS.some((view) => link.pathname === `/${view}`)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
