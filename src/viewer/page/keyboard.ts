import { useEffect, useRef } from 'preact/hooks';

/** Actions by `KeyboardEvent.key`. */
export type Keys = Readonly<Record<string, () => void>>;

/** Handles keys while the component is mounted: not in fields and dialogs, and not with Ctrl, Alt or Meta. */
export function useKeys(keys: Keys): void {
  // the latest ones: a key that is held down repeats faster than effects run
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if ((event.target as Element).closest('input, select, textarea, dialog')) return;
      handle(event, latest.current);
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

/** Does what a key stands for. Enter and Space stay with a link or button that has the focus and uses them. */
export function handle(event: KeyboardEvent, keys: Keys): void {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  const target = event.target as Element;
  if (event.key === 'Enter' && target.closest('a, button, summary')) return;
  if (event.key === ' ' && target.closest('button, summary')) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** Takes the focus off a select after a choice by mouse or touch, so that arrow keys go to the view again. */
export function releaseSelects(): void {
  let pointer = false;
  document.addEventListener('pointerdown', () => (pointer = true), true);
  document.addEventListener('keydown', () => (pointer = false), true);
  document.addEventListener('change', ({ target }) => {
    if (pointer && target instanceof HTMLSelectElement) target.blur();
  });
}
