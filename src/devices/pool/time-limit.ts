import { RunError } from '../../errors.js';
import { machineClock, TooLate, within } from './clock.js';

/** A call to a device took longer than its deadline. The requested operation may still complete. */
export class Overdue extends RunError {}

/** The time limit of one call, shared by everything it waits for. */
export class TimeLimit {
  private readonly end: number;

  /** @param what start of the error message, for example `browser-0: screenshot` */
  constructor(
    private readonly ms: number,
    private readonly what: string,
  ) {
    this.end = machineClock.now() + ms;
  }

  /** milliseconds left, at least 1, since some libraries take 0 for no limit */
  get left(): number {
    return Math.max(1, this.end - machineClock.now());
  }

  /**
   * Waits for `work` within the limit. Late work is not undone, and its late failure is ignored.
   * @throws Overdue after the limit
   */
  async of<T>(work: Promise<T>, doing: string): Promise<T> {
    try {
      return await within(machineClock, this.left, () => work);
    } catch (error) {
      if (error instanceof TooLate) throw new Overdue(`${this.what}: no answer in ${this.ms} ms (${doing})`);
      throw error;
    }
  }
}
