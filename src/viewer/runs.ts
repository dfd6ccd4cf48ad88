import type { RunFolders } from './run-folders.js';
import { TokenWeights } from './token-weights.js';
import { Trajectories } from './trajectories.js';
import { ValueReview } from './value-review.js';

/** What is kept in memory of one run. */
export class OpenRun {
  readonly trajectories: Trajectories;
  readonly values: ValueReview;
  readonly tokens: TokenWeights;

  constructor(readonly folder: string) {
    this.trajectories = new Trajectories(folder);
    this.values = new ValueReview(folder, this.trajectories.index, this.trajectories.critic);
    this.tokens = new TokenWeights(folder);
  }
}

/** Runs whose indexes are held at a time. */
const MOST = 6;

/** The runs that were looked at last. */
export class Runs {
  private readonly open = new Map<string, OpenRun>();

  constructor(readonly folders: RunFolders) {}

  /** Begins to read what the first view shows. What is wrong with it is told to whoever asks for it. */
  warm(): void {
    const { trajectories } = this.of(this.folders.first);
    trajectories.warm().catch(() => undefined);
  }

  /** @throws UserError where there is no such run */
  of(name: string): OpenRun {
    const folder = this.folders.path(name);
    const run = this.open.get(name) ?? new OpenRun(folder);
    // the one looked at last goes to the end
    this.open.delete(name);
    this.open.set(name, run);
    for (const oldest of this.open.keys()) {
      if (this.open.size <= MOST) break;
      this.open.delete(oldest);
    }
    return run;
  }
}
