import { useEffect, useState } from 'preact/hooks';
import type { Failure } from '../api.js';

/** What the server said, or is about to say. While it is asked anew, what it said before stays. */
export interface Answer<T> {
  readonly value: T | undefined;
  readonly error: string | undefined;
  readonly loading: boolean;
}

/** Answers that were asked for ahead, each used once. */
const ahead = new Map<string, Promise<Answer<unknown>>>();
/** How many wait at most; the oldest are forgotten. */
const MOST_AHEAD = 6;

/** Asks for what the reader is likely to want next. */
export function askAhead(path: string): void {
  if (ahead.has(path)) return;
  ahead.set(path, fetchAnswer(path));
  for (const oldest of ahead.keys()) {
    if (ahead.size <= MOST_AHEAD) break;
    ahead.delete(oldest);
  }
}

const NOTHING = { value: undefined, error: undefined, loading: true } as const;

/**
 * Asks the server.
 * @param path below `/api`; undefined asks nothing
 * @param everyMs asks again after so long; undefined: once
 */
export function useAnswer<T>(path: string | undefined, everyMs?: number): Answer<T> {
  const [answer, set] = useState<Answer<T> & { readonly path?: string }>(NOTHING);
  useEffect(() => {
    if (path === undefined) return;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const early = ahead.get(path) as Promise<Answer<T>> | undefined;
      ahead.delete(path);
      const said = await (early ?? fetchAnswer<T>(path, controller.signal));
      if (controller.signal.aborted) return;
      set({ ...said, path });
      if (everyMs !== undefined) timer = setTimeout(() => void ask(), everyMs);
    };
    set((before) => ({ ...before, loading: true }));
    void ask();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs]);
  return path === undefined ? { ...NOTHING, loading: false } : answer;
}

/** Asks the server once; a failure is an answer too. */
export async function fetchAnswer<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
  try {
    const response = await fetch(`/api${path}`, { signal });
    const body = (await response.json()) as T | Failure;
    if (response.ok) return { value: body as T, error: undefined, loading: false };
    return { value: undefined, error: (body as Failure).error, loading: false };
  } catch {
    return { value: undefined, error: 'The viewer does not answer: was critiq view ended?', loading: false };
  }
}

/** The path of what belongs to a run. */
export function runPath(run: string, what = '', params?: URLSearchParams): string {
  const query = params?.toString() ?? '';
  return `/runs/${encodeURIComponent(run)}${what === '' ? '' : `/${what}`}${query === '' ? '' : `?${query}`}`;
}
