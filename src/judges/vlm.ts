import { imageId } from '../data/images.js';
import type { Frame } from '../data/formats/frame.js';
import { encodePng } from '../data/formats/png.js';
import { screenChange } from '../data/screen-change.js';
import { Asker, Unanswered, type AskerOptions } from './asker.js';
import { questionKey } from './answer-cache.js';
import type { Format, Picture, Question } from './chat.js';
import { examplesFingerprint, type Example } from './few-shot.js';
import type { Asked, EpisodeEnd, Judge, Verdict } from './judge.js';
import { judgeQuestion, PROMPT_VERSION } from './judge-prompt.js';
import type { Answer } from './status.js';

export interface VlmJudgeOptions extends AskerOptions<Answer> {
  readonly examples: readonly Example[];
  readonly asked: Asked;
  /** `required`: an episode without STATUS_TASK_COMPLETE is a failure, and the model is not asked */
  readonly declare: 'required' | 'ignored';
  /** 1: the last screenshot; 2: also the one before it */
  readonly screens: 1 | 2;
  /** screens that differ by at most this count as the same (mean squared difference, 0..65025; screen-change.ts) */
  readonly sameScreen: number;
  /** other settings that can change an answer */
  readonly key: Readonly<Record<string, unknown>>;
}

/** Where the verdicts came from. */
export interface JudgeCounts {
  /** questions that the model answered; retries do not count */
  readonly answered: number;
  /** answers from the cache */
  readonly known: number;
  /** screens that were not sent because they nearly equal the one before */
  readonly same: number;
  /** unknown verdicts */
  readonly unanswered: number;
}

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
  private readonly examples: string;
  private readonly asker: Asker<Answer>;
  private readonly own = { same: 0, unanswered: 0 };
  private readonly reasons = new Set<string>();

  constructor(private readonly options: VlmJudgeOptions) {
    const { model, asked, examples } = options;
    this.name = `${model.kind} ${model.model}`;
    this.asked = asked;
    this.examples = examplesFingerprint(examples);
    this.asker = new Asker(options);
  }

  get counts(): JudgeCounts {
    return { ...this.asker.counts, ...this.own };
  }

  /** questions in a row, up to now, that the server did not answer in all its tries */
  get silent(): number {
    return this.asker.silent;
  }

  /** @throws RefusedRequest if the settings are wrong; the reason of `end.signal` once it is aborted */
  async judge(end: EpisodeEnd): Promise<Verdict> {
    const { frame, previousFrame, completed, before, task } = end;
    const { declare, sameScreen, screens } = this.options;
    if (declare === 'required' && !completed) return 'failure';
    if (!frame) return this.unknown('there is no screenshot');
    const same = previousFrame !== undefined && screenChange(previousFrame, frame) <= sameScreen;
    if (same && before !== undefined && before !== 'unknown') {
      this.own.same++;
      return before;
    }
    const seen = screens === 2 && previousFrame !== undefined && !same ? [previousFrame, frame] : [frame];
    const signal = end.signal ?? new AbortController().signal;
    try {
      return (await this.answer(task.text, seen, signal)).status;
    } catch (error) {
      if (error instanceof Unanswered) return this.unknown(error.message, error.spent);
      throw error;
    }
  }

  /** The answer about a task and its screens. */
  private answer(task: string, screens: readonly Frame[], signal: AbortSignal): Promise<Answer> {
    const { model, format, examples, key: more } = this.options;
    const key = questionKey({
      version: PROMPT_VERSION,
      kind: model.kind,
      model: model.model,
      ...more,
      format,
      examples: this.examples,
      task,
      screens: screens.map(imageId),
    });
    const write = async (format: Format): Promise<Question> => {
      const pictures: Picture[] = [];
      for (const screen of screens)
        pictures.push({ type: 'image/png', base64: (await encodePng(screen)).toString('base64') });
      return judgeQuestion(task, pictures, examples, format);
    };
    return this.asker.answer({ key, task, write }, signal);
  }

  private unknown(why: string, spent = false): Verdict {
    this.own.unanswered++;
    const reason = spent ? `${why}; episodes without a verdict do not count` : why;
    if (!this.reasons.has(reason) && this.reasons.size < MOST_REASONS) {
      this.reasons.add(reason);
      this.options.warn(`the judge gave no verdict: ${reason}`);
    }
    return 'unknown';
  }
}
