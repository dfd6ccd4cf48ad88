import { join } from 'node:path';
import { verifySet } from '../../data/store/manifest.js';
import { isObject } from '../../data/formats/json.js';
import { UserError } from '../../errors.js';
import { concat, Forward, input, Parameters, type Runtime, type Tensor } from '../../graph/index.js';
import { rowBucket } from '../../models/buckets.js';
import type { OpenCache } from '../../models/cached-vectors.js';
import { checkNumbers } from '../../models/checkpoint/bounds.js';
import { checkParameters, readJson } from '../../models/checkpoint/checkpoint.js';
import { asValue, q, v, type Head } from '../../models/critic/critic.js';
import {
  actionFeatures,
  actionInputs,
  criticNetworkSpecs,
  featuresOf,
  stateFeatures,
  stateInputs,
  textVectors,
  towerSpecs,
  type CriticNetworkConfig,
  type TextLengths,
} from '../../models/critic/network.js';
import { TokenFeeds, VectorFeeds, type ActionText, type CriticFeeds, type StateTexts } from './critic-feeds.js';
import type { RobertaConfig } from '../../models/roberta/roberta.js';
import { TextTower } from '../text/text-tower.js';
import { TextTokenizer } from '../text/tokenizer.js';

/** A state and the actions to value in it. */
export interface ValuedState extends StateTexts {
  /** image vectors of the previous and the current screen */
  readonly previousImage: Float32Array;
  readonly image: Float32Array;
  /** representation of the state without an action, if the critic uses it */
  readonly rep?: Float32Array;
  readonly actions: readonly string[];
  /** the actions' representations [actions × rep] */
  readonly reps: Float32Array;
}

/** The twin values of a state and of its actions. */
export interface Values {
  readonly q1: Float32Array;
  readonly q2: Float32Array;
  readonly v1: number;
  readonly v2: number;
}

/** The critic's config.json: the network, and how it reads texts. */
export interface CriticFile extends CriticNetworkConfig {
  /** whether the tokenizer itself puts a token at the beginning of a text (see TokenFeeds). @default false */
  readonly marked?: boolean;
  /** what the text towers read of an action @default decision */
  readonly action_text?: ActionText;
  /**
   * The architecture of three frozen towers for texts of any length, whose weights `text.{goal,type,action}.*` are in the
   * file: those of a released critic.
   */
  readonly own_towers?: RobertaConfig;
  /** for a network without a text tower: a reference to the RoBERTa for its texts, which is too large to copy */
  readonly text_tower?: { readonly folder: string; readonly fingerprint: string };
}

/** What to do where a critic is fed vectors of other models than it was trained on. */
const WHAT_TO_DO = 'take the vision tower and the VLM that it was trained with';

const ROWS = 256;
const STATES = 64;

/** Outputs of all heads for S states and R actions; classifying heads give probabilities. */
function valueGraph(
  p: Record<string, Tensor>,
  config: CriticNetworkConfig,
  { states, rows }: { states: number; rows: number },
): Record<string, Tensor> {
  const x = { ...stateInputs(config, '', states), ...actionInputs(config, 'action_', rows) };
  const text = textVectors(p, config, x);
  const [state, action] = [stateFeatures(config, '', x, text), actionFeatures(config, 'action_', x, text)];
  const both = concat([featuresOf(state, input('state', [rows], 'int64')), action], 1);
  return {
    q1: asValue(q(p, config.critic, 1, both)),
    q2: asValue(q(p, config.critic, 2, both)),
    v1: asValue(v(p, config.critic, 1, state)),
    v2: asValue(v(p, config.critic, 2, state)),
  };
}

/** A trained critic, loaded from a folder with config.json, model.safetensors and a tokenizer. */
export class Critic {
  private readonly forward: Forward<{ states: number; rows: number }>;

  constructor(
    runtime: Runtime,
    params: Parameters,
    private readonly config: CriticNetworkConfig,
    private readonly feeds: CriticFeeds,
  ) {
    this.forward = new Forward(runtime, params, (p, bucket) => valueGraph(p, config, bucket));
  }

  /** A critic's config.json. @throws UserError if it is missing or is another model's */
  static file(folder: string): CriticFile {
    const file = join(folder, 'config.json');
    const config = readJson(file);
    if (config.model_type !== 'critiq-critic')
      throw new UserError(`${file}: model_type: expected "critiq-critic", got ${JSON.stringify(config.model_type)}`);
    checkNumbers(file, config);
    const { critic, drop } = config;
    if (isObject(critic) && Array.isArray(drop)) return config as unknown as CriticFile;
    throw new UserError(
      `${file}: expected "critic" and "drop"; take the file from a backup, or run \`critiq critic\` again`,
    );
  }

