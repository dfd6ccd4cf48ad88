import PQueue from 'p-queue';
import { UserError } from '../../errors.js';
import { goodProbability } from '../../data/rating.js';
import { AnswerCache, questionKey } from '../../judges/answer-cache.js';
import { modelOf } from '../../net/completion.js';
import { JsonServer, WrongAnswer, type JsonServerOptions } from '../../net/json-server.js';
import { ModelName } from '../../net/model-name.js';
import { sentPicture } from '../served/picture.js';
import { dotOf, ratedPicture } from '../rated-action.js';
import { QUESTION, ratingQuestion } from './question.js';
import type { RatedAction, ValueModel } from './value-model.js';

export interface ServedValueOptions {
  readonly server: JsonServerOptions;
  /** the model's name on the server */
  readonly model: string;
  /** identifies the weights in the cache */
  readonly fingerprint: string;
  /** most earlier actions in a question */
  readonly history: number;
  /** most pixels of a picture */
  readonly maxPixels: number;
  readonly concurrency: number;
  readonly cache: AnswerCache<RatedBy>;
  /** called once if the server answers for a model of another name */
  readonly warn?: (line: string) => void;
}

/** A rating in the cache: the probability of rating 2. */
interface RatedBy {
  readonly good: number;
}

/** The cache of the answers of served value models. @param folder created at the first write */
export function valueCache(folder: string): AnswerCache<RatedBy> {
  return new AnswerCache(folder, ({ good }) =>
    typeof good === 'number' && good >= 0 && good <= 1 ? { good } : undefined,
  );
}

/** Number of likeliest first tokens in which both digits are looked for: the most that OpenAI's API gives. */
const LIKELIEST = 20;
/** Qwen2-VL's patches and the fewest pixels that it reads: its server does not resize a picture of such a size again. */
const PATCHES = { factor: 28, minPixels: 4 * 28 * 28 } as const;

/**
 * A fine-tuned VLM behind `POST /v1/chat/completions` with `logprobs` and `top_logprobs` (vLLM, SGLang, llama.cpp). The value
 * comes from the log-probabilities of the first token being `1` and `2`; the written answer is not read.
 */
export class ServedValue implements ValueModel {
  private readonly server: JsonServer;
  private readonly name: ModelName;
  private readonly queue: PQueue;
  private readonly underWay = new Map<string, Promise<number>>();
  readonly counts = { calls: 0, known: 0 };

  constructor(private readonly options: ServedValueOptions) {
    this.server = new JsonServer(options.server);
    this.name = new ModelName(options.model, 'models.value', options.warn);
    this.queue = new PQueue({ concurrency: options.concurrency });
  }

  /** @throws UserError if the server gives no log-probabilities; RunError after its last try */
  good(actions: readonly RatedAction[], signal: AbortSignal): Promise<number[]> {
    return Promise.all(actions.map((action) => this.one(action, signal)));
  }

  private one(action: RatedAction, signal: AbortSignal): Promise<number> {
    const { cache, model, fingerprint, history, maxPixels } = this.options;
    // what is sent: two actions that differ in their plans alone are one question
    const picture = [action.image, dotOf(action.action) ?? null, maxPixels];
    const text = ratingQuestion(action, history);
    const key = questionKey({ version: QUESTION, model, fingerprint, picture, text });
    const known = cache.get(key);
    if (known !== undefined) {
      this.counts.known++;
      return Promise.resolve(known.good);
    }
    let asked = this.underWay.get(key);
    if (!asked) {
      asked = this.queue.add(() => this.ask(key, text, action, signal)).finally(() => this.underWay.delete(key));
      this.underWay.set(key, asked);
    }
    return asked;
  }

  private async ask(key: string, text: string, action: RatedAction, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const { model, maxPixels, cache, server } = this.options;
    const picture = await valuePicture(action, maxPixels);
    const body = JSON.stringify({
      model,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: picture } },
            { type: 'text', text },
          ],
        },
      ],
      temperature: 0,
      max_tokens: 1,
      logprobs: true,
      top_logprobs: LIKELIEST,
    });
    const good = await this.server.post(
      '/v1/chat/completions',
      body,
      key,
      (answer) => {
        this.name.check(modelOf(answer));
        return ratingOf(answer, server);
      },
      signal,
    );
    this.counts.calls++;
    cache.put(key, { good }, { model, task: action.goal });
    return good;
  }
}

/** The picture of an action as data URL: with its dot, in whole patches and at most `maxPixels`, as it was in training. */
export async function valuePicture({ frame, action }: RatedAction, maxPixels: number): Promise<string> {
  const { url } = await sentPicture(ratedPicture(await frame(), action), {
    type: 'png',
    quality: 100,
    patches: { ...PATCHES, maxPixels },
  });
  return url;
}

interface Choice {
  readonly logprobs?: { readonly content?: unknown } | null;
}

/**
 * The probability of rating 2 in an answer. Tokens with a blank in front count as the digit; their probabilities add up.
 * If one of the digits is not among the likeliest tokens, it is less likely than the last of them, and that bound is taken.
 * @throws UserError if the answer has no log-probabilities; WrongAnswer if neither digit is among the likeliest tokens
 */
export function ratingOf(
  answer: unknown,
  { url, setting, docs }: Pick<JsonServerOptions, 'url' | 'setting' | 'docs'>,
): number {
  const { choices } = (answer ?? {}) as { choices?: unknown };
  const [choice] = (Array.isArray(choices) ? choices : []) as (Choice | null)[];
  if (!choice) throw new WrongAnswer('answered no choices');
  const content = choice.logprobs?.content;
  const [first] = (Array.isArray(content) ? content : []) as ({ readonly top_logprobs?: unknown } | null)[];
  const top = first?.top_logprobs;
  if (!Array.isArray(top) || top.length === 0)
    throw new UserError(
      `${url}: the server returns no log-probabilities (top_logprobs), from which the value is computed; use a server that does, such as vLLM started with --max-logprobs ${LIKELIEST} (${setting}; ${docs})`,
    );
  const tokens = (top as { token?: unknown; logprob?: unknown }[]).flatMap(({ token, logprob }) =>
    typeof token === 'string' && typeof logprob === 'number' ? [{ digit: token.trim(), logprob }] : [],
  );
  const of = (digit: string) => {
    const found = tokens.filter((token) => token.digit === digit);
    return found.length === 0 ? undefined : Math.log(found.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0));
  };
  const [bad, good] = [of('1'), of('2')];
  if (bad === undefined && good === undefined)
    throw new WrongAnswer(
      `has neither 1 nor 2 among its ${tokens.length} likeliest tokens, but ${JSON.stringify(tokens[0]?.digit)}; is it the fine-tuned value model?`,
    );
  const least = Math.min(...tokens.map(({ logprob }) => logprob));
  return goodProbability({ bad: bad ?? least, good: good ?? least });
}
