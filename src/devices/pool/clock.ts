/** The pool's source of time, so that tests can pass hours in a millisecond. Only waits depend on it, never results. */
export interface Clock {
  /** milliseconds since a fixed point */
  now(): number;
  /** Calls `run` once after `ms`. @returns a function that cancels it */
  after(ms: number, run: () => void): () => void;
}

/** The machine's monotonic time. */
export const machineClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Something took longer than its limit. */
export class TooLate extends Error {
  override name = 'TooLate';

  constructor(readonly ms: number) {
    super(`no answer in ${ms} ms`);
  }
}

/**
 * Settles like `work`, or rejects with TooLate after `ms`, or with the reason of `signal`, whichever comes first. The work
 * itself cannot be stopped: a value that comes later goes to `late`, a later error is ignored.
 */
export function within<T>(
  clock: Clock,
  ms: number,
  work: () => Promise<T>,
  { late, signal }: { late?: (value: T) => void; signal?: AbortSignal } = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false;
    const giveUp = (reason: unknown): void => {
      over = true;
      cancel();
      reject(reason as Error);
    };
    const abort = (): void => giveUp(signal!.reason);
    const stopTimer = clock.after(ms, () => giveUp(new TooLate(ms)));
    signal?.addEventListener('abort', abort, { once: true });
    const cancel = (): void => {
      stopTimer();
      signal?.removeEventListener('abort', abort);
    };
    // inside a promise's executor, so that a synchronous throw rejects too
    new Promise<T>((settle) => settle(work())).then(
      (value) => {
        cancel();
        if (over) late?.(value);
        else resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error as Error);
      },
    );
  });
}
