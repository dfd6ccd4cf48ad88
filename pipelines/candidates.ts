import { join } from 'node:path';
import { z } from 'zod';
import { parseAction } from '../src/agents/grammar.js';
import type { Candidate } from '../src/agents/policy/policy.js';
import { TruncationSettings, truncationOf } from '../src/agents/policy/truncation.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { openDataset } from '../src/data/store/manifest.js';
import { readTable, writeTable } from '../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, type CandidateRow } from '../src/data/transitions.js';
import { Random } from '../src/random.js';
import { policySet } from '../src/runner/reference.js';
import { stage, type Extent, type Prior } from '../src/runner/stage.js';
import { FILES } from './datasets.js';
import { policyOf } from './resources.js';
import { checkImageWidth, checkImportedWidth } from './widths.js';

export const Candidates = z.object({
  samples: z
    .int()
    .min(1)
    .default(64)
    .describe(
      'actions per state, including the one taken (64 in General, 16 in Web Shopping; docs/algorithms.md §2.1)',
    ),
  temperature: z.number().positive().default(1.2).describe('sampling temperature'),
  ...TruncationSettings,
  retries: z.int().min(0).default(3).describe('redraws of a sample that is not a valid action'),
  policy: z
    .string()
    .default('base')
    .describe('name of the policy that samples, below `policy/`; `RUN:name` takes one of another run'),
});

/** States sampled together: enough to fill the decoder's batches for several prompt lengths. */
export const CANDIDATE_CHUNK = 256;

/**
 * Samples more actions for every state (docs/algorithms.md §2.1). Each distinct action of a state is stored once, with its
 * count. Entry 0 is the action taken; its count is one more than the number of times it was sampled.
 */
export const candidates = stage({
  name: 'candidates',
  summary: 'sample more actions for every state',
  // 2: each sample has a stream of random numbers of its own, so that more of them can join those that are there
  version: 2,
  accepts: 1,
  settings: Candidates,
  uses: ['seed'],
  counts: () => ['samples'],
  inputs: ({ policy }) => ['trajectories', 'image-vectors', policySet(policy)],
  outputs: () => ['candidates'],
  check: ({ policy }, config, dataset) => checkImportedWidth(config, dataset, policySet(policy)),
  plan: async (ctx) => {
    await checkImageWidth(ctx, policySet(ctx.settings.policy));
    const { shards } = await openDataset(ctx.dataset('trajectories'), { stage: 'collect' });
    return shards.map(({ shard: id, files }) => ({
      id,
      inputs: { trajectories: [id], 'image-vectors': [id] },
      extent: {
        states: files.find(({ file }) => file === FILES.transitions(id))?.rows ?? 0,
        samples: ctx.settings.samples,
      },
    }));
  },
  run: async (shard, ctx) => {
    const { settings, seed } = ctx;
    const folder = ctx.dataset('trajectories');
    const policy = await policyOf(ctx, policySet(settings.policy));
    const vectors = ImageVectors.open([join(ctx.dataset('image-vectors'), FILES.vectors(shard.id))]);
    const rows = await readTable(join(folder, FILES.transitions(shard.id)), TRANSITIONS, {
      columns: ['tid', 'prompt', 'action', 'image'],
    });
    const progress = ctx.progress(rows.length, `states of shard ${shard.id}`);
    const draw = {
      seed: new Random(seed, 'candidates').int(2 ** 31),
      count: settings.samples - 1,
      temperature: settings.temperature,
      retries: settings.retries,
      ...truncationOf(settings),
    };
    const known = await storedRows(ctx.priors, shard.id, { states: rows.length, samples: settings.samples });
    progress.advance(known.length);
    async function* sampled(): AsyncGenerator<CandidateRow> {
      yield* known;
      for (let start = known.length; start < rows.length; start += CANDIDATE_CHUNK) {
        ctx.signal.throwIfAborted();
        const chunk = rows.slice(start, start + CANDIDATE_CHUNK);
        const states = chunk.map(({ tid, prompt, image }) => {
          const vector = new Float32Array(vectors.dim);
          vectors.read(image, vector);
          return { key: String(tid), prompt, vector };
        });
        const drawn = draw.count > 0 ? await policy.draw(states, draw) : states.map(() => []);
        for (const [i, { tid, action }] of chunk.entries()) yield candidateRow(tid, action, drawn[i]);
        progress.advance(chunk.length);
      }
    }
    const file = FILES.candidates(shard.id);
    await writeTable(join(ctx.dataset('candidates'), file), CANDIDATES, sampled());
    progress.done();
    vectors.close();
    return [file];
  },
});

/**
 * The rows of complete chunks that a version of the shard has with as many samples. More samples of a state are drawn
 * together with those that it has: a sample has its own random numbers, so it comes again, and the last bits of the
 * log-probabilities depend on what else is in a batch.
 */
async function storedRows(priors: readonly Prior[], id: string, wanted: Extent): Promise<CandidateRow[]> {
  const same = priors
    .filter(({ extent }) => extent.samples === wanted.samples)
    .sort((a, b) => b.extent.states - a.extent.states);
  if (same.length === 0) return [];
  const [{ extent, sets }] = same;
  const whole = Math.floor(Math.min(extent.states, wanted.states) / CANDIDATE_CHUNK) * CANDIDATE_CHUNK;
  return readTable(join(sets.candidates.folder, FILES.candidates(id)), CANDIDATES, { rowEnd: whole });
}

/** The action taken, then the sampled ones from the most to the least frequent. */
function candidateRow(tid: number, taken: string, sampled: readonly Candidate[]): CandidateRow {
  const same = sampled.find(({ text }) => text === taken);
  const others = sampled
    .filter(({ text }) => text !== taken)
    .sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1));
  return {
    tid,
    actions: [taken, ...others.map(({ text }) => text)],
    counts: [1 + (same?.count ?? 0), ...others.map(({ count }) => count)],
    valid: [!('invalid' in parseAction(taken)), ...others.map(({ action }) => action !== undefined)],
    logProbs: [same?.logProb ?? NaN, ...others.map(({ logProb }) => logProb)],
  };
}