  /**
   * @param openCache opens the cache of text vectors, for critics with a referenced text tower
   * @throws UserError if a file is missing, broken or does not fit config.json, or if the text tower has changed
   */
  static async load(runtime: Runtime, folder: string, openCache?: OpenCache): Promise<Critic> {
    await verifySet(folder);
    const config = Critic.file(folder);
    const params = Parameters.load(join(folder, 'model.safetensors'));
    const { own_towers: towers, action_text: mode } = config;
    checkParameters(params, { ...criticNetworkSpecs(config), ...(towers ? towerSpecs(towers, 'three') : {}) }, folder);
    if (towers) {
      const tower = (kind: keyof TextLengths): TextTower =>
        TextTower.of(runtime, towers, params.below(`text.${kind}.`), folder);
      const feeds = new VectorFeeds({ goal: tower('goal'), type: tower('type'), action: tower('action') }, mode);
      return new Critic(
        runtime,
        params.select((name) => !name.startsWith('text.')),
        config,
        feeds,
      );
    }
    if (config.text) {
      const feeds = new TokenFeeds(TextTokenizer.load(folder), config.text.lengths, config.marked, mode);
      return new Critic(runtime, params, config, feeds);
    }
    const { text_tower: reference } = config;
    if (!reference)
      throw new UserError(`${join(folder, 'config.json')}: expected a text tower (text or text_tower), got none`);
    const tower = await TextTower.open(runtime, reference.folder, openCache);
    if (tower.fingerprint !== reference.fingerprint) {
      throw new UserError(
        `${reference.folder}: changed since the critic was trained with it: expected fingerprint ${reference.fingerprint}, got ${tower.fingerprint}; restore the old checkpoint, or train the critic again`,
      );
    }
    return new Critic(runtime, params, config, new VectorFeeds(tower, mode));
  }

  /** whether the critic uses `ValuedState.rep` */
  get wantsStateRep(): boolean {
    return (this.config.critic.state ?? 0) > 0;
  }

  /** Values of states and their actions, in order. */
  async value(states: readonly ValuedState[]): Promise<Values[]> {
    const out: { q1: Float32Array; q2: Float32Array; v1: number; v2: number }[] = states.map(({ actions }) => ({
      q1: new Float32Array(actions.length),
      q2: new Float32Array(actions.length),
      v1: 0,
      v2: 0,
    }));
    let members: number[] = [];
    let rows: { state: number; action: number }[] = [];
    const flush = async () => {
      if (members.length > 0) await this.run(states, members, rows, out);
      members = [];
      rows = [];
    };
    for (const [state, valued] of states.entries()) {
      this.checkWidths(valued);
      const { actions } = valued;
      if (members.length === STATES || rows.length + actions.length > ROWS) await flush();
      members.push(state);
      actions.forEach((_, action) => rows.push({ state, action }));
    }
    await flush();
    return out;
  }

  private checkWidths({ previousImage, image, actions, reps }: ValuedState): void {
    const { critic } = this.config;
    for (const { length } of [previousImage, image]) {
      if (length !== critic.image)
        throw new UserError(`the critic reads image vectors of ${critic.image} numbers, got ${length}; ${WHAT_TO_DO}`);
    }
    if (reps.length !== actions.length * critic.rep) {
      const got = reps.length / actions.length;
      throw new UserError(`the critic reads representations of ${critic.rep} numbers, got ${got}; ${WHAT_TO_DO}`);
    }
  }

  private async run(
    states: readonly ValuedState[],
    members: readonly number[],
    rows: readonly { state: number; action: number }[],
    out: { q1: Float32Array; q2: Float32Array; v1: number; v2: number }[],
  ): Promise<void> {
    const { critic } = this.config;
    const bucket = { states: rowBucket(members.length), rows: Math.max(rowBucket(rows.length), 1) };
    const own = members.map((state) => states[state]);
    const images = new Float32Array(bucket.states * 2 * critic.image);
    const stateReps = new Float32Array(bucket.states * (critic.state ?? 0));
    own.forEach(({ previousImage, image, rep }, i) => {
      images.set(previousImage, 2 * i * critic.image);
      images.set(image, (2 * i + 1) * critic.image);
      if (rep && this.wantsStateRep) stateReps.set(rep, i * critic.state!);
    });
    const place = new Map(members.map((state, i) => [state, i]));
    const state = new BigInt64Array(bucket.rows);
    const reps = new Float32Array(bucket.rows * critic.rep);
    rows.forEach(({ state: s, action }, r) => {
      state[r] = BigInt(place.get(s)!);
      reps.set(states[s].reps.subarray(action * critic.rep, (action + 1) * critic.rep), r * critic.rep);
    });
    const texts = rows.map(({ state: s, action }) => states[s].actions[action]);
    const values = (await this.forward.run(bucket, {
      ...(await this.feeds.states('', own, bucket.states)),
      ...(await this.feeds.actions('action_', texts, bucket.rows)),
      images,
      ...(this.wantsStateRep ? { rep: stateReps } : {}),
      state,
      action_rep: reps,
    })) as Record<Head, Float32Array>;
    rows.forEach(({ state: s, action }, r) => {
      out[s].q1[action] = values.q1[r];
      out[s].q2[action] = values.q2[r];
    });
    members.forEach((s, i) => {
      out[s].v1 = values.v1[i];
      out[s].v2 = values.v2[i];
    });
  }
}
