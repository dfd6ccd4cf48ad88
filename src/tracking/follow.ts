import { LockedError, LockLost } from '../data/store/lock.js';
import type { Log } from '../runner/display.js';
import { runFolder } from '../runner/instance.js';
import type { Config } from '../settings/settings.js';
import { Refused, Unavailable } from './client.js';
import { MlflowSink, type MlflowSettings } from './mlflow.js';

/** Longest wait for the server when a command ends. */
const LAST_MS = 5000;

/**
 * Does `work` while its metrics go to the MLflow server of the settings, if there is one. The server never holds up or fails
 * the work: what cannot be sent is told once and stays for later.
 */
export async function followed<T>(config: Config, log: Pick<Log, 'warn'>, work: () => Promise<T>): Promise<T> {
  const settings = config.mlflow as MlflowSettings | undefined;
  if (!settings || settings.url === '') return work();
  const follower = new Follower(runFolder(config), settings, log);
  let ours = true;
  try {
    return await work();
  } catch (error) {
    // the metrics are those of the process that works there, and so is sending them
    ours = !(error instanceof LockedError || error instanceof LockLost);
    throw error;
  } finally {
    await follower.close(ours);
  }
}

class Follower {
  private readonly sink: MlflowSink;
  private readonly timer: NodeJS.Timeout;
  private readonly stop = new AbortController();
  private going: Promise<void> | undefined;
  private warned = false;
  private refused = false;

  constructor(
    run: string,
    private readonly settings: MlflowSettings,
    private readonly log: Pick<Log, 'warn'>,
  ) {
    this.sink = new MlflowSink(run, settings);
    this.timer = setInterval(() => (this.going ??= this.push(true)), settings.every_s * 1000).unref();
  }

  /** @param last whether to send the rest */
  async close(last: boolean): Promise<void> {
    clearInterval(this.timer);
    if (!last) this.stop.abort();
    const timer = setTimeout(() => this.stop.abort(), LAST_MS);
    await this.going;
    await this.push(false);
    clearTimeout(timer);
  }

  private async push(live: boolean): Promise<void> {
    try {
      if (!this.refused && !this.stop.signal.aborted) await this.sink.push({ live, signal: this.stop.signal });
    } catch (error) {
      // whatever goes wrong here must not reach the training
      this.refused = error instanceof Refused;
      this.warn(error);
    } finally {
      this.going = undefined;
    }
  }

  private warn(error: unknown): void {
    if (this.warned) return;
    this.warned = true;
    const reason = error instanceof Error ? error.message : String(error);
    const what =
      error instanceof Unavailable ? `${this.settings.url}: MLflow does not take metrics now: ${reason}` : reason;
    this.log.warn(
      `${what}; the work goes on, and what is not sent goes with the next command, or with \`critiq log push\``,
    );
  }
}
