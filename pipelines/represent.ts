import { join } from 'node:path';
import { z } from 'zod';
import { cursorVectors, PocketRepresenter, type Representer } from '../src/agents/representer.js';
import { TextTokenizer } from '../src/agents/tokenizer.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { RepresentationWriter } from '../src/data/representations.js';
import { readTable } from '../src/data/tables.js';
import { CANDIDATES, TRANSITIONS } from '../src/data/transitions.js';
import { Parameters } from '../src/graph/index.js';
import { autoUISpecs } from '../src/models/autoui-config.js';
import { checkParameters } from '../src/models/checkpoint.js';
import { ConvTower, readTowerConfig, type VisionTower } from '../src/models/vision.js';
import { stage, type StageContext } from '../src/runner/stage.js';
import { FILES, shardIds } from './datasets.js';
import { imagesOf, once, runtimeOf } from './resources.js';
import { readVlmConfig } from './vlm.js';

export const Represent = z.object({
  state: z.boolean().default(false).describe('represent each state alone as well, for `critic.state_rep`'),
});

/** A VLM of this run with its vision tower. */
export interface LoadedVlm {
  readonly representer: Representer;
  readonly tower: VisionTower;
}

/** The VLM of this run. */
export function vlmOf(ctx: StageContext<unknown>): Promise<LoadedVlm> {
  return once(ctx, 'vlm', async () => {
    const folder = ctx.dataset('vlm');
    const runtime = await runtimeOf(ctx);
    const config = readVlmConfig(folder);
    const params = Parameters.load(join(folder, 'model.safetensors'));
    checkParameters(params, autoUISpecs(config.autoui), folder);
    const vision = join(folder, 'vision');
    const tower = new ConvTower(runtime, Parameters.load(join(vision, 'model.safetensors')), readTowerConfig(vision));
    return { representer: new PocketRepresenter(runtime, params, config, TextTokenizer.load(folder)), tower };
  });
}

/** States whose cursors and actions go through the models together. */
const CHUNK = 256;

/** Representations of every (state, action) of every transition (ALGORITHMS §2.3). */
export const represent = stage({
  name: 'represent',
  summary: 'extract VLM representations of every state and action',
  settings: Represent,
  inputs: () => ['trajectories', 'image-vectors', 'candidates', 'vlm'],
  outputs: () => ['representations'],
  plan: async (ctx) =>
    (await shardIds(ctx.dataset('candidates'), 'candidates')).map((id) => ({
      id,
      inputs: { trajectories: [id], 'image-vectors': [id], candidates: [id] },
    })),
  run: async (shard, ctx) => {
    const { representer, tower } = await vlmOf(ctx);
    const images = await imagesOf(ctx);
    const trajectories = ctx.dataset('trajectories');
    const plain = ImageVectors.open([join(ctx.dataset('image-vectors'), FILES.vectors(shard.id))]);
    const transitions = await readTable(join(trajectories, FILES.transitions(shard.id)), TRANSITIONS, {
      columns: ['tid', 'prompt', 'image'],
    });
    const candidates = await readTable(join(ctx.dataset('candidates'), FILES.candidates(shard.id)), CANDIDATES, {
      columns: ['tid', 'actions'],
    });
    const progress = ctx.progress(transitions.length, `states ${shard.id}`);
    const file = FILES.representations(shard.id);
    const writer = await RepresentationWriter.open(join(ctx.dataset('representations'), file), representer.dim);
    try {
      for (let start = 0; start < transitions.length; start += CHUNK) {
        ctx.signal.throwIfAborted();
        const chunk = transitions.slice(start, start + CHUNK);
        const actions = chunk.map((_, i) => [...candidates[start + i].actions, ...(ctx.settings.state ? [''] : [])]);
        const vectors = await cursorVectors(
          tower,
          chunk.map(({ image }, i) => {
            const vector = new Float32Array(tower.dim);
            plain.read(image, vector);
            return { actions: actions[i], plain: vector, frame: () => images.get(image) };
          }),
        );
        const made = await representer.represent(
          chunk.map(({ prompt }, i) => ({
            prompt,
            rows: actions[i].map((action, j) => ({ action, vector: vectors[i][j] })),
          })),
        );
        for (const [i, { tid }] of chunk.entries()) await writer.append(tid, made[i], { state: ctx.settings.state });
        progress.advance(chunk.length);
      }
      const { rows } = await writer.commit();
      ctx.log.debug(`${rows} representations of ${representer.dim}`);
    } catch (error) {
      await writer.abort();
      throw error;
    }
    progress.done();
    plain.close();
    return [file];
  },
});
