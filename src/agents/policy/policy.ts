import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeAtomic } from '../../data/store/atomic.js';
import { verifySet } from '../../data/store/manifest.js';
import type { Action } from '../../data/action.js';
import { Parameters, type Runtime } from '../../graph/index.js';
import { autoUIConfigJson, autoUISpecs, readAutoUIConfig, type AutoUIConfig } from '../../models/autoui/config.js';
import { copyWhole } from '../../data/store/file.js';
import { UserError } from '../../errors.js';
import { checkParameters, readJson } from '../../models/checkpoint/checkpoint.js';
import type { OpenCache } from '../../models/cached-vectors.js';
import type { ConvTowerConfig } from '../../models/conv-tower.js';
import { loadTower } from '../../models/checkpoint/tower-folder.js';
import { writeTowerConfig, type VisionTower } from '../../models/vision.js';
import { parseAction } from '../grammar.js';
import { Sampler, type SamplingCost } from './sampler.js';
import type { Truncation } from './truncation.js';
import { TextTokenizer } from '../text/tokenizer.js';

/** A state to sample actions for. */
export interface PolicyState {
  /** names the state's random stream (see Sampler) */
  readonly key: string;
  readonly prompt: string;
  readonly vector: Float32Array;
  /** numbers of the samples to draw, each with its own random stream @default 0 to `count` - 1 */
  readonly members?: readonly number[];
}

/** A distinct action text sampled for a state. */
export interface Candidate {
  readonly text: string;
  /** the action it means; none if the text is invalid */
  readonly action?: Action;
  /** number of samples with this text */
  readonly count: number;
  /** numbers of these samples */
  readonly members: readonly number[];
  /** log-probability at temperature 1, summed over its tokens, nats */
  readonly logProb: number;
  /** the sampled tokens, with the end token unless the text was cut off at the limit */
  readonly tokens: readonly number[];
}

export interface DrawOptions extends Truncation {
  readonly seed: number;
  readonly count: number;
  /** 0: the likeliest token each time @default 1 */
  readonly temperature?: number;
  /** further draws for invalid samples (docs/algorithms.md §2.1) @default 3 */
  readonly retries?: number;
}

/** Most tokens of an action unless generation_config.json says otherwise (Auto-UI's own limit); longer actions are invalid. */
const MAX_ACTION_TOKENS = 128;
const MOST_TOKENS = 4096;

/**
 * A policy loaded from a folder: Auto-UI (config.json, model.safetensors, tokenizer.json, optionally
 * generation_config.json). To act, it also needs its vision tower in `vision/` (config.json and model.safetensors, or a
 * reference to a large tower).
 */
export class Policy {
  private readonly sampler: Sampler;

  private constructor(
    readonly config: AutoUIConfig,
    readonly params: Parameters,
    readonly tokenizer: TextTokenizer,
    private readonly eyes: VisionTower | undefined,
    private readonly folder: string,
    /** most tokens of an action, end token included */
    readonly maxTokens: number,
    runtime: Runtime,
  ) {
    this.sampler = new Sampler(runtime, params, config, { maxTokens });
  }

  /**
   * Loads a policy's folder. A large tower's weights are read when they are first needed.
   * @param openCache opens the cache for a large tower's vectors
   * @throws UserError if a file is missing, broken or does not fit config.json
   */
  static async load(runtime: Runtime, folder: string, openCache?: OpenCache): Promise<Policy> {
    await verifySet(folder);
    const config = readAutoUIConfig(folder);
    const tokenizer = TextTokenizer.load(folder);
    const params = Parameters.load(join(folder, 'model.safetensors'));
    checkParameters(params, autoUISpecs(config), folder);
    const vision = join(folder, 'vision');
    const tower = existsSync(join(vision, 'config.json')) ? await loadTower(runtime, vision, openCache) : undefined;
    if (tower && tower.dim !== config.image) {
      throw new UserError(
        `${folder}: the vision tower makes vectors of ${tower.dim} numbers, but config.json has img_dim ${config.image}; take both from the same policy`,
      );
    }
    return new Policy(config, params, tokenizer, tower, folder, readMaxTokens(folder), runtime);
  }

