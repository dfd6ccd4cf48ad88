import PQueue from 'p-queue';
import { imageId } from '../data/images.js';
import { RefusedRequest } from '../net/json-server.js';
import { encodePng } from '../data/formats/png.js';
import { screenChange } from '../data/screen-change.js';
import { RunError } from '../errors.js';
import { BudgetSpent } from './budget.js';
import type { ChatModel, Format, Picture } from './chat.js';
import { examplesFingerprint, type Example } from './few-shot.js';
import type { Asked, EpisodeEnd, Judge, Screen, Verdict } from './judge.js';
import { judgeQuestion, PROMPT_VERSION } from './judge-prompt.js';
import type { Answer } from './status.js';
import { verdictKey, type VerdictCache } from './verdict-cache.js';

export interface VlmJudgeOptions {
  readonly model: ChatModel;
  readonly examples: readonly Example[];
  readonly asked: Asked;
  /** whether an episode without STATUS_TASK_COMPLETE is a failure, without asking */
  readonly declare: 'required' | 'ignored';
  /** the last screenshot, or the one before it too */
  readonly screens: 1 | 2;
  /** screens that differ by at most this are the same one (mean squared difference, 0..65025; screen-change.ts) */
  readonly sameScreen: number;
  /** auto: JSON, and text where the server refuses it at first */
  readonly format: Format | 'auto';
  /** other settings that decide an answer */
  readonly key: Readonly<Record<string, unknown>>;
  readonly cache: VerdictCache;
  /** told of the tokens of each answer; undefined where the server does not say */
  readonly onTokens: (tokens: number | undefined) => void;
  /** questions at the same time */
  readonly concurrency: number;
  readonly warn: (line: string) => void;
}

/** How judgements came about. */
export interface JudgeCounts {
  /** questions put to the model, and answered; retries are not counted */
  answered: number;
  /** answers that were known from before */
  known: number;
  /** screens that were not sent since they are nearly equal to the one before */
  same: number;
  /** judgements that are unknown */
  unanswered: number;
}

/** Statuses by which servers refuse a response format. */
const NO_FORMAT = new Set([400, 422]);
/** Different reasons for unknown judgements that are said. */
const MOST_REASONS = 10;

/**
 * A judge that looks: a vision-language model is shown the last screenshot and asked whether it completes the task
 * (docs/algorithms.md §7). What cannot be answered (a server that fails, a model that declines, nonsense, a spent budget) is
 * `unknown`; a server that refuses everything from the start, or the key, or the model, ends the run.
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
  /** whether the server has answered well, now or before */
  private works = false;
  /** whether it has done so in JSON by the schema, in this process */
  private takesSchema = false;

  constructor(private readonly options: VlmJudgeOptions) {
    const { model, asked, examples, concurrency, format } = options;
    this.name = `${model.kind} ${model.model}`;
    this.asked = asked;
    this.examples = examplesFingerprint(examples);
    this.queue = new PQueue({ concurrency });
    this.format = format === 'auto' ? 'json' : format;
  }

  /** @throws RefusedRequest where the settings are wrong; what `signal` was aborted with */
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
      if (error instanceof RefusedRequest ? this.works && !error.refusesAll : error instanceof RunError)
        return this.unknown((error as Error).message, error instanceof BudgetSpent);
      throw error;
    }
  }

  /** The answer about a task and its screens, from before or from the model; what is asked twice is sent once. */
  private answer(task: string, screens: readonly Screen[], signal: AbortSignal): Promise<Answer> {
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

  private async ask(key: string, task: string, screens: readonly Screen[], signal: AbortSignal): Promise<Answer> {
    const { model, cache, examples, onTokens } = this.options;
    signal.throwIfAborted();
    const { format } = this;
    const pictures: Picture[] = [];
    for (const screen of screens)
      pictures.push({ type: 'image/png', base64: (await encodePng(screen)).toString('base64') });
    try {
      const answer = await model.ask(judgeQuestion(task, pictures, examples, format), format, key, onTokens, signal);
      this.works = true;
      this.takesSchema ||= format === 'json';
      this.counts.answered++;
      cache.put(key, answer, { model: model.model, task });
      return answer;
    } catch (error) {
      if (format === 'text' || !this.refusesFormat(error)) throw error;
      return this.ask(key, task, screens, signal);
    }
  }

  /** Whether the server takes no response format, as far as one can tell; from then on it is asked for text. */
  private refusesFormat(error: unknown): boolean {
    if (this.options.format !== 'auto' || this.takesSchema) return false;
    if (!(error instanceof RefusedRequest) || !NO_FORMAT.has(error.status)) return false;
    if (this.format === 'json') {
      this.options.warn(`the judge's server refuses a JSON schema and is asked for text: ${error.message}`);
    }
    this.format = 'text';
    return true;
  }

  private unknown(why: string, spent = false): Verdict {
    this.counts.unanswered++;
    const reason = spent ? `${why}: what is not judged does not count` : why;
    if (!this.reasons.has(reason) && this.reasons.size < MOST_REASONS) {
      this.reasons.add(reason);
      this.options.warn(`the judge gave no answer: ${reason}`);
    }
    return 'unknown';
  }
}
