import type { Clock } from '../../src/devices/pool/clock.js';

/** A clock that a test moves by hand. */
export class FakeClock implements Clock {
  private time = 0;
  private readonly timers = new Map<object, { at: number; run: () => void }>();

  /** timers that have neither fired nor been cancelled */
  get pending(): number {
    return this.timers.size;
  }

  now(): number {
    return this.time;
  }

  after(ms: number, run: () => void): () => void {
    const key = {};
    this.timers.set(key, { at: this.time + ms, run });
    return () => void this.timers.delete(key);
  }

  /** Lets time pass; the work of each timer settles before the next one fires. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await settle();
    for (;;) {
      const next = [...this.timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!next) break;
      const [key, { at, run }] = next;
      this.timers.delete(key);
      this.time = at;
      run();
      await settle();
    }
    this.time = end;
  }

  /** Lets time pass until a promise settles; fails if no timer is left before that. */
  async until<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const done = (): void => void (over = true);
    work.then(done, done);
    await settle();
    while (!over) {
      const next = Math.min(...[...this.timers.values()].map(({ at }) => at));
      if (next === Infinity) throw new Error('FakeClock: the promise is pending, but no timer is left');
      await this.advance(next - this.time);
    }
    return work;
  }
}

/** Lets all pending promise callbacks run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
