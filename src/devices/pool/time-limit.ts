import { RunError } from '../../errors.js';
import { machineClock, TooLate, within } from './clock.js';

/** A call to a device took longer than its deadline. What was asked for may still happen. */
export class Overdue extends RunError {}

/** The time that one call may take, shared by all it waits for. */
export class TimeLimit {
  private readonly end: number;

  /** @param what begins the message of the error, for example `browser-0: screenshot` */
  constructor(
    private readonly ms: number,
    private readonly what: string,
  ) {
    this.end = machineClock.now() + ms;
  }

  /** milliseconds left, at least 1, since 0 means for ever to some */
  get left(): number {
    return Math.max(1, this.end - machineClock.now());
  }

  /**
   * The value of `work`, if it comes in time. Work that comes late is not undone, and its failure is nobody's.
   * @throws Overdue
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
