import { existsSync } from 'node:fs';
import { readMaxTokens } from '../../src/agents/policy/policy.js';
import { policyPrompt } from '../../src/agents/policy/prompt.js';
import { Sampler } from '../../src/agents/policy/sampler.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { phoneTasks } from '../../src/devices/phone/index.js';
import { linesOf, readText } from '../../src/data/formats/text.js';
import { UserError } from '../../src/errors.js';
import { openRuntime } from '../../src/graph/index.js';
import { loadAutoUI } from '../../src/models/autoui/checkpoint.js';
import { Random } from '../../src/random.js';

/** Number of prompts without a prompt file. */
const PROMPTS = 8;

export interface GreedyOptions {
  /** file with one prompt per line; default: prompts of tasks of the embedded phone */
  readonly prompts?: string;
  /** maximum tokens per action; default: max_new_tokens of generation_config.json, or 128 */
  readonly maxTokens?: number;
  /** seed of the image vectors @default 0 */
  readonly seed?: number;
  readonly threads?: number;
}

/** The greedy output of a policy for a prompt and an image vector. */
export interface GreedyCase {
  readonly prompt: string;
  readonly image: readonly number[];
  /** token ids without the end token */
  readonly tokens: readonly number[];
  readonly text: string;
}

/**
 * Greedy actions of an Auto-UI checkpoint for some prompts and random image vectors (standard normal), in the format that
 * examples/python/autoui_parity.py compares with PyTorch.
 * @throws UserError if the checkpoint or the prompts cannot be read
 */
export async function greedyActions(folder: string, options: GreedyOptions = {}) {
  const { maxTokens = readMaxTokens(folder), seed = 0, threads = 2 } = options;
  const tokenizer = TextTokenizer.load(folder);
  const { config, params } = await loadAutoUI(folder);
  const prompts = options.prompts === undefined ? phonePrompts(seed) : promptsOf(options.prompts);
  const images = prompts.map((_, i) => {
    const random = new Random(seed, 'greedy image', i);
    return Float32Array.from({ length: config.image }, () => random.normal());
  });
  const runtime = await openRuntime({ threads });
  try {
    const sampler = new Sampler(runtime, params, config, { maxTokens });
    const states = prompts.map((prompt, i) => ({
      key: String(i),
      ids: tokenizer.encode(prompt),
      image: images[i],
      count: 1,
    }));
    const samples = await sampler.sample(states, { seed, temperature: 0 });
    await sampler.close();
    const cases = prompts.map((prompt, i): GreedyCase => {
      const tokens = samples[i][0].tokens.filter((token) => token !== config.eos);
      return { prompt, image: [...images[i]], tokens, text: tokenizer.decode(tokens) };
    });
    return { folder, max_tokens: maxTokens, cases };
  } finally {
    await runtime.close();
  }
}

function phonePrompts(seed: number): string[] {
  return phoneTasks({ set: 'all', split: 'train', count: PROMPTS, seed }).map((task) => policyPrompt(task.text, ''));
}

function promptsOf(file: string): string[] {
  if (!existsSync(file)) throw new UserError(`${file}: no such file; expected a file with one prompt per line`);
  const prompts = linesOf(readText(file)).filter((line) => line.trim() !== ''); // prettier-ignore
  if (prompts.length === 0) throw new UserError(`${file}: empty; expected one prompt per line`);
  return prompts;
}
