import { join } from 'node:path';
import { z } from 'zod';
import { parseAction } from '../src/agents/grammar.js';
import type { Candidate } from '../src/agents/policy/policy.js';
import { TruncationSettings, truncationOf } from '../src/agents/policy/truncation.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { readTable, writeTable } from '../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, type CandidateRow } from '../src/data/transitions.js';
import { Random } from '../src/random.js';
import { policySet } from '../src/runner/reference.js';
import { stage } from '../src/runner/stage.js';
import { FILES, shardIds } from './datasets.js';
import { policyOf } from './resources.js';
import { checkImageWidth } from './widths.js';

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
const CHUNK = 256;

/**
 * Samples more actions for every state (docs/algorithms.md §2.1). Each distinct action of a state is stored once, with its
 * count. Entry 0 is the action taken; its count is one more than the number of times it was sampled.
 */
export const candidates = stage({
  name: 'candidates',
  summary: 'sample more actions for every state',
  settings: Candidates,
  uses: ['seed'],
  inputs: ({ policy }) => ['trajectories', 'image-vectors', policySet(policy)],
  outputs: () => ['candidates'],
  plan: async (ctx) => {
    await checkImageWidth(ctx, policySet(ctx.settings.policy));
    return (await shardIds(ctx.dataset('trajectories'), 'collect')).map((id) => ({
      id,
      inputs: { trajectories: [id], 'image-vectors': [id] },
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
    async function* sampled(): AsyncGenerator<CandidateRow> {
      for (let start = 0; start < rows.length; start += CHUNK) {
        ctx.signal.throwIfAborted();
        const chunk = rows.slice(start, start + CHUNK);
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
