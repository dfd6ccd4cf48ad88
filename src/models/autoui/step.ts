import {
  add,
  concat,
  constant,
  gather,
  input,
  linear,
  logSoftmax,
  matmul,
  mul,
  reshape,
  slice,
  softmax,
  sum,
  transpose,
} from '../../graph/index.js';
import type { Tensor } from '../../graph/index.js';
import type { AutoUIConfig } from './config.js';
import { embed, encode, head } from './autoui.js';
import { MASKED, paddingBias, type Weights } from '../attention.js';
import { feedForward, joinHeads, norm, relativeBucket, splitHeads } from '../t5.js';

/**
 * Auto-UI's decoder one token at a time, for sampling.
 *
 * A *row* is a prefix that is being continued; rows of all states are batched in any order. The keys and values of the
 * encoder's memory are stored once per state. For cross-attention only, the rows of a state are gathered into its
 * `width` *seats*, so that a step reads a state's memory once and never copies it.
 *
 * The caller owns the self-attention caches. A step reads the keys and values of earlier positions from them and outputs
 * those of the new position; it never copies a cache.
 */
export interface StepShape {
  /** number of states whose memory is kept */
  readonly states: number;
  /** padded prompt length */
  readonly length: number;
  readonly rows: number;
  /** number of seats per state: at least its number of rows */
  readonly width: number;
  /** number of positions in a cache */
  readonly positions: number;
}

/** Shapes of the buffers of one decoder layer, by name: keys and values of the memory, the caches and the new position. */
export function layerShapes(config: AutoUIConfig, shape: StepShape, layer: number): Record<string, number[]> {
  const { heads, headWidth } = config;
  const { states, length, rows, positions } = shape;
  return {
    [`memory.${layer}.k`]: [states, heads, headWidth, length],
    [`memory.${layer}.v`]: [states, heads, length, headWidth],
    [`cache.${layer}.k`]: [rows, heads, positions, headWidth],
    [`cache.${layer}.v`]: [rows, heads, positions, headWidth],
    [`new.${layer}.k`]: [rows, heads * headWidth],
    [`new.${layer}.v`]: [rows, heads * headWidth],
  };
}

/**
 * Encodes states for `decodeStep`. Inputs: ids int64 [S, L], mask float32 [S, L], image float32 [S, image]. Outputs for
 * every decoder layer i: `memory.i.k` [S, heads, headWidth, L] and `memory.i.v` [S, heads, L, headWidth].
 */
export function encodeStates(w: Weights, config: AutoUIConfig, states: number, length: number): Record<string, Tensor> {
  const mask = input('mask', [states, length]);
  const memory = encode(
    w,
    config,
    input('ids', [states, length], 'int64'),
    mask,
    input('image', [states, config.image]),
  );
  const outputs: Record<string, Tensor> = {};
  for (let i = 0; i < config.decoderLayers; i++) {
    const name = `decoder.block.${i}.layer.1.EncDecAttention`;
    const keys = splitHeads(linear(memory, w[`${name}.k.weight`]), config);
    outputs[`memory.${i}.k`] = transpose(keys, [0, 1, 3, 2]);
    outputs[`memory.${i}.v`] = splitHeads(linear(memory, w[`${name}.v.weight`]), config);
  }
  return outputs;
}

/**
 * The graph of one step. Inputs: `token` int64 [rows], read at this position; `bucket` int64 [positions] and `past`
 * float32 [positions] from `pastPositions`; `inverseTemperature` []; `mask` [states, L]; `seated` int64 [states × width],
 * the row in each seat (any row in an empty seat); `seat` int64 [rows], the seat of each row; the buffers of
 * `layerShapes`. Outputs: `logProbs` float32 [rows, vocabulary] at temperature 1; `probabilities` float32
 * [rows, vocabulary] at the given temperature; `new.i.k` and `new.i.v`.
 */
