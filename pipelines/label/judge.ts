import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { ratedPicture, shortText } from '../../src/agents/rated-action.js';
import { counted } from '../../src/counted.js';
import { encodePng } from '../../src/data/formats/png.js';
import { ImageStore } from '../../src/data/images.js';
import type { Rating } from '../../src/data/labels.js';
import { RunError, UserError } from '../../src/errors.js';
import { AnswerCache, questionKey } from '../../src/judges/answer-cache.js';
import { Asker, Unanswered } from '../../src/judges/asker.js';
import { Budget } from '../../src/judges/budget.js';
import type { ChatModel, Picture } from '../../src/judges/chat.js';
import { chatModel } from '../../src/judges/chat-model.js';
import { RATING, type RatedAnswer } from '../../src/judges/rating-answer.js';
import { RATING_PROMPT_VERSION, ratingQuestion, type ShownStep } from '../../src/judges/rating-prompt.js';
import { reference } from '../../src/runner/reference.js';
import type { StageContext } from '../../src/runner/stage.js';
import { serverOf } from '../episodes/server-settings.js';
import type { Label, LabelJudge } from './settings.js';
import type { LabelledStep } from './steps.js';

/** A judge's rating of a step; null if it gave none, and then the explanation says why. */
export interface JudgedStep {
  readonly rating: Rating | null;
  readonly explanation: string;
}

/** Questions in a row at which the server could not be reached in all tries, after which it counts as dead. */
const UNREACHED = 8;

/** The settings of a judge that affect its answers, for the fingerprint of the stage. */
export function answering({ kind, model, temperature, max_tokens, reasoning, format }: LabelJudge) {
  return { kind, model, ...(reasoning ? {} : { temperature }), max_tokens, reasoning, format };
}

/** Rates steps by a VLM behind a server. Answers are kept in `<data>/.cache/label`, for all runs and processes. */
export class StepJudge {
  readonly name: string;
  private readonly asker: Asker<RatedAnswer>;
  private readonly model: ChatModel<RatedAnswer>;
  private readonly images: ImageStore;
  private unknown = 0;
  /** whether the budget was spent before all questions were answered */
  spent = false;

  /** @param section of its settings: `label.judge` or `label.second` */
  constructor(
    private readonly ctx: StageContext<Label>,
    private readonly settings: LabelJudge,
    section: string,
    private readonly budget: Budget,
  ) {
    const { kind, model, temperature, max_tokens: maxTokens, reasoning, format, concurrency } = settings;
    if (model === '')
      throw new UserError(`${section}.model: empty; name the VLM on its server, for example ${section}.model=gpt-4o`);
    const { config, log } = ctx;
    const server = serverOf(settings, {
      section,
      seed: config.seed,
      docs: 'docs/labels.md',
      onTry: () => budget.take(),
    });
    const warn = (line: string): void => log.warn(line);
    const options = { section, temperature, maxTokens, reasoning, warn };
    this.model = chatModel(kind, server, model, options, RATING);
    this.name = `${kind} ${model}`;
    this.asker = new Asker({
      model: this.model,
      format,
      cache: new AnswerCache(join(config.data, '.cache', 'label'), answerIn),
      onTokens: budget.tokenCounter(`the server of ${section}`, warn),
      concurrency,
      warn,
    });
    const other = reference(ctx.settings.data);
    this.images = new ImageStore(ctx.dataset(other ? `${other.run}:images` : 'images'));
  }

  /** A line on what it did. */
  get summary(): string {
    const { answered, known } = this.asker.counts;
    return `judge ${this.name}: ${counted(answered, 'new answer')}, ${known} from the cache, ${this.unknown} without a rating`;
  }

  /**
   * Rates the steps of a trajectory.
   * @param onStep called for each rated step
   * @throws RunError if the server seems dead; UserError if it refuses all questions; the reason of `signal`
   */
  async rate(steps: readonly LabelledStep[], signal: AbortSignal, onStep: () => void): Promise<JudgedStep[]> {
    const pictures = new Map<number, Promise<Picture | undefined>>();
    const shown = async (i: number): Promise<ShownStep> => {
      let picture = pictures.get(i);
      if (!picture) {
        picture = this.picture(steps[i]);
        pictures.set(i, picture);
      }
      return { text: shortText(steps[i].action), picture: await picture };
    };
    return Promise.all(
      steps.map(async (_, i) => {
        const rated = await this.one(steps, i, shown, signal);
        onStep();
        return rated;
      }),
    );
  }

