import type { RunFolders } from './run-folders.js';
import { TokenWeights } from './token-weights.js';
import { Trajectories } from './trajectories.js';
import { ValueReview } from './value-review.js';

/** One run in memory. */
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

/** Most runs in memory. */
const MOST = 6;

/** The runs that were viewed last. */
export class Runs {
  private readonly open = new Map<string, OpenRun>();

  constructor(readonly folders: RunFolders) {}

  /** Starts to read what the first view shows; errors appear when it is requested. */
  warm(): void {
    const { trajectories } = this.of(this.folders.first);
    trajectories.warm().catch(() => undefined);
  }

  /** @throws UserError if there is no such run */
  of(name: string): OpenRun {
    const folder = this.folders.path(name);
    const run = this.open.get(name) ?? new OpenRun(folder);
    // the most recent one goes to the end
    this.open.delete(name);
    this.open.set(name, run);
    for (const oldest of this.open.keys()) {
      if (this.open.size <= MOST) break;
      this.open.delete(oldest);
    }
    return run;
  }
}
