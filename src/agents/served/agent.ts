import PQueue from 'p-queue';
import { RefusedRequest } from '../../net/json-server.js';
import type { Frame } from '../../data/formats/frame.js';
import { Random } from '../../random.js';
import { LONGEST_ANSWER, quote, type AnswerReader, type InvalidAnswer, type ReadAnswer } from './answers/answer.js';
import type { ReadOptions } from './answers/answer.js';
import { formatAction } from '../grammar.js';
import { EpisodeRefused, type Agent, type Decision, type Observation, type PastStep } from '../rollout.js';
import type { Said } from './chat.js';
import { sentPicture, type PictureOptions, type SentPicture } from './picture.js';
import { messagesOf, type Message, type ServedTemplate, type ToldStep } from './template.js';

/** Whoever answers: `ServedChat`. */
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
  /** press ENTER after each text that is typed, where the answer does not */
  readonly enter: boolean;
  /** past steps that are told at most */
  readonly history: number;
  readonly pastScreens: number;
  readonly picture: PictureOptions;
  /** decides the model's samples, where its server takes seeds; undefined: not sent */
  readonly seed: number | undefined;
  /** requests at the same time */
  readonly concurrency: number;
  readonly warn: (line: string) => void;
}

/** How questions were answered. */
export interface ServedCounts {
  answered: number;
  /** answers that are no action: each cost its agent a step in which nothing was done */
  invalid: number;
}

/** The text of a step in which an agent waits. It is no action of our grammar, so that nobody imitates it. */
export const WAIT = 'wait';
/** How the text of a step begins whose answer was no action. */
export const INVALID = 'invalid answer: ';

/** Different invalid answers that are said. */
const MOST_SAID = 5;

/**
 * An agent that is not ours, behind a server: it is shown the screen and what it has done, and its answer is read into our
 * action space. An answer that stands for several actions (to touch a field, type and submit) takes a step for each. One
 * that is no action costs a step in which nothing is done; the step's text says why.
 */
export class ServedAgent implements Agent {
  readonly pastScreens: number;
  readonly counts: ServedCounts = { answered: 0, invalid: 0 };
  private readonly queue: PQueue;
  private readonly pictures = new WeakMap<Frame, Promise<SentPicture>>();
  /** what was understood of answers, for the prompts after them */
  private readonly read = new WeakMap<Decision, ReadAnswer>();
  private works = false;
  private said = 0;
  private otherModel = false;

  constructor(private readonly options: ServedAgentOptions) {
    this.pastScreens = options.pastScreens;
    this.queue = new PQueue({ concurrency: options.concurrency });
  }

  /**
   * @throws EpisodeRefused where the server, which has answered before, refuses this request (too long a history, say);
   * RefusedRequest where it refuses all; RunError where it fails to the last retry
   */
  async act(observation: Observation): Promise<Decision> {
    const [next, ...rest] = observation.history.at(-1)?.decision.rest ?? [];
    if (next) return { text: formatAction(next), action: next, rest };
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
      // what is wrong with one request alone must not end the others
      if (error instanceof RefusedRequest && this.works && !error.refusesAll) {
        throw new EpisodeRefused(error.message, { cause: error });
      }
      throw error;
    }
  }

  private decision({ text, cut, model }: Said, { width, height }: SentPicture): Decision {
    const { read, coordinates, scroll, enter } = this.options;
    this.lookAtModel(model);
    this.counts.answered++;
    const said = text.slice(0, LONGEST_ANSWER);
    let found: ReadAnswer | InvalidAnswer;
    if (text.length > LONGEST_ANSWER) found = { invalid: `it has ${text.length} characters` };
    else if (cut) found = { invalid: `it is cut off: ${quote(text.slice(-60))} (served.max_tokens)` };
    else found = read(text, { width, height, coordinates, scroll });
    if ('invalid' in found) {
      this.counts.invalid++;
      this.tell(found.invalid);
      return { text: `${INVALID}${found.invalid}`, said };
    }
    const actions = [...found.actions];
    if (enter && actions.at(-1)?.type === 'TYPE') actions.push({ type: 'PRESS_ENTER' });
    const [action, ...rest] = actions;
    const decision = action ? { text: formatAction(action), action, said, rest } : { text: WAIT, said };
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

  private tell(reason: string): void {
    if (this.said++ < MOST_SAID) this.options.warn(`an answer of ${this.options.model} is no action: ${reason}`);
  }

  private lookAtModel(model: string | undefined): void {
    const wanted = this.options.model;
    if (this.otherModel || model === undefined || model === wanted || model.startsWith(`${wanted}-`)) return;
    this.otherModel = true;
    this.options.warn(`the server answers as the model ${quote(model)}, not ${quote(wanted)} (served.model)`);
  }
}