  private async one(
    steps: readonly LabelledStep[],
    current: number,
    shown: (i: number) => Promise<ShownStep>,
    signal: AbortSignal,
  ): Promise<JudgedStep> {
    const { shows } = this.ctx.settings;
    const { goal, image, trajectory } = steps[current];
    if (!(await this.stored(image))) return this.none(`the screenshot ${image} is missing`);
    const seen = shows === 'episode' ? steps : steps.slice(0, current + 1);
    const key = questionKey({
      version: RATING_PROMPT_VERSION,
      ...answering(this.settings),
      shows,
      goal,
      steps: seen.map(({ action, image }) => [action, image]),
      current,
    });
    const write = async () => {
      // before the pictures are read
      this.budget.check();
      return ratingQuestion(goal, await Promise.all(seen.map((_, i) => shown(i))), current, shows);
    };
    try {
      return await this.asker.answer({ key, task: goal, write }, signal);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      if (error.spent) this.spent = true;
      if (this.asker.unreached >= UNREACHED)
        throw new RunError(
          `no answer to ${this.asker.unreached} questions in a row; ${error.message}; the ratings so far are kept`,
        );
      return this.none(error.message, `step ${current} of trajectory ${trajectory}`);
    }
  }

  private none(why: string, where?: string): JudgedStep {
    this.unknown++;
    if (where) this.ctx.log.debug(`${where} is not rated: ${why}`);
    return { rating: null, explanation: why };
  }

  private async picture({ image, action }: LabelledStep): Promise<Picture | undefined> {
    if (!(await this.stored(image))) return undefined;
    const png = await encodePng(ratedPicture(await this.images.get(image), action));
    return { type: 'image/png', base64: png.toString('base64') };
  }

  /** Imported data may have no screenshots. */
  private stored(image: string): Promise<boolean> {
    return /^[0-9a-f]{32}$/.test(image) ? this.images.has(image) : Promise.resolve(false);
  }
}

function answerIn({ rating, explanation }: Readonly<Record<string, unknown>>): RatedAnswer | undefined {
  if ((rating !== 1 && rating !== 2) || typeof explanation !== 'string') return undefined;
  return { rating, explanation };
}

/** The judges of the settings: one, or two if `label.second.model` names another. */
export class StepJudges {
  readonly first: StepJudge;
  readonly second: StepJudge | undefined;
  private readonly budget: Budget;

  constructor(private readonly ctx: StageContext<Label>) {
    const { judge, second, budget_calls: calls, budget_tokens: tokens } = ctx.settings;
    if (second.model !== '' && JSON.stringify(answering(judge)) === JSON.stringify(answering(second)))
      throw new UserError(
        `label.second: expected another judge than label.judge, got ${second.kind} ${second.model} with the same settings, which would repeat the cached answers of the first; name another model, or set another label.second.temperature`,
      );
    this.budget = new Budget(join(ctx.folder, 'judge', 'labels'), { calls, tokens }, 'label');
    this.first = new StepJudge(ctx, judge, 'label.judge', this.budget);
    this.second = second.model === '' ? undefined : new StepJudge(ctx, second, 'label.second', this.budget);
  }

  /**
   * Rates trajectories, several at a time; the first failure stops the others, but a spent budget lets the questions under
   * way come back.
   * @returns the ratings of both judges for each step of each trajectory; the second's are undefined without one
   * @throws RunError if the budget is spent and `label.when_spent` is stop
   */
  async rate(
    trajectories: readonly (readonly LabelledStep[])[],
    onStep: () => void,
  ): Promise<{ readonly first: JudgedStep[]; readonly second: JudgedStep[] | undefined }[]> {
    const { signal, settings } = this.ctx;
    const { first, second } = this;
    const stop = new AbortController();
    // every question under way listens
    setMaxListeners(0, stop.signal);
    const abort = (): void => stop.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const concurrency = Math.max(settings.judge.concurrency, second ? settings.second.concurrency : 0);
    const queue = new PQueue({ concurrency });
    const rated = new Array<{ first: JudgedStep[]; second: JudgedStep[] | undefined }>(trajectories.length);
    const nothing = (): void => undefined;
    try {
      await queue.addAll(
        trajectories.map((steps, i) => async () => {
          if (stop.signal.aborted) return;
          try {
            const [one, two] = await Promise.all([
              first.rate(steps, stop.signal, onStep),
              second?.rate(steps, stop.signal, nothing),
            ]);
            rated[i] = { first: one, second: two };
          } catch (error) {
            stop.abort(error);
          }
        }),
      );
    } finally {
      signal.removeEventListener('abort', abort);
    }
    stop.signal.throwIfAborted();
    if (settings.when_spent === 'stop' && (first.spent || second?.spent)) throw this.spentError();
    return rated;
  }

  private spentError(): RunError {
    const { calls, tokens } = this.budget.spent;
    return new RunError(
      `${this.ctx.instance}: the budget of the run is spent: ${counted(calls, 'call')} and ${counted(tokens, 'token')} (label.budget_calls, label.budget_tokens); the ratings so far are kept: run the same command with a larger budget, or with label.when_spent=unknown to finish without the others`,
    );
  }
}
