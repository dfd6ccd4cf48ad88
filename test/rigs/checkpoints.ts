import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { Sampler } from '../../src/agents/policy/sampler.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import type { Runtime } from '../../src/graph/index.js';
import { loadAutoUI } from '../../src/models/autoui/checkpoint.js';
import { readJsonFile } from '../../src/data/formats/json.js';

/** Made by test/fixtures/python/{make_tokenizers,make_towers}.py and examples/python/autoui_parity.py. */
const fixtures = 'test/fixtures';
const scratch = mkdtempSync(join(tmpdir(), 'critiq-checkpoints-'));
after(() => rmSync(scratch, { recursive: true }));

/** A path that does not exist yet. */
export function newPlace(): string {
  return join(mkdtempSync(join(scratch, 'place-')), 'out');
}

/** A copy of a fixture checkpoint, with its tokenizer. */
export function checkpointCopy(name: string): string {
  const folder = newPlace();
  cpSync(join(fixtures, 'checkpoints', name), folder, { recursive: true });
  const tokenizer = name.startsWith('autoui') ? 't5-hub' : name === 'roberta' ? 'roberta-4' : undefined;
  if (tokenizer) {
    for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
      cpSync(join(fixtures, 'tokenizers', tokenizer, file), join(folder, file));
    }
  }
  return folder;
}

interface Prompts {
  readonly max_tokens: number;
  readonly cases: readonly { prompt: string; image: number[] }[];
}

/** PyTorch's greedy actions with a fixture checkpoint. */
export function pytorchActions(name: string): { tokens: number[]; text: string }[] {
  return readJsonFile(join(fixtures, 'checkpoints', name, 'greedy.json'), '') as { tokens: number[]; text: string }[];
}

/** critiq's greedy actions with a checkpoint, for the fixture prompts. */
export async function critiqActions(runtime: Runtime, folder: string): Promise<{ tokens: number[]; text: string }[]> {
  const { max_tokens: maxTokens, cases } = readJsonFile(join(fixtures, 'checkpoints', 'prompts.json'), '') as Prompts;
  const tokenizer = TextTokenizer.load(folder);
  const { config, params } = await loadAutoUI(folder);
  const sampler = new Sampler(runtime, params, config, { maxTokens });
  const samples = await sampler.sample(
    cases.map(({ prompt, image }, i) => ({
      key: String(i),
      ids: tokenizer.encode(prompt),
      image: Float32Array.from(image),
      count: 1,
    })),
    { seed: 0, temperature: 0 },
  );
  await sampler.close();
  return samples.map(([{ tokens }]) => {
    const action = tokens.filter((token) => token !== config.eos);
    return { tokens: action, text: tokenizer.decode(action) };
  });
}
