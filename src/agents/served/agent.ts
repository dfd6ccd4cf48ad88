import PQueue from 'p-queue';
import { RefusedRequest } from '../../net/json-server.js';
import { ModelName } from '../../net/model-name.js';
import type { Frame } from '../../data/formats/frame.js';
import { Random } from '../../random.js';
import { withoutKeys } from '../../secrets/known.js';
import { LONGEST_ANSWER, quote, type AnswerReader, type InvalidAnswer, type ReadAnswer } from './answers/answer.js';
import type { ReadOptions } from './answers/answer.js';
import { formatAction } from '../grammar.js';
import { EpisodeRefused, type Agent, type Decision, type Observation, type PastStep } from '../rollout.js';
import type { Said } from './chat.js';
import { sentPicture, type PictureOptions, type SentPicture } from './picture.js';
import { messagesOf, type Message, type ServedTemplate, type ToldStep } from './template.js';

/** A chat model that proposes actions; `ServedChat` implements it. */
export interface AskedAgent {
  ask(messages: readonly Message[], label: string, seed: number | undefined, signal: AbortSignal): Promise<Said>;
}

export interface ServedAgentOptions {
  readonly chat: AskedAgent;
  /** the model's name, for messages */
  readonly model: string;
  readonly read: AnswerReader;
  readonly template: ServedTemplate;
  readonly coordinates: ReadOptions['coordinates'];
  readonly scroll: ReadOptions['scroll'];
  /** press ENTER after each typed text, unless the answer does so itself */
  readonly enter: boolean;
  /** most past steps in the prompt */
  readonly history: number;
  readonly pastScreens: number;
  readonly picture: PictureOptions;
  /** for the model's sampling, if its server accepts seeds; undefined: no seed is sent */
  readonly seed: number | undefined;
  /** most requests at the same time */
  readonly concurrency: number;
  readonly warn: (line: string) => void;
}

/** Counts of the model's answers. */
export interface ServedCounts {
  answered: number;
  /** invalid answers; each cost its agent a step without an action */
  invalid: number;
}

/** The text of a step in which an agent waits. It is not an action of our grammar, so that no policy imitates it. */
export const WAIT = 'wait';
/** Prefix of the text of a step with an invalid answer. */
export const INVALID = 'invalid answer: ';

/** Most invalid answers that are logged. */
const MOST_LOGGED = 5;

/**
 * A third-party agent behind a server. Its prompt has the screen and the steps so far; its answer is translated into our
 * action space. An answer that means several actions (tap a field, type, submit) takes a step for each. An invalid answer
 * costs a step without an action; the step's text says why it is invalid.
 */
export class ServedAgent implements Agent {
  readonly pastScreens: number;
  readonly counts: ServedCounts = { answered: 0, invalid: 0 };
  private readonly queue: PQueue;
  private readonly pictures = new WeakMap<Frame, Promise<SentPicture>>();
  /** the parsed answers, for later prompts */
  private readonly read = new WeakMap<Decision, ReadAnswer>();
  /** whether the server has answered before */
  private works = false;
  private logged = 0;
  private readonly name: ModelName;

  constructor(private readonly options: ServedAgentOptions) {
    this.pastScreens = options.pastScreens;
    this.queue = new PQueue({ concurrency: options.concurrency });
    this.name = new ModelName(options.model, 'served.model', options.warn);
  }

  /**
   * @throws EpisodeRefused if the server has answered before but refuses this request (its history is too long, say);
   * RefusedRequest if it refuses every request; RunError if it still fails at the last retry
   */
  async act(observation: Observation): Promise<Decision> {
    const [next, ...rest] = observation.history.at(-1)?.decision.rest ?? [];
    if (next) return { text: withoutKeys(formatAction(next)), action: next, rest };
    const { signal } = observation;
    const said = await this.queue.add(() => this.ask(observation), { signal });
    return this.decision(said, await this.picture(observation.frame));
  }

  private async ask({ key, task, frame, history, signal }: Observation): Promise<Said> {
    const { chat, template, seed } = this.options;
    const answered = history.filter(({ decision }) => decision.said !== undefined);
    const steps = await Promise.all(answered.slice(-this.options.history).map((step) => this.told(step)));
    const { url, width, height } = await this.picture(frame);
    const first = answered.length - steps.length;
    const messages = messagesOf(template, { task: task.text, steps, first, picture: url, width, height });
    const sampling = seed === undefined ? undefined : new Random(seed, 'served', key).int(2 ** 31);
    try {
      const said = await chat.ask(messages, key, sampling, signal);
      this.works = true;
      return said;
    } catch (error) {
      // a fault of one request must not end the other episodes
      if (error instanceof RefusedRequest && this.works && !error.refusesAll) {
        throw new EpisodeRefused(error.message, { cause: error });
      }
      throw error;
    }
  }

  private decision({ text, cut, model }: Said, { width, height }: SentPicture): Decision {
    const { read, coordinates, scroll, enter } = this.options;
    this.name.check(model);
    this.counts.answered++;
    // the answer is read as it is, and stored without the keys that a model or a proxy may repeat
    const said = withoutKeys(text).slice(0, LONGEST_ANSWER);
    let found: ReadAnswer | InvalidAnswer;
    if (text.length > LONGEST_ANSWER)
      found = { invalid: `${text.length} characters; expected at most ${LONGEST_ANSWER}` };
    else if (cut) found = { invalid: `cut off at served.max_tokens: ${quote(said.slice(-60))}` };
    else found = read(text, { width, height, coordinates, scroll });
    if ('invalid' in found) {
      this.counts.invalid++;
      const reason = withoutKeys(found.invalid);
      this.logInvalid(reason);
      return { text: `${INVALID}${reason}`, said };
    }
    const actions = [...found.actions];
    if (enter && actions.at(-1)?.type === 'TYPE') actions.push({ type: 'PRESS_ENTER' });
    const [action, ...rest] = actions;
    const decision = action ? { text: withoutKeys(formatAction(action)), action, said, rest } : { text: WAIT, said };
    this.read.set(decision, found);
    return decision;
  }

  private async told({ decision, frame }: PastStep): Promise<ToldStep> {
    const { operation, summary } = this.read.get(decision) ?? { operation: 'no valid operation', summary: '' };
    const picture = frame && (await this.picture(frame)).url;
    return { answer: decision.said!, operation, summary, ...(picture ? { picture } : {}) };
  }

  private picture(frame: Frame): Promise<SentPicture> {
    let picture = this.pictures.get(frame);
    if (!picture) {
      picture = sentPicture(frame, this.options.picture);
      this.pictures.set(frame, picture);
    }
    return picture;
  }

  private logInvalid(reason: string): void {
    if (this.logged++ < MOST_LOGGED) this.options.warn(`invalid answer from ${this.options.model}: ${reason}`);
  }
}
