import { isTap, type Point } from '../../data/action.js';
import type { Frame } from '../../data/formats/frame.js';
import { Forward, input, type Parameters, type Runtime } from '../../graph/index.js';
import { bucketOf } from '../../models/buckets.js';
import {
  pocketVlm,
  pocketVlmDim,
  SLOTS,
  type PocketVlmConfig,
  type VlmBucket,
  type VlmInputs,
} from '../../models/pocket/vlm.js';
import type { Pixels, VisionTower } from '../../models/vision.js';
import { parseAction } from '../grammar.js';
import type { RepresentedState, Representer } from './representer.js';
import { padTokens, type TextTokenizer } from '../text/tokenizer.js';

/** An action's text, or '' for the state alone, with the image vector of the screenshot that shows the action's cursor. */
export interface FedRow {
  readonly action: string;
  readonly vector: Float32Array;
}

/** A state as input of the VLM's graph: its prompt, and rows with drawn cursors. */
export interface FedState {
  readonly prompt: string;
  readonly rows: readonly FedRow[];
}

/** Rows and states in one batch of the VLM. */
const ROWS = 256;
const STATES = 64;

/** Longer actions are cut; valid ones take half as many tokens. */
const MOST_TOKENS = 39;

/** The text that opens every action: all that the decoder reads for the state alone. */
const OPENING = 'Action Plan: [';
/** The representation has the hidden states just before these parts of an action: after the type, after the touch point. */
const BORDERS = ['", "touch_point": "[', ']", "lift_point": "['];

/** Represents by the pocket VLM and the vision tower that it was trained with. */
export class PocketRepresenter implements Representer {
  readonly chunk = 256;
  private readonly dim: number;
  private readonly forward: Forward<VlmBucket>;
  private readonly opening: number;
  private readonly borders: readonly number[];

  constructor(
    runtime: Runtime,
    params: Parameters,
    config: PocketVlmConfig,
    private readonly tokenizer: TextTokenizer,
    private readonly tower: VisionTower,
  ) {
    this.dim = pocketVlmDim(config);
    this.opening = tokenizer.encode(OPENING)[0];
    this.borders = BORDERS.map((text) => tokenizer.encode(text)[0]);
    this.forward = new Forward<VlmBucket>(runtime, params, (p, bucket) => {
      const { representation } = pocketVlm(p, config, vlmInputs(bucket, config.autoui.image));
      return { representation };
    });
  }

  async represent(states: readonly RepresentedState[]): Promise<Float32Array[]> {
    const vectors = await cursorVectors(this.tower, await this.withPlain(states));
    return this.representRows(
      states.map(({ prompt, actions }, i) => ({
        prompt,
        rows: actions.map((action, j) => ({ action, vector: vectors[i][j] })),
      })),
    );
  }

  /** The states with the image vectors of their bare screenshots; unknown vectors are computed. */
  private async withPlain(states: readonly RepresentedState[]): Promise<CursorState[]> {
    const known = states.map(({ plain }) => plain);
    const pixels: Pixels[] = [];
    for (const [i, { frame }] of states.entries()) {
      if (!known[i]) pixels.push(this.tower.prepare(await frame()));
    }
    const made = (await this.tower.vectors(pixels))[Symbol.iterator]();
    return states.map(({ actions, frame }, i) => ({ actions, frame, plain: known[i] ?? made.next().value! }));
  }

  private async representRows(states: readonly FedState[]): Promise<Float32Array[]> {
    const out = states.map(({ rows }) => new Float32Array(rows.length * this.dim));
    let batch: { state: number; row: number }[] = [];
    let members = 0;
    const flush = async () => {
      if (batch.length > 0) await this.run(states, batch, out);
      batch = [];
      members = 0;
    };
    // prompts of similar length together, since a batch is padded to its longest
    const order = [...states.keys()].sort((a, b) => states[a].prompt.length - states[b].prompt.length || a - b);
    for (const state of order) {
      const { rows } = states[state];
      if (members === STATES || batch.length + Math.min(rows.length, ROWS) > ROWS) await flush();
      members++;
      for (let row = 0; row < rows.length; row++) {
        if (batch.length === ROWS) {
          await flush();
          members = 1;
        }
        batch.push({ state, row });
      }
    }
    await flush();
    return out;
  }

