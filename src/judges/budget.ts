import { SharedLines } from '../data/store/shared-lines.js';
import { RunError } from '../errors.js';

/** The budget is spent: nothing more is asked. */
export class BudgetSpent extends RunError {}

/** What was spent in one go. */
interface Spent {
  readonly calls?: number;
  readonly tokens?: number;
}

/**
 * Calls and tokens that a run may spend on its judge, whoever of its processes asks, however often it is stopped and goes
 * on: what was spent is kept in the run folder.
 */
export class Budget {
  private calls = 0;
  private tokens = 0;
  private readonly lines: SharedLines<Spent>;

  /**
   * @param folder of the account, made when first written to
   * @param limits 0: none
   */
  constructor(
    folder: string,
    private readonly limits: { readonly calls: number; readonly tokens: number },
  ) {
    this.lines = new SharedLines(folder);
  }

  /** What the run has spent so far. */
  get spent(): { readonly calls: number; readonly tokens: number } {
    for (const { calls = 0, tokens = 0 } of this.lines.news()) {
      this.calls += calls;
      this.tokens += tokens;
    }
    return { calls: this.calls, tokens: this.tokens };
  }

  /** Before a call: takes it from the budget. @throws BudgetSpent where there is none left */
  take(): void {
    const { calls, tokens } = this.spent;
    const { limits } = this;
    if (limits.calls > 0 && calls >= limits.calls)
      throw new BudgetSpent(`the run's ${limits.calls} calls are spent (judge.budget_calls)`);
    if (limits.tokens > 0 && tokens >= limits.tokens)
      throw new BudgetSpent(`the run's ${limits.tokens} tokens are spent: ${tokens} (judge.budget_tokens)`);
    this.lines.append({ calls: 1 });
  }

  /** After a call: the tokens it took. */
  note(tokens: number): void {
    if (tokens > 0) this.lines.append({ tokens });
  }

  close(): void {
    this.lines.close();
  }
}
