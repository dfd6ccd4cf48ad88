/** Time as the pool sees it, so that tests can pass hours in a millisecond. Results never depend on it, only waits do. */
export interface Clock {
  /** milliseconds from some point that stays the same */
  now(): number;
  /** Calls `run` once after `ms`. @returns takes it back */
  after(ms: number, run: () => void): () => void;
}

/** The machine's own time, never set back. */
export const machineClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Something took longer than it may. */
export class TooLate extends Error {
  override name = 'TooLate';

  constructor(readonly ms: number) {
    super(`no answer in ${ms} ms`);
  }
}

/**
 * What `work` comes to, TooLate after `ms`, or what `signal` is aborted with, whichever is first. Work cannot be stopped
 * from outside: what still comes of it afterwards goes to `late`, and an error of it nowhere.
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
    // by a promise's own function, so that what throws at once rejects as well
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