  /** The feeds of `pocketVlm` for some rows, padded to a bucket of `size` rows and states. */
  feeds(
    states: readonly FedState[],
    batch: readonly { state: number; row: number }[],
    size = { rows: ROWS, states: STATES },
  ): { bucket: VlmBucket; feeds: Record<string, BigInt64Array | Float32Array> } {
    const members = [...new Set(batch.map(({ state }) => state))];
    const prompts = members.map((state) => this.tokenizer.encode(states[state].prompt));
    const actions = batch.map(({ state, row }) => this.tokens(states[state].rows[row].action));
    const prompt = bucketOf(Math.max(...prompts.map((ids) => ids.length)));
    // one more than the longest: position t of the decoder reads tokens 0..t-1
    const action = bucketOf(1 + Math.max(...actions.map((ids) => ids.length)));
    const text = padTokens(
      [...prompts, ...Array<number[]>(size.states - prompts.length).fill([this.tokenizer.eos])],
      this.tokenizer.pad,
      prompt,
    );
    const decoded = padTokens(
      [...actions, ...Array<number[]>(size.rows - actions.length).fill([])],
      this.tokenizer.pad,
      action,
    );
    const place = new Map(members.map((state, i) => [state, i]));
    const width = states[batch[0].state].rows[batch[0].row].vector.length;
    const state = new BigInt64Array(size.rows);
    const image = new Float32Array(size.rows * width);
    const slots = new BigInt64Array(size.rows * SLOTS);
    const actionMask = new Float32Array(size.rows * action);
    for (let r = 0; r < size.rows; r++) {
      const ids = actions[r] ?? [];
      actionMask.fill(1, r * action, r * action + ids.length + 1);
      this.slots(ids).forEach((at, i) => (slots[r * SLOTS + i] = BigInt(r * action + at)));
      if (r >= batch.length) continue;
      state[r] = BigInt(place.get(batch[r].state)!);
      image.set(states[batch[r].state].rows[batch[r].row].vector, r * width);
    }
    const bucket = { states: size.states, rows: size.rows, prompt, action };
    return {
      bucket,
      feeds: { ids: text.ids, mask: text.mask, state, image, action: decoded.ids, slots, action_mask: actionMask },
    };
  }

  private async run(
    states: readonly FedState[],
    batch: readonly { state: number; row: number }[],
    out: readonly Float32Array[],
  ): Promise<void> {
    const { bucket, feeds } = this.feeds(states, batch);
    const { representation } = await this.forward.run(bucket, feeds);
    batch.forEach(({ state, row }, r) => {
      out[state].set((representation as Float32Array).subarray(r * this.dim, (r + 1) * this.dim), row * this.dim);
    });
  }

  /**
   * Tokens of an action with its end token; for the state alone, the opening that all actions share. Overlong texts are not
   * valid actions and are cut, since all rows of a batch are padded to the longest.
   */
  private tokens(action: string): number[] {
    return action === '' ? [this.opening] : this.tokenizer.encode(action).slice(0, MOST_TOKENS);
  }

  /** The decoder positions of the representation: before each border, and at the end. The end replaces a missing border. */
  private slots(ids: readonly number[]): number[] {
    const end = ids.length;
    return [...this.borders.map((border) => (ids.includes(border) ? ids.indexOf(border) : end)), end];
  }
}

/** Graph inputs of a VLM batch; `image`: length of an image vector. */
export function vlmInputs({ states, rows, prompt, action }: VlmBucket, image: number): VlmInputs {
  return {
    ids: input('ids', [states, prompt], 'int64'),
    mask: input('mask', [states, prompt]),
    state: input('state', [rows], 'int64'),
    image: input('image', [rows, image]),
    action: input('action', [rows, action], 'int64'),
    slots: input('slots', [rows, SLOTS], 'int64'),
    actionMask: input('action_mask', [rows, action]),
  };
}

/** A screenshot and the actions to mark on it. */
export interface CursorState {
  readonly actions: readonly string[];
  /** image vector of the bare screenshot */
  readonly plain: Float32Array;
  /** loads the screenshot; called only if one of the actions is a tap */
  readonly frame: () => Promise<Frame>;
}

/**
 * Image vectors for the actions of some states: taps have a cursor at their touch point, all other actions get the plain
 * vector (docs/algorithms.md §2.2). The tower computes the cursors of all states together.
 */
export async function cursorVectors(tower: VisionTower, states: readonly CursorState[]): Promise<Float32Array[][]> {
  const touched = states.map(({ actions }) => actions.map(touchPoint));
  const pixels: Pixels[] = [];
  for (const [i, { frame }] of states.entries()) {
    const points = touched[i].filter((point) => point !== undefined);
    if (points.length > 0) pixels.push(...tower.prepareWithCursors(await frame(), points));
  }
  const drawn = (await tower.vectors(pixels))[Symbol.iterator]();
  return touched.map((points, i) => points.map((point) => (point ? drawn.next().value! : states[i].plain)));
}

/** Where an action's cursor is drawn: the touch point of a tap; undefined for all other actions. */
export function touchPoint(text: string): Point | undefined {
  const parsed = parseAction(text);
  return !('invalid' in parsed) && isTap(parsed.action) ? parsed.action.touch : undefined;
}
