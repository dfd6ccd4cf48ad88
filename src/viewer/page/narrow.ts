import { useEffect, useState } from 'preact/hooks';

/** Whether the page is as narrow as a phone, where lists and filters are folded away. */
export function useNarrow(): boolean {
  return useMedia('(max-width: 820px)');
}

/** Whether a media query holds, updated when that changes. */
export function useMedia(condition: string): boolean {
  const query = matchMedia(condition);
  const [matches, set] = useState(query.matches);
  useEffect(() => {
    const update = (): void => set(query.matches);
    query.addEventListener('change', update);
    return () => query.removeEventListener('change', update);
  }, [condition]);
  return matches;
}
