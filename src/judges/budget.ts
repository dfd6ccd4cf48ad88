import { SharedLines } from '../data/store/shared-lines.js';
import { RunError } from '../errors.js';

/** The budget is spent: the judge's server gets no more requests. */
export class BudgetSpent extends RunError {}

/** One entry of the account. */
interface Spent {
  readonly calls?: number;
  readonly tokens?: number;
}

/**
 * The calls and tokens that a run may spend on a judge. The account is in the run folder, so it covers all processes of
 * the run and all its restarts.
 */
export class Budget {
  private calls = 0;
  private tokens = 0;
  private readonly lines: SharedLines<Spent>;

  /**
   * @param folder of the account, created at the first write
   * @param limits 0: no limit
   * @param section of the settings with the limits, for messages
   */
  constructor(
    folder: string,
    private readonly limits: { readonly calls: number; readonly tokens: number },
    private readonly section = 'judge',
  ) {
    this.lines = new SharedLines(folder);
  }

  /** Spent so far by the whole run. */
  get spent(): { readonly calls: number; readonly tokens: number } {
    for (const { calls = 0, tokens = 0 } of this.lines.news()) {
      this.calls += calls;
      this.tokens += tokens;
    }
    return { calls: this.calls, tokens: this.tokens };
  }

  /** Books one call, before it is made. @throws BudgetSpent if nothing is left */
  take(): void {
    this.check();
    this.lines.append({ calls: 1 });
  }

  /** @throws BudgetSpent if nothing is left */
  check(): void {
    const { calls, tokens } = this.spent;
    const { limits } = this;
    if (limits.calls > 0 && calls >= limits.calls)
      throw new BudgetSpent(`the run's budget of ${limits.calls} calls is spent (${this.section}.budget_calls)`);
    if (limits.tokens > 0 && tokens >= limits.tokens)
      throw new BudgetSpent(
        `the run's budget of ${limits.tokens} tokens is spent: ${tokens} used (${this.section}.budget_tokens)`,
      );
  }

  /** Books the tokens of a call, after it. */
  note(tokens: number): void {
    if (tokens > 0) this.lines.append({ tokens });
  }

  /**
   * Books the tokens of each call, or warns once if the server does not report them and a limit needs them.
   * @param server its name in the warning
   */
  tokenCounter(server: string, warn: (line: string) => void): (tokens: number | undefined) => void {
    let silent = false;
    return (tokens) => {
      if (tokens !== undefined) return this.note(tokens);
      if (this.limits.tokens > 0 && !silent)
        warn(`${server} does not report token usage: ${this.section}.budget_tokens cannot be enforced`);
      silent = true;
    };
  }

  close(): void {
    this.lines.close();
  }
}
