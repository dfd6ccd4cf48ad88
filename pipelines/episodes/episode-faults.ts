import type { LostEpisode } from '../../src/agents/rollout.js';
import type { Episode, EpisodeFault } from '../../src/data/store/journal.js';
import type { DevicePool, PoolEvent } from '../../src/devices/pool/pool.js';
import { RunError } from '../../src/errors.js';
import type { Log } from '../../src/runner/display.js';

/** Episodes that a line of the log names at most; the manifest has all. */
const NAMED = 10;

/** What faults of devices did to the episodes of a shard, for its manifest; a shard without any says nothing. */
export interface Disturbed {
  /** episodes that were begun anew, in the order of the plan; they count */
  readonly repeated?: readonly { readonly episode: string; readonly faults: readonly EpisodeFault[] }[];
  /** episodes of which no attempt came to its end; they do not */
  readonly lost?: readonly LostEpisode[];
}

/**
 * The episodes of a shard that were disturbed, which are also told.
 * @param episodes those that came to their end, in the order of the plan
 * @param shard.planned how many there should be
 * @throws RunError where all of them are lost
 */
export function disturbedEpisodes(
  episodes: readonly Episode[],
  lost: readonly LostEpisode[],
  { planned, log }: { readonly planned: number; readonly log: Log },
): Disturbed {
  const repeated = episodes.flatMap(({ episode, faults }) => (faults ? [{ episode, faults }] : []));
  const again = repeated.length > 0 ? { repeated } : {};
  if (repeated.length > 0) {
    log.info(`${count(repeated.length)} begun anew after faults of devices: ${names(repeated)}`);
  }
  if (lost.length === 0) return again;
  const [{ episode, faults }] = lost;
  const { device, call, reason } = faults.at(-1)!;
  const example = `the last fault of ${episode}: ${device}: ${call}: ${reason}`;
  const refused = lost.every((one) => one.faults.at(-1)!.call === 'agent');
  const [what, who] = refused ? ["refusals of the agent's server", 'the server'] : ['faults of devices', 'the devices'];
  if (lost.length === planned) {
    throw new RunError(
      `all episodes of a shard (${planned}) were lost to ${what} (${example}); look after ${who} and run the same command again`,
    );
  }
  log.warn(`${count(lost.length)} lost to ${what} and not counted: ${names(lost)} (${example})`);
  return { ...again, lost };
}

/** Says what happened to a device: what is for good is a warning. */
export function tellEvent(log: Log, { kind, line }: PoolEvent): void {
  if (kind === 'given up' || kind === 'not closed') log.warn(line);
  else log.debug(line);
}

/** How many devices are not there to work, for the line of progress; '' if all are. */
export function outOfOrder({ count: all, status: { resting, givenUp } }: Pick<DevicePool, 'count' | 'status'>): string {
  if (resting + givenUp === 0) return '';
  return `${resting + givenUp} of ${all} devices out of order${givenUp > 0 ? `, ${givenUp} for good` : ''}`;
}

const count = (n: number): string => `${n} episode${n === 1 ? '' : 's'}`;

/** The first names of a list that may be long. */
function names(of: readonly { readonly episode: string }[]): string {
  const few = of.slice(0, NAMED).map(({ episode }) => episode);
  return `${few.join(', ')}${of.length > NAMED ? ` and ${of.length - NAMED} more` : ''}`;
}
