import { useEffect, useRef } from 'preact/hooks';

/** What keys do, by `KeyboardEvent.key`. */
export type Keys = Readonly<Record<string, () => void>>;

/** Listens to keys while the component is there; not in fields, and not with Ctrl, Alt or Meta, which are the browser's. */
export function useKeys(keys: Keys): void {
  // those of the last rendering: a key that is held down comes sooner than effects do
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      if ((event.target as Element).closest('input, select, textarea, dialog')) return;
      const act = latest.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}