  /** The vision tower. @throws UserError if there is none: such a policy can be trained on given image vectors, but not act */
  get tower(): VisionTower {
    if (this.eyes) return this.eyes;
    throw new UserError(
      `${this.folder}: no vision tower, so the policy cannot read screenshots; set models.image to the BLIP-2 folder it was trained with`,
    );
  }

  /** Samples distinct actions for each state, in the states' order; their counts add up to `count`, or to the state's `members`. */
  async draw(states: readonly PolicyState[], options: DrawOptions): Promise<Candidate[][]> {
    const { count, ...sampling } = options;
    const sampled = states.map(({ key, prompt, vector, members }) => ({
      key,
      ids: this.tokenizer.encode(prompt),
      image: vector,
      count: members?.length ?? count,
      ...(members ? { members } : {}),
    }));
    const valid = (tokens: readonly number[]) => !('invalid' in parseAction(this.tokenizer.decode(tokens)));
    const drawn = await this.sampler.sampleValid(sampled, valid, sampling);
    return drawn.map((samples) =>
      samples.map(({ tokens, count, members, logProb, finished }) => {
        const text = this.tokenizer.decode(tokens);
        const parsed = finished ? parseAction(text) : { invalid: 'not finished' };
        const sampled = finished ? [...tokens, this.config.eos] : tokens;
        return {
          text,
          action: 'invalid' in parsed ? undefined : parsed.action,
          count,
          members,
          logProb,
          tokens: sampled,
        };
      }),
    );
  }

  /** The cost of all sampling so far. */
  get cost(): SamplingCost {
    return this.sampler.cost;
  }
}

/** Files that a policy's folder may have. */
const POLICY_FILES = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
  'vision/config.json',
  'vision/model.safetensors',
] as const;

/** What `savePolicy` writes. */
export interface PolicyParts {
  readonly config: AutoUIConfig;
  readonly params: Parameters;
  /** most tokens of an action @default 128 */
  readonly maxTokens?: number;
  /** a pocket tower; leave out if the caller writes `vision/` itself */
  readonly vision?: { readonly config: ConvTowerConfig; readonly params: Parameters };
}

/** `max_new_tokens` of a folder's generation_config.json (in transformers' format). @throws UserError if it is out of range */
export function readMaxTokens(folder: string): number {
  const file = join(folder, 'generation_config.json');
  if (!existsSync(file)) return MAX_ACTION_TOKENS;
  const { max_new_tokens: most = MAX_ACTION_TOKENS } = readJson(file) as { max_new_tokens?: unknown };
  if (typeof most === 'number' && Number.isInteger(most) && most >= 1 && most <= MOST_TOKENS) return most;
  throw new UserError(`${file}: max_new_tokens: expected 1 to ${MOST_TOKENS}, got ${JSON.stringify(most)}`);
}

/** Names of the files of a policy's folder, for manifests. */
export function policyFiles(folder: string): string[] {
  return POLICY_FILES.filter((file) => existsSync(join(folder, file)));
}

/** Writes a policy's folder, except for its tokenizer, which must already be there. */
export async function savePolicy(folder: string, parts: PolicyParts): Promise<void> {
  const { config, params, maxTokens = MAX_ACTION_TOKENS, vision } = parts;
  if (!existsSync(join(folder, 'tokenizer.json')))
    throw new Error(`${folder}: no tokenizer.json; write the tokenizer before the policy`);
  await writeAtomic(join(folder, 'config.json'), JSON.stringify(autoUIConfigJson(config), null, 2));
  await writeAtomic(join(folder, 'generation_config.json'), JSON.stringify({ max_new_tokens: maxTokens }, null, 2));
  // Hugging Face's readers refuse a file without `format`
  await params.save(join(folder, 'model.safetensors'), { format: 'pt' });
  if (!vision) return;
  await writeTowerConfig(join(folder, 'vision'), vision.config);
  await vision.params.save(join(folder, 'vision', 'model.safetensors'));
}

/** Writes the folder of a policy trained from another one: the new parameters, and copies of all other files. */
export async function saveTrained(folder: string, source: string, trained: Policy, params: Parameters): Promise<void> {
  for (const file of policyFiles(source)) {
    if (file === 'model.safetensors') continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    copyWhole(join(source, file), join(folder, file));
  }
  await savePolicy(folder, { config: trained.config, params, maxTokens: trained.maxTokens });
}
