import { readText } from '../../src/data/formats/text.js';
import { join } from 'node:path';
import { actionColumns } from '../../src/agents/action-columns.js';
import { ImageVectors } from '../../src/data/image-vectors.js';
import { readTable } from '../../src/data/tables.js';
import { TRANSITIONS, type Transition } from '../../src/data/transitions.js';
import type { Prior } from '../../src/runner/stage.js';
import { FILES } from '../datasets.js';
import type { Disturbed } from './episode-faults.js';

/** What a data set of episodes records with a shard. */
export interface EpisodeFacts extends Disturbed {
  /** judged ones */
  readonly episodes: number;
  readonly successes: number;
  /** those without a verdict */
  readonly unknown: readonly string[];
}

/** The episodes that a shard has already, from a version with more or fewer of them. */
export interface StoredEpisodes {
  /** number of the first episode that is not among them */
  readonly to: number;
  /** of the judged ones, in order */
  readonly rows: readonly Transition[];
  readonly facts: EpisodeFacts;
  /** lines of the answers of a served agent */
  readonly answers: readonly string[];
  /** the vector of a screen; undefined if there are none */
  vector(image: string): Float32Array | undefined;
  close(): void;
}

const NOTHING: EpisodeFacts = { episodes: 0, successes: 0, unknown: [] };

/**
 * Reads the episodes that the longest version of a shard has of those that are planned now.
 * @param output the data set of the transitions @param vectors that of the image vectors, if any
 */
export async function storedEpisodes(
  priors: readonly Prior[],
  { id, from, to }: { readonly id: string; readonly from: number; readonly to: number },
  output: string,
  vectors: string | undefined,
): Promise<StoredEpisodes> {
  const [prior] = priors;
  if (!prior) return { to: from, rows: [], facts: NOTHING, answers: [], vector: () => undefined, close: () => {} };
  const { folder, files, facts = NOTHING } = prior.sets[output];
  const end = Math.min(to, from + prior.extent.episodes);
  const before = (episode: string): boolean => Number(episode) < end;
  const rows = (await readTable(join(folder, FILES.transitions(id)), TRANSITIONS))
    .filter(({ trajectory }) => before(trajectory))
    // an older critiq did not store the parsed action
    .map((row) => (row.actionType === null ? { ...row, ...actionColumns(row.action) } : row));
  const ends = rows.filter(({ done }) => done);
  const { unknown, repeated, lost } = facts as EpisodeFacts;
  const again = repeated?.filter(({ episode }) => before(episode)) ?? [];
  const gone = lost?.filter(({ episode }) => before(episode)) ?? [];
  const screens = vectors === undefined ? undefined : prior.sets[vectors];
  const opened = screens && ImageVectors.open(screens.files.map(({ file }) => join(screens.folder, file)));
  return {
    to: end,
    rows,
    facts: {
      episodes: ends.length,
      successes: ends.filter(({ trajectoryReward }) => trajectoryReward > 0).length,
      unknown: unknown.filter(before),
      ...(again.length > 0 ? { repeated: again } : {}),
      ...(gone.length > 0 ? { lost: gone } : {}),
    },
    answers: files.some(({ file }) => file === FILES.answers(id))
      ? readText(join(folder, FILES.answers(id)))
          .split('\n')
          .filter((line) => line !== '' && before((JSON.parse(line) as { trajectory: string }).trajectory))
      : [],
    vector: (image) => {
      if (!opened?.has(image)) return undefined;
      const vector = new Float32Array(opened.dim);
      opened.read(image, vector);
      return vector;
    },
    close: () => opened?.close(),
  };
}

/** The facts of stored and new episodes together. */
export function joined(a: EpisodeFacts, b: EpisodeFacts): EpisodeFacts {
  const repeated = [...(a.repeated ?? []), ...(b.repeated ?? [])];
  const lost = [...(a.lost ?? []), ...(b.lost ?? [])];
  return {
    episodes: a.episodes + b.episodes,
    successes: a.successes + b.successes,
    unknown: [...a.unknown, ...b.unknown],
    ...(repeated.length > 0 ? { repeated } : {}),
    ...(lost.length > 0 ? { lost } : {}),
  };
}
