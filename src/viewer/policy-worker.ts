import { parentPort } from 'node:worker_threads';
import { Policy } from '../agents/policy/policy.js';
import { padTokens } from '../agents/text/tokenizer.js';
import { Forward, input, openRuntime, sum, type Runtime } from '../graph/index.js';
import { decodeTeacherForced, encode, logProb } from '../models/autoui/autoui.js';
import { bucketOf, rowBucket } from '../models/buckets.js';

/** Actions of a state to score by a policy; `number` comes back in the answer. */
export interface PolicyRequest {
  readonly number: number;
  readonly folder: string;
  /** changes when the policy in the folder changes */
  readonly version: string;
  readonly prompt: string;
  /** the screen's image vector */
  readonly vector: Float32Array;
  readonly actions: readonly string[];
}

/** Log-probabilities in the order of the actions, in nats; null for an action too long for the policy. */
export type PolicyAnswer =
  | { readonly number: number; readonly logProbs: readonly (number | null)[] }
  | { readonly number: number; readonly error: string };

interface Bucket {
  readonly rows: number;
  readonly prompt: number;
  readonly action: number;
}

/** Most policies in memory: two to compare. */
const MOST = 2;
const held = new Map<string, Promise<{ policy: Policy; forward: Forward<Bucket> }>>();
let runtime: Promise<Runtime> | undefined;

parentPort!.on('message', (request: PolicyRequest) => {
  score(request).then(
    (logProbs) => parentPort!.postMessage({ number: request.number, logProbs } satisfies PolicyAnswer),
    (error: unknown) =>
      parentPort!.postMessage({ number: request.number, error: (error as Error).message } satisfies PolicyAnswer),
  );
});

async function score({ folder, version, prompt, vector, actions }: PolicyRequest): Promise<(number | null)[]> {
  const { policy, forward } = await loaded(folder, version);
  const { config, tokenizer, maxTokens } = policy;
  if (vector.length !== config.image)
    throw new Error(`${folder}: expected image vectors of ${config.image} numbers, got ${vector.length}`);
  const texts = actions.map((action) => tokenizer.encode(action));
  const fitting = [...texts.keys()].filter((i) => texts[i].length <= maxTokens + 1);
  const scores = texts.map((): number | null => null);
  if (fitting.length === 0) return scores;
  const asked = tokenizer.encode(prompt);
  const rows = rowBucket(fitting.length);
  const bucket = {
    rows,
    prompt: bucketOf(asked.length),
    action: bucketOf(Math.max(...fitting.map((i) => texts[i].length))),
  };
  const read = padTokens(
    Array.from({ length: rows }, () => asked),
    tokenizer.pad,
    bucket.prompt,
  );
  const written = padTokens(
    Array.from({ length: rows }, (_, row) => texts[fitting[row] ?? fitting[0]]),
    tokenizer.pad,
    bucket.action,
  );
  const image = new Float32Array(rows * vector.length);
  for (let row = 0; row < rows; row++) image.set(vector, row * vector.length);
  const { log_prob: logs } = await forward.run(bucket, {
    ids: read.ids,
    mask: read.mask,
    image,
    labels: written.ids,
    label_mask: written.mask,
  });
  for (const [row, i] of fitting.entries()) scores[i] = Number(logs[row]);
  return scores;
}

async function loaded(folder: string, version: string): Promise<{ policy: Policy; forward: Forward<Bucket> }> {
  const key = `${folder} ${version}`;
  const known = held.get(key) ?? load(folder);
  held.delete(key);
  held.set(key, known);
  known.catch(() => held.delete(key)); // the caller sees the error; the next request tries again
  for (const [oldest, one] of held) {
    if (held.size <= MOST) break;
    held.delete(oldest);
    (await one).forward.close();
  }
  return known;
}

async function load(folder: string): Promise<{ policy: Policy; forward: Forward<Bucket> }> {
  runtime ??= openRuntime({ threads: 1 });
  const policy = await Policy.load(await runtime, folder);
  const { config } = policy;
  const forward = new Forward<Bucket>(await runtime, policy.params, (p, { rows, prompt, action }) => {
    const mask = input('mask', [rows, prompt]);
    const labels = input('labels', [rows, action], 'int64');
    const memory = encode(p, config, input('ids', [rows, prompt], 'int64'), mask, input('image', [rows, config.image]));
    const logits = decodeTeacherForced(p, config, memory, mask, labels);
    return { log_prob: sum(logProb(logits, labels, input('label_mask', [rows, action])), [1]) };
  });
  return { policy, forward };
}
