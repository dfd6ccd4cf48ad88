import { join } from 'node:path';
import type { RepresentedState } from '../src/agents/representers/representer.js';
import { counted } from '../src/counted.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { Representations, RepresentationWriter, STATE } from '../src/data/representations.js';
import { openDataset } from '../src/data/store/manifest.js';
import { readTable } from '../src/data/tables.js';
import { CANDIDATES, TRANSITIONS } from '../src/data/transitions.js';
import { stage, type Shard, type ShardContext } from '../src/runner/stage.js';
import { CANDIDATE_CHUNK } from './candidates.js';
import { FILES } from './datasets.js';
import { imagesOf } from './resources.js';
import { checkVlm, vlmOf } from './vlm/backend.js';
import { Represent } from './vlm/represent-settings.js';

/** Representations of every (state, action) of every transition (docs/algorithms.md §2.3). */
export const represent = stage({
  name: 'represent',
  summary: 'extract the VLM representation of every state and action',
  settings: Represent,
  neutral: ['url', 'chat_url', 'concurrency', 'timeout_ms', 'retries', 'backoff_ms', 'api_key_env'],
  // a server or large model serves all shards anyway, and parallel shards would ask the same questions twice
  workers: ({ backend }) => (backend === 'pocket' ? undefined : 1),
  inputs: ({ backend, vlm }) => ['trajectories', ...(backend === 'pocket' ? ['image-vectors'] : []), 'candidates', vlm],
  outputs: () => ['representations'],
  plan: async (ctx) => {
    // before the old representations are removed
    checkVlm(ctx, ctx.settings.vlm);
    const { shards } = await openDataset(ctx.dataset('candidates'), { stage: 'candidates' });
    return shards.map(({ shard: id, extent }) => ({
      id,
      ...(extent ? { extent } : {}),
      inputs: {
        trajectories: [id],
        ...(ctx.settings.backend === 'pocket' ? { 'image-vectors': [id] } : {}),
        candidates: [id],
      },
    }));
  },
  run: async (shard, ctx) => {
    const { representer } = await vlmOf(ctx, ctx.settings.vlm);
    const { tids, states, close } = await statesOf(shard, ctx);
    if (states.length === 0) {
      // no episode of the shard was judged
      close();
      return [];
    }
    const calls = representer.calls?.(states);
    const progress =
      calls === undefined
        ? ctx.progress(states.length, `states of shard ${shard.id}`)
        : ctx.progress(calls, `VLM calls of shard ${shard.id}`);
    const file = FILES.representations(shard.id);
    let writer: RepresentationWriter | undefined;
    try {
      const known = storedRepresentations(shard, ctx, representer.chunk, states.length);
      const dataset = join(ctx.dataset('representations'), file);
      if (known) {
        writer = await RepresentationWriter.open(dataset, known.dim);
        for (const [i, tid] of tids.slice(0, known.states).entries())
          await writer.append(tid, known.rows(tid, states[i].actions.length), { state: ctx.settings.state });
        if (calls === undefined) progress.advance(known.states);
        known.close();
      }
      for (let start = known?.states ?? 0; start < states.length; start += representer.chunk) {
        ctx.signal.throwIfAborted();
        const chunk = states.slice(start, start + representer.chunk);
        const made = await representer.represent(chunk, { signal: ctx.signal, onCall: () => progress.advance() });
        const dim = made[0].length / chunk[0].actions.length;
        writer ??= await RepresentationWriter.open(dataset, dim);
        for (const [i, rows] of made.entries()) {
          await writer.append(tids[start + i], rows, { state: ctx.settings.state });
        }
        if (calls === undefined) progress.advance(chunk.length);
      }
      const { rows } = await writer!.commit();
      ctx.log.debug(`${rows} representations of ${writer!.dim}`);
    } catch (error) {
      await writer?.abort();
      throw error;
    } finally {
      progress.done();
      close();
    }
    return [file];
  },
  finish: async (ctx) => {
    if (ctx.settings.backend === 'pocket') return;
    const { counts } = await vlmOf(ctx, ctx.settings.vlm);
    if (counts) ctx.log.info(`${counted(counts.calls, 'VLM call')}; ${counted(counts.hits, 'answer')} from the cache`);
  },
});

/**
 * The representations of complete chunks of states that a version of the shard has with the same candidates. Others are
 * computed together with the new ones of their chunk, so that every bit is that of a shard made at once; a VLM on a server
 * is not asked again what it has answered.
 */
function storedRepresentations(
  { id, extent }: Shard,
  { priors, settings }: ShardContext<Represent>,
  chunk: number,
  count: number,
) {
  const prior = priors.find(({ extent: { samples } }) => samples === extent?.samples);
  // candidates of complete chunks stay as they are (candidates.ts)
  if (!prior || CANDIDATE_CHUNK % chunk !== 0) return undefined;
  const states = Math.floor(Math.min(prior.extent.states, count) / CANDIDATE_CHUNK) * CANDIDATE_CHUNK;
  if (states === 0) return undefined;
  const { folder } = prior.sets.representations;
  const stored = Representations.open([join(folder, FILES.representations(id))]);
  return {
    states,
    dim: stored.dim,
    /** the rows of a state: its candidates in order, then the state alone if it has a row */
    rows: (tid: number, length: number): Float32Array => {
      const rows = new Float32Array(length * stored.dim);
      const cands = Array.from({ length }, (_, i) => (settings.state && i === length - 1 ? STATE : i));
      stored.readRows(tid, cands, rows);
      return rows;
    },
    close: () => stored.close(),
  };
}

/** The states of a shard with their actions, in order. Call `close` after use. */
async function statesOf(
  shard: Shard,
  ctx: ShardContext<Represent>,
): Promise<{ tids: number[]; states: RepresentedState[]; close: () => void }> {
  const images = await imagesOf(ctx);
  const transitions = await readTable(join(ctx.dataset('trajectories'), FILES.transitions(shard.id)), TRANSITIONS, {
    columns: ['tid', 'prompt', 'goal', 'image'],
  });
  const candidates = await readTable(join(ctx.dataset('candidates'), FILES.candidates(shard.id)), CANDIDATES, {
    columns: ['tid', 'actions'],
  });
  const plain =
    ctx.settings.backend === 'pocket'
      ? ImageVectors.open([join(ctx.dataset('image-vectors'), FILES.vectors(shard.id))])
      : undefined;
  const vectorOf = (image: string): Float32Array | undefined => {
    if (!plain) return undefined;
    const vector = new Float32Array(plain.dim);
    plain.read(image, vector);
    return vector;
  };
  const states = transitions.map(({ prompt, goal, image }, i) => ({
    prompt,
    goal,
    image,
    frame: () => images.get(image),
    // read on demand: one vector per transition would fill the memory
    get plain() {
      return vectorOf(image);
    },
    actions: [...candidates[i].actions, ...(ctx.settings.state ? [''] : [])],
  }));
  return { tids: transitions.map(({ tid }) => tid), states, close: () => plain?.close() };
}
