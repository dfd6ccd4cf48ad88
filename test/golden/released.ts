import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { actionColumns } from '../../src/agents/action-columns.js';
import type { Frame } from '../../src/data/formats/frame.js';
import { ImageStore } from '../../src/data/images.js';
import { ImageVectors } from '../../src/data/image-vectors.js';
import { IMPORTED, importDigiq } from '../../src/data/released/digiq-import.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { readTable } from '../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS } from '../../src/data/transitions.js';
import { Critic } from '../../src/agents/critic/critic.js';
import { actionTexts } from '../../src/agents/critic/critic-feeds.js';
import type { ValueRow } from '../../src/data/transitions.js';
import type { Runtime } from '../../src/graph/index.js';
import { Checkpoint } from '../../src/models/checkpoint/tensors.js';
import { agentFiles, readReleasedCritic, stateFolder } from '../../src/models/released/agent.js';
import { writeReleasedCritic } from '../../pipelines/commands/import-agent.js';
import { CriticData } from '../../pipelines/training/critic-data.js';
import { valuesOf } from '../../pipelines/training/critic-values.js';
import { Comparison, ReferenceFile, readJsonAs } from './reference.js';

const numbers = z.array(z.number());
const Expected = z.object({
  steps: z
    .array(
      z.object({
        traj: z.int(),
        step: z.int(),
        image: numbers,
        next_image: numbers,
        mc_return_095: z.number(),
        screen: z.string(),
        next_screen: z.string(),
        actions: z.array(z.string()),
        counts: z.array(z.int()),
        reward: z.number(),
        done: z.boolean(),
      }),
    )
    .min(1),
});

/** Stands for a screenshot: a picture of one pixel whose colour is the number of its path among those asked for so far. */
class Numbered {
  readonly from = 'the pictures of this case';
  private readonly names: string[] = [];

  async read(path: string): Promise<Frame> {
    const name = basename(path);
    if (!this.names.includes(name)) this.names.push(name);
    const number = this.names.indexOf(name);
    return { width: 1, height: 1, rgba: new Uint8ClampedArray([number & 255, number >> 8, 0, 255]) };
  }

  nameOf({ rgba }: Frame): string {
    return this.names[rgba[0] + 256 * rgba[1]];
  }

  close(): void {
    // nothing to close
  }
}

/**
 * A file in the layout of Digi-Q's released data: imported, its stacked frames, returns, screens and candidates are those
 * of expected.json. A file as collected has no candidates.
 */
export async function releasedDataCase(folder: string, file: string): Promise<Comparison> {
  const comparison = new Comparison();
  const { steps } = readJsonAs(join(folder, 'expected.json'), Expected);
  const scratch = mkdtempSync(join(tmpdir(), 'critiq-golden-'));
  try {
    const pictures = new Numbered();
    const done = await importDigiq(join(folder, file), scratch, { parse: actionColumns, gamma: 0.95, pictures });
    const [vectors, , candidateSet, trajectories] = await Promise.all(
      IMPORTED.map((name) => openDataset(join(scratch, name), { verify: 'full' })),
    );
    const rows = (await Promise.all(trajectories.files().map((path) => readTable(path, TRANSITIONS)))).flat();
    const candidates = (await Promise.all(candidateSet.files().map((path) => readTable(path, CANDIDATES)))).flat();
    const images = ImageVectors.open(vectors.files());
    const pair = (...ids: string[]): Float32Array => {
      const both = new Float32Array(2 * images.dim);
      ids.forEach((id, i) => images.read(id, both, i * images.dim));
      return both;
    };
    const store = new ImageStore(join(scratch, 'images'));
    const screen = async (id: string) => pictures.nameOf(await store.get(id));
    comparison.equal(`steps of ${file}`, rows.length, steps.length);
    for (const [i, expected] of steps.entries()) {
      const row = rows[i];
      const at = `${file}, trajectory ${expected.traj}, step ${expected.step}`;
      comparison.equal(at, row.step, expected.step);
      comparison.close(`${at}: image`, pair(row.prevImage, row.image), expected.image);
      comparison.close(`${at}: next image`, pair(row.nextPrevImage, row.nextImage), expected.next_image);
      comparison.close(`${at}: return`, [row.mcReturn], [expected.mc_return_095], 1);
      comparison.equal(`${at}: screen`, await screen(row.image), expected.screen);
      comparison.equal(`${at}: next screen`, await screen(row.nextImage), expected.next_screen);
      comparison.equal(`${at}: reward`, [row.reward, row.done], [expected.reward, expected.done]);
      if (!done.candidates) comparison.equal(`${at}: action`, row.action, expected.actions[0]);
      else {
        comparison.equal(`${at}: actions`, candidates[i].actions, expected.actions);
        comparison.equal(`${at}: counts`, candidates[i].counts, expected.counts);
      }
    }
    images.close();
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return comparison;
}

/** Whether a folder has files in the layout of the released data. */
export function isReleased(folder: string): boolean {
  try {
    return Expected.safeParse(JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))).success;
  } catch {
    return false;
  }
}

