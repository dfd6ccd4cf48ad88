import { input, type Tensor } from '../../graph/index.js';
import type { Weights } from '../../models/attention.js';
import type { AutoUIConfig } from '../../models/autoui/config.js';
import { decodeTeacherForced, encode } from '../../models/autoui/autoui.js';
import { bucketOf } from '../../models/buckets.js';
import { padTokens } from '../text/tokenizer.js';

/** Rows of a batch, and the lengths in tokens to which its prompts and actions are padded. */
export interface ImitationBucket {
  readonly batch: number;
  readonly prompt: number;
  readonly action: number;
}

/**
 * A policy's logits for given actions by teacher forcing [batch, action, vocabulary], the actions' tokens [batch, action],
 * and a mask of the tokens that are not padding. Its inputs are those of `imitationFeeds`.
 * @param image [batch, config.image]; by default an input of that name
 */
export function imitationGraph(
  w: Weights,
  config: AutoUIConfig,
  { batch, prompt, action }: ImitationBucket,
  image: Tensor = input('image', [batch, config.image]),
): { readonly logits: Tensor; readonly labels: Tensor; readonly labelMask: Tensor } {
  const labels = input('labels', [batch, action], 'int64');
  const labelMask = input('label_mask', [batch, action]);
  const mask = input('mask', [batch, prompt]);
  const memory = encode(w, config, input('ids', [batch, prompt], 'int64'), mask, image);
  return { logits: decodeTeacherForced(w, config, memory, mask, labels), labels, labelMask };
}

/** The smallest bucket that holds some prompts and actions, given as token ids. */
export function imitationBucket(
  prompts: readonly (readonly number[])[],
  actions: readonly (readonly number[])[],
): ImitationBucket {
  const longest = (texts: readonly (readonly number[])[]) => bucketOf(Math.max(...texts.map((ids) => ids.length)));
  return { batch: prompts.length, prompt: longest(prompts), action: longest(actions) };
}

/** Feeds of `imitationGraph`, except for the image. */
export function imitationFeeds(
  prompts: readonly (readonly number[])[],
  actions: readonly (readonly number[])[],
  bucket: ImitationBucket,
  pad: number,
): Record<'ids' | 'labels', BigInt64Array> & Record<'mask' | 'label_mask', Float32Array> {
  const prompt = padTokens(prompts, pad, bucket.prompt);
  const label = padTokens(actions, pad, bucket.action);
  return { ids: prompt.ids, mask: prompt.mask, labels: label.ids, label_mask: label.mask };
}
