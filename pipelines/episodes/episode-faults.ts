import type { LostEpisode } from '../../src/agents/rollout.js';
import type { Episode, EpisodeFault } from '../../src/data/store/journal.js';
import type { DevicePool, PoolEvent } from '../../src/devices/pool/pool.js';
import { counted } from '../../src/counted.js';
import { RunError } from '../../src/errors.js';
import type { Log } from '../../src/runner/display.js';

/** Maximum number of episodes named in a log line; the manifest has all. */
const NAMED = 10;

/** Effects of device faults on the episodes of a shard, for its manifest. Empty without faults. */
export interface Disturbed {
  /** restarted episodes, in the order of the plan; they count */
  readonly repeated?: readonly { readonly episode: string; readonly faults: readonly EpisodeFault[] }[];
  /** episodes whose attempts all failed; they do not count */
  readonly lost?: readonly LostEpisode[];
}

/**
 * Finds and logs the restarted and lost episodes of a shard.
 * @param episodes finished episodes, in the order of the plan
 * @param shard.planned number of planned episodes
 * @throws RunError if all are lost
 */
export function disturbedEpisodes(
  episodes: readonly Episode[],
  lost: readonly LostEpisode[],
  { planned, log }: { readonly planned: number; readonly log: Log },
): Disturbed {
  const repeated = episodes.flatMap(({ episode, faults }) => (faults ? [{ episode, faults }] : []));
  const again = repeated.length > 0 ? { repeated } : {};
  if (repeated.length > 0) {
    log.info(`${counted(repeated.length, 'episode')} restarted after device faults: ${names(repeated)}`);
  }
  if (lost.length === 0) return again;
  const [{ episode, faults }] = lost;
  const { device, call, reason } = faults.at(-1)!;
  const example = `last fault of ${episode}: ${device}: ${call}: ${reason}`;
  const refused = lost.every((one) => one.faults.at(-1)!.call === 'agent');
  const [what, who] = refused ? ["refusals by the agent's server", 'the server'] : ['device faults', 'the devices'];
  if (lost.length === planned) {
    throw new RunError(
      `all episodes of a shard (${planned}) were lost to ${what} (${example}); fix ${who} and run the same command again`,
    );
  }
  log.warn(`${counted(lost.length, 'episode')} lost to ${what} and not counted: ${names(lost)} (${example})`);
  return { ...again, lost };
}

/** Logs what happened to a device: permanent failures are warnings. */
export function tellEvent(log: Log, { kind, line }: PoolEvent): void {
  if (kind === 'given up' || kind === 'not closed') log.warn(line);
  else log.debug(line);
}

/** The number of unavailable devices, for the progress line; '' if there are none. */
export function outOfOrder({ count: all, status: { resting, givenUp } }: Pick<DevicePool, 'count' | 'status'>): string {
  if (resting + givenUp === 0) return '';
  return `${resting + givenUp} of ${all} devices out of order${givenUp > 0 ? `, ${givenUp} for good` : ''}`;
}

/** The first names of a list that may be long. */
function names(of: readonly { readonly episode: string }[]): string {
  const few = of.slice(0, NAMED).map(({ episode }) => episode);
  return `${few.join(', ')}${of.length > NAMED ? ` and ${of.length - NAMED} more` : ''}`;
}