const Values = z.object({
  cases: z
    .array(
      z.object({
        traj: z.int(),
        step: z.int(),
        k: z.int(),
        action: z.string(),
        prev_type: z.string(),
        prev_text: z.string(),
        type: z.string(),
        text: z.string(),
        q1: z.number(),
        q2: z.number(),
        v1: z.number(),
        v2: z.number(),
      }),
    )
    .min(1),
});

/** A trained agent in the released layout (`agent/`, with `roberta/`): its critic's values of every stored action. */
export async function releasedAgentCase(folder: string, runtime: Runtime): Promise<Comparison> {
  const comparison = new Comparison();
  const { cases } = readJsonAs(join(folder, 'agent', 'values.json'), Values);
  const scratch = mkdtempSync(join(tmpdir(), 'critiq-golden-'));
  try {
    const data = await importDigiq(join(folder, 'trajectories.pt'), scratch, {
      parse: actionColumns,
      representations: 'float32',
    });
    comparison.equal('candidates', data.candidates, true);
    const files = await agentFiles(stateFolder(join(folder, 'agent')));
    const released = await readReleasedCritic(
      files.find(({ part }) => part === 'critic')!.file,
      join(folder, 'roberta'),
    );
    await writeReleasedCritic(join(scratch, 'critic'), released, join(folder, 'roberta'));
    const critic = await Critic.load(runtime, join(scratch, 'critic'));
    const states = await CriticData.open({ dataset: (name) => join(scratch, name) });
    const progress = { advance: () => undefined, done: () => undefined };
    const values = valuesOf(critic, states, { progress, signal: new AbortController().signal });
    const byTid = new Map<number, ValueRow>();
    for await (const row of values) byTid.set(row.tid, row);
    states.close();
    const trajectories = await openDataset(join(scratch, 'trajectories'));
    const rows = (await Promise.all(trajectories.files().map((path) => readTable(path, TRANSITIONS)))).flat();
    const numbers = new Map([...new Set(rows.map(({ trajectory }) => trajectory))].map((id, i) => [id, i]));
    const at = new Map(rows.map((row) => [`${numbers.get(row.trajectory)} ${row.step}`, row]));
    for (const one of cases) {
      const row = at.get(`${one.traj} ${one.step}`)!;
      const index = states.candidates[rows.indexOf(row)].actions.indexOf(one.action);
      const { q1, q2, v1, v2 } = byTid.get(row.tid)!;
      const name = `trajectory ${one.traj}, step ${one.step}, action ${one.k}`;
      comparison.equal(`${name}: texts`, Object.values(actionTexts(one.action, 'typed')), [one.type, one.text]);
      const previous = Object.values(actionTexts(row.prevAction, 'typed'));
      comparison.equal(`${name}: previous texts`, previous, [one.prev_type, one.prev_text]);
      comparison.close(name, [q1[index], q2[index], v1, v2], [one.q1, one.q2, one.v1, one.v2]);
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return comparison;
}

/** The policy of a trained agent has the tensors of policy.safetensors. */
export async function releasedPolicyCase(folder: string): Promise<Comparison> {
  const comparison = new Comparison();
  const expected = new ReferenceFile(join(folder, 'agent'), 'policy.safetensors');
  const files = await agentFiles(stateFolder(join(folder, 'agent')));
  const checkpoint = await Checkpoint.open(files.find(({ part }) => part === 'policy')!.file);
  try {
    for (const name of expected.names) {
      const tensor = checkpoint.tensors.get(name);
      comparison.equal(`${name} shape`, tensor?.shape, expected.get(name).shape);
      if (!tensor) continue;
      const values = new Float32Array(tensor.shape.reduce((size, axis) => size * axis, 1));
      checkpoint.readFloats(tensor, values);
      comparison.close(name, values, expected.floats(name));
    }
  } finally {
    checkpoint.close();
  }
  return comparison;
}
