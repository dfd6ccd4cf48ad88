import { useEffect, useState } from 'preact/hooks';
import type { Failure } from '../api.js';

/** An answer of the server, or the state before it arrives. During a new request the last answer stays. */
export interface Answer<T> {
  readonly value: T | undefined;
  readonly error: string | undefined;
  readonly loading: boolean;
}

/** Answers requested ahead of time, each used once. */
const ahead = new Map<string, Promise<Answer<unknown>>>();
/** Most answers to keep; the oldest are dropped. */
const MOST_AHEAD = 6;

/** Requests what the reader is likely to open next. */
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
 * The server's answer to a request.
 * @param path below `/api`; undefined: no request
 * @param everyMs repeats the request after this time; undefined: once
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

/** Requests once; a failure is an answer too. */
export async function fetchAnswer<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
  try {
    const response = await fetch(`/api${path}`, { signal });
    const body = (await response.json()) as T | Failure;
    if (response.ok) return { value: body as T, error: undefined, loading: false };
    return { value: undefined, error: (body as Failure).error, loading: false };
  } catch {
    return { value: undefined, error: 'The viewer does not answer. Is critiq view still running?', loading: false };
  }
}

/** The path of something in a run. */
export function runPath(run: string, what = '', params?: URLSearchParams): string {
  const query = params?.toString() ?? '';
  return `/runs/${encodeURIComponent(run)}${what === '' ? '' : `/${what}`}${query === '' ? '' : `?${query}`}`;
}
