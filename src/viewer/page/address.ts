import { useEffect, useState } from 'preact/hooks';

/** The views in the order of the navigation; each has its own address. */
export const VIEWS = ['trajectories', 'actions', 'training', 'values', 'tokens', 'evaluations', 'runs'] as const;
export type View = (typeof VIEWS)[number];

/** The address holds everything that is chosen, so that it can be bookmarked and shared. */
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

/** The address, updated whenever it changes. */
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

/** Parameters with some changed; undefined and empty ones are removed. */
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

/** Goes to an address. `replace`: without a new entry in the browser's history, for changes by keystroke. */
export function go(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  for (const listener of listeners) listener();
}

/** Makes plain links to views change the address without reloading the page. */
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