export function decodeStep(w: Weights, config: AutoUIConfig, shape: StepShape): Record<string, Tensor> {
  const { heads, headWidth, width } = config;
  const { states, rows, positions } = shape;
  const inner = heads * headWidth;
  const seated = input('seated', [states * shape.width], 'int64');
  const seat = input('seat', [rows], 'int64');
  const crossBias = paddingBias(input('mask', [states, shape.length]));
  const table = w['decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight'];
  const asBias = (x: Tensor, n: number) => reshape(transpose(x, [1, 0]), [1, heads, 1, n]);
  const pastBias = add(
    asBias(gather(table, input('bucket', [positions], 'int64')), positions),
    reshape(input('past', [positions]), [1, 1, 1, positions]),
  );
  const ownBias = asBias(gather(table, constant(BigInt64Array.of(0n), [1], 'int64')), 1);
  const outputs: Record<string, Tensor> = {};
  let y = embed(w, input('token', [rows], 'int64'));
  for (let i = 0; i < config.decoderLayers; i++) {
    const block = `decoder.block.${i}.layer`;
    const shapes = layerShapes(config, shape, i);
    const buffer = (name: string) => input(name, shapes[name]);
    const h = norm(w, `${block}.0.layer_norm`, config, y);
    const project = (part: string) => linear(h, w[`${block}.0.SelfAttention.${part}.weight`]);
    const ofHead = (x: Tensor) => reshape(x, [rows, heads, 1, headWidth]);
    const q = project('q');
    const k = project('k');
    const v = project('v');
    outputs[`new.${i}.k`] = k;
    outputs[`new.${i}.v`] = v;
    // The cache stores keys position by position, so the query is the column vector.
    const scores = matmul(buffer(`cache.${i}.k`), reshape(q, [rows, heads, headWidth, 1]));
    const past = add(reshape(scores, [rows, heads, 1, positions]), pastBias);
    const own = add(sum(mul(ofHead(q), ofHead(k)), [3], true), ownBias);
    const weights = softmax(concat([past, own], 3));
    const attended = add(
      matmul(slice(weights, 3, 0, positions), buffer(`cache.${i}.v`)),
      mul(slice(weights, 3, positions, positions + 1), ofHead(v)),
    );
    y = add(y, linear(reshape(attended, [rows, inner]), w[`${block}.0.SelfAttention.o.weight`]));

    const crossQuery = linear(norm(w, `${block}.1.layer_norm`, config, y), w[`${block}.1.EncDecAttention.q.weight`]);
    const together = reshape(gather(crossQuery, seated), [states, shape.width, inner]);
    const crossScores = matmul(splitHeads(together, config), buffer(`memory.${i}.k`));
    const seen = joinHeads(matmul(softmax(add(crossScores, crossBias)), buffer(`memory.${i}.v`)), config);
    const ofRows = gather(reshape(seen, [states * shape.width, inner]), seat);
    y = add(y, linear(ofRows, w[`${block}.1.EncDecAttention.o.weight`]));
    y = add(y, feedForward(w, `${block}.2.DenseReluDense`, config, norm(w, `${block}.2.layer_norm`, config, y)));
  }
  const hidden = reshape(norm(w, 'decoder.final_layer_norm', config, y), [rows, width]);
  const logits = head(w, config, hidden);
  outputs.logProbs = logSoftmax(logits);
  outputs.probabilities = softmax(mul(logits, input('inverseTemperature', [])));
  return outputs;
}

/**
 * Fills `bucket` and `past` for a step at `position` with a cache of `positions`: the step attends to earlier positions
 * at their distance, and to no others.
 */
export function pastPositions(
  config: AutoUIConfig,
  position: number,
  positions: number,
  bucket: BigInt64Array,
  past: Float32Array,
): void {
  for (let p = 0; p < positions; p++) {
    const seen = p < position;
    bucket[p] = BigInt(seen ? relativeBucket(p - position, false, config.buckets, config.maxDistance) : 0);
    past[p] = seen ? 0 : MASKED;
  }
}
