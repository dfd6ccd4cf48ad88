import PQueue from 'p-queue';
import { imageId } from '../data/images.js';
import { RefusedRequest } from '../net/json-server.js';
import type { Frame } from '../data/formats/frame.js';
import { encodePng } from '../data/formats/png.js';
import { screenChange } from '../data/screen-change.js';
import { RunError } from '../errors.js';
import { BudgetSpent } from './budget.js';
import { type ChatModel, DeclinedAnswer, type Format, type Picture } from './chat.js';
import { examplesFingerprint, type Example } from './few-shot.js';
import type { Asked, EpisodeEnd, Judge, Verdict } from './judge.js';
import { judgeQuestion, PROMPT_VERSION } from './judge-prompt.js';
import type { Answer } from './status.js';
import { verdictKey, type VerdictCache } from './verdict-cache.js';

export interface VlmJudgeOptions {
  readonly model: ChatModel;
  readonly examples: readonly Example[];
  readonly asked: Asked;
  /** `required`: an episode without STATUS_TASK_COMPLETE is a failure, and the model is not asked */
  readonly declare: 'required' | 'ignored';
  /** 1: the last screenshot; 2: also the one before it */
  readonly screens: 1 | 2;
  /** screens that differ by at most this count as the same (mean squared difference, 0..65025; screen-change.ts) */
  readonly sameScreen: number;
  /** auto: JSON, or text if the server refuses JSON at first */
  readonly format: Format | 'auto';
  /** other settings that can change an answer */
  readonly key: Readonly<Record<string, unknown>>;
  readonly cache: VerdictCache;
  /** called with the tokens of each answer; undefined if the server does not report them */
  readonly onTokens: (tokens: number | undefined) => void;
  /** most questions at the same time */
  readonly concurrency: number;
  readonly warn: (line: string) => void;
}

/** Where the verdicts came from. */
export interface JudgeCounts {
  /** questions that the model answered; retries do not count */
  answered: number;
  /** answers from the cache */
  known: number;
  /** screens that were not sent because they nearly equal the one before */
  same: number;
  /** unknown verdicts */
  unanswered: number;
}

/** HTTP statuses by which servers refuse a response format. */
const NO_FORMAT = new Set([400, 422]);
/** Most different reasons for unknown verdicts that are logged. */
const MOST_REASONS = 10;

/**
 * Shows the last screenshot to a vision-language model and asks whether the task is completed (docs/algorithms.md §7).
 * The verdict is `unknown` if no answer comes (the server fails, the model declines or answers nonsense, the budget is
 * spent). If the server refuses the first requests, the key or the model, the run ends.
 */
export class VlmJudge implements Judge {
  readonly name: string;
  readonly asked: Asked;
  readonly byScreens = true;
  readonly counts: JudgeCounts = { answered: 0, known: 0, same: 0, unanswered: 0 };
  private readonly examples: string;
  private readonly queue: PQueue;
  private readonly underWay = new Map<string, Promise<Answer>>();
  private readonly reasons = new Set<string>();
  private format: Format;
  /** whether the server has ever given a good answer, cached ones included */
  private works = false;
  /** questions in a row, up to now, that the server did not answer in all its tries */
  silent = 0;
  /** whether it has given one in JSON by the schema, in this process */
  private takesSchema = false;

  constructor(private readonly options: VlmJudgeOptions) {
    const { model, asked, examples, concurrency, format } = options;
    this.name = `${model.kind} ${model.model}`;
    this.asked = asked;
    this.examples = examplesFingerprint(examples);
    this.queue = new PQueue({ concurrency });
    this.format = format === 'auto' ? 'json' : format;
  }

  /** @throws RefusedRequest if the settings are wrong; the reason of `end.signal` once it is aborted */
  async judge(end: EpisodeEnd): Promise<Verdict> {
    const { frame, previousFrame, completed, before, task } = end;
    const { declare, sameScreen, screens } = this.options;
    if (declare === 'required' && !completed) return 'failure';
    if (!frame) return this.unknown('there is no screenshot');
    const same = previousFrame !== undefined && screenChange(previousFrame, frame) <= sameScreen;
    if (same && before !== undefined && before !== 'unknown') {
      this.counts.same++;
      return before;
    }
    const seen = screens === 2 && previousFrame !== undefined && !same ? [previousFrame, frame] : [frame];
    const signal = end.signal ?? new AbortController().signal;
    try {
      return (await this.answer(task.text, seen, signal)).status;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RunError && !(error instanceof BudgetSpent || error instanceof DeclinedAnswer))
        this.silent++;
      if (error instanceof RefusedRequest ? this.works && !error.refusesAll : error instanceof RunError)
        return this.unknown((error as Error).message, error instanceof BudgetSpent);
      throw error;
    }
  }

  /** The answer about a task and its screens, cached or from the model; the same question is sent only once. */
  private answer(task: string, screens: readonly Frame[], signal: AbortSignal): Promise<Answer> {
    const { model, cache, format } = this.options;
    const key = verdictKey({
      version: PROMPT_VERSION,
      kind: model.kind,
      model: model.model,
      ...this.options.key,
      format,
      examples: this.examples,
      task,
      screens: screens.map(imageId),
    });
    let answer = this.underWay.get(key);
    const known = answer ? undefined : cache.get(key);
    if (answer ?? known) this.counts.known++;
    if (known) {
      this.works = true;
      return Promise.resolve(known);
    }
    if (!answer) {
      answer = this.queue.add(() => this.ask(key, task, screens, signal)).finally(() => this.underWay.delete(key));
      this.underWay.set(key, answer);
    }
    return answer;
  }

  private async ask(key: string, task: string, screens: readonly Frame[], signal: AbortSignal): Promise<Answer> {
    const { model, cache, examples, onTokens } = this.options;
    signal.throwIfAborted();
    const { format } = this;
    const pictures: Picture[] = [];
    for (const screen of screens)
      pictures.push({ type: 'image/png', base64: (await encodePng(screen)).toString('base64') });
    try {
      const answer = await model.ask(judgeQuestion(task, pictures, examples, format), format, key, onTokens, signal);
      this.works = true;
      this.silent = 0;
      this.takesSchema ||= format === 'json';
      this.counts.answered++;
      cache.put(key, answer, { model: model.model, task });
      return answer;
    } catch (error) {
      if (format === 'text' || !this.refusesFormat(error)) throw error;
      return this.ask(key, task, screens, signal);
    }
  }

  /** Whether the error looks like a server without response formats; if so, the judge asks for text from then on. */
  private refusesFormat(error: unknown): boolean {
    if (this.options.format !== 'auto' || this.takesSchema) return false;
    if (!(error instanceof RefusedRequest) || !NO_FORMAT.has(error.status)) return false;
    if (this.format === 'json') {
      this.options.warn(`the judge's server refuses JSON schemas; asking for text instead: ${error.message}`);
    }
    this.format = 'text';
    return true;
  }

  private unknown(why: string, spent = false): Verdict {
    this.counts.unanswered++;
    const reason = spent ? `${why}; episodes without a verdict do not count` : why;
    if (!this.reasons.has(reason) && this.reasons.size < MOST_REASONS) {
      this.reasons.add(reason);
      this.options.warn(`the judge gave no verdict: ${reason}`);
    }
    return 'unknown';
  }
}
