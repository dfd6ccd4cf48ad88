import PQueue from 'p-queue';
import { RunError } from '../errors.js';
import { RefusedRequest, WrongAnswer } from '../net/json-server.js';
import type { AnswerCache } from './answer-cache.js';
import { BudgetSpent } from './budget.js';
import { DeclinedAnswer, type ChatModel, type Format, type Question } from './chat.js';

export interface AskerOptions<A extends object> {
  readonly model: ChatModel<A>;
  /** auto: JSON, or text if the server refuses JSON at first */
  readonly format: Format | 'auto';
  readonly cache: AnswerCache<A>;
  /** called with the tokens of each answer; undefined if the server does not report them */
  readonly onTokens: (tokens: number | undefined) => void;
  /** most questions at the same time */
  readonly concurrency: number;
  /** called if the server refuses JSON schemas */
  readonly warn: (line: string) => void;
}

/** A question: its key among all questions to all models, and how to write it. */
export interface Asking {
  readonly key: string;
  /** for the human readers of the cache */
  readonly task: string;
  readonly write: (format: Format) => Promise<Question>;
}

/** HTTP statuses by which servers refuse a response format. */
const NO_FORMAT = new Set([400, 422]);

/** Asks a model, the same question only once: answers are cached, and questions under way are shared. */
export class Asker<A extends object> {
  /** questions that the model answered (retries do not count), and answers from the cache */
  readonly counts = { answered: 0, known: 0 };
  /** questions in a row, up to now, without an answer in all tries: the server failed, or answered nonsense */
  silent = 0;
  /** the same, but only those at which the server could not be reached, or failed, at the last try */
  unreached = 0;
  private readonly queue: PQueue;
  private readonly underWay = new Map<string, Promise<A>>();
  private format: Format;
  /** whether the server has ever given a good answer, cached ones included */
  private works = false;
  /** whether it has given one in JSON by the schema, in this process */
  private takesSchema = false;

  constructor(private readonly options: AskerOptions<A>) {
    this.queue = new PQueue({ concurrency: options.concurrency });
    this.format = options.format === 'auto' ? 'json' : options.format;
  }

  /**
   * The answer to a question.
   * @throws Unanswered if there is none, and a later question may get one; RefusedRequest if the settings are wrong; the
   * reason of `signal` once it is aborted
   */
  async answer(asking: Asking, signal: AbortSignal): Promise<A> {
    try {
      return await this.cached(asking, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RunError && !(error instanceof BudgetSpent || error instanceof DeclinedAnswer)) {
        this.silent++;
        if (error.cause instanceof WrongAnswer) this.unreached = 0;
        else this.unreached++;
      }
      if (error instanceof RefusedRequest ? this.works && !error.refusesAll : error instanceof RunError)
        throw new Unanswered((error as Error).message, { cause: error });
      throw error;
    }
  }

  /** The answer, cached or from the model. */
  private cached(asking: Asking, signal: AbortSignal): Promise<A> {
    const { key } = asking;
    let answer = this.underWay.get(key);
    const known = answer ? undefined : this.options.cache.get(key);
    if (answer ?? known) this.counts.known++;
    if (known) {
      this.works = true;
      return Promise.resolve(known);
    }
    if (!answer) {
      answer = this.queue.add(() => this.ask(asking, signal)).finally(() => this.underWay.delete(key));
      this.underWay.set(key, answer);
    }
    return answer;
  }

  private async ask(asking: Asking, signal: AbortSignal): Promise<A> {
    const { model, cache, onTokens } = this.options;
    const { key, task, write } = asking;
    signal.throwIfAborted();
    const { format } = this;
    try {
      const answer = await model.ask(await write(format), format, key, onTokens, signal);
      this.works = true;
      this.silent = 0;
      this.unreached = 0;
      this.takesSchema ||= format === 'json';
      this.counts.answered++;
      cache.put(key, answer, { model: model.model, task });
      return answer;
    } catch (error) {
      if (format === 'text' || !this.refusesFormat(error)) throw error;
      return this.ask(asking, signal);
    }
  }

  /** Whether the error looks like a server without response formats; if so, it is asked for text from then on. */
  private refusesFormat(error: unknown): boolean {
    if (this.options.format !== 'auto' || this.takesSchema) return false;
    if (!(error instanceof RefusedRequest) || !NO_FORMAT.has(error.status)) return false;
    if (this.format === 'json') {
      this.options.warn(`the judge's server refuses JSON schemas; asking for text instead: ${error.message}`);
    }
    this.format = 'text';
    return true;
  }
}

/** No answer to this question; `cause` says why. */
export class Unanswered extends RunError {
  /** whether the budget is spent, so that no further question will be asked */
  get spent(): boolean {
    return this.cause instanceof BudgetSpent;
  }
}
