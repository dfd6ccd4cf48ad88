import { join } from 'node:path';
import { z } from 'zod';
import { counted } from '../../src/counted.js';
import { RunError, UserError } from '../../src/errors.js';
import { Budget } from '../../src/judges/budget.js';
import { examplesFingerprint, loadExamples, type Example } from '../../src/judges/few-shot.js';
import type { Judge } from '../../src/judges/judge.js';
import { PROMPT_VERSION } from '../../src/judges/judge-prompt.js';
import { chatModel } from '../../src/judges/chat-model.js';
import { stateJudge } from '../../src/judges/state.js';
import { AnswerCache } from '../../src/judges/answer-cache.js';
import { VERDICT, type Answer } from '../../src/judges/status.js';
import { VlmJudge } from '../../src/judges/vlm.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Config } from '../../src/settings/settings.js';
import { extensions, influenceOf, settingsOf as sectionOf } from '../plugins/extensions.js';
import { once } from '../resources.js';
import { BackoffMs, JUDGE_QUESTIONS, JUDGE_SERVER, serverOf, serverUrl } from './server-settings.js';

export const JudgeSettings = z.object({
  kind: z
    .enum(['state', 'openai', 'gemini'])
    .default('state')
    .describe(
      "what decides whether an episode succeeded: the device's own state (the embedded phone knows it), or a VLM that sees the last screenshot, behind an OpenAI-compatible server or Gemini (docs/judges.md)",
    ),
  model: z.string().default('').describe('name of the VLM on its server; unused with `state`'),
  ...JUDGE_SERVER,
  few_shot: z
    .string()
    .default('')
    .describe(
      'folder with `examples.json` and screenshots with known verdicts, shown before each question; empty: none',
    ),
  ask: z
    .enum(['end', 'step'])
    .default('end')
    .describe(
      'when to ask: at the end of an episode, or after each step; with `step` the first success ends the episode, as in the released code of DigiRL and Digi-Q',
    ),
  declare: z
    .enum(['required', 'ignored'])
    .default('required')
    .describe(
      'whether an episode that does not end with STATUS_TASK_COMPLETE fails whatever the screen shows (the judge is not asked then); set `ignored` for the published protocol and with `judge.ask=step`',
    ),
  screens: z
    .union([z.literal(1), z.literal(2)])
    .default(1)
    .describe('screenshots shown: the last one, or also the one before it if it differs'),
  same_screen: z
    .number()
    .min(0)
    .max(65025)
    .default(1)
    .describe(
      'two screens count as the same up to this mean squared difference at quarter size (0..65025) and are sent only once; the released code uses 65 at full size, which flipping a switch may not reach',
    ),
  format: z
    .enum(['auto', 'json', 'text'])
    .default('auto')
    .describe(
      'answer format: JSON by a schema that the server enforces, or text that ends with `Status: success` or `Status: failure`; auto: JSON unless the server rejects it',
    ),
  max_tokens: z
    .int()
    .min(0)
    .default(512)
    .describe("maximum tokens of an answer, including its reasons; 0: the server's own limit"),
  reasoning: z
    .boolean()
    .default(false)
    .describe(
      'the model reasons before it answers: no temperature is sent (otherwise 0), and it needs more `judge.max_tokens`',
    ),
  budget_calls: z
    .int()
    .min(0)
    .default(0)
    .describe('total requests that a run folder may send to its judge, including retries; 0: no limit'),
  budget_tokens: z
    .int()
    .min(0)
    .default(0)
    .describe('total tokens that a run folder may spend on its judge, as the server counts them; 0: no limit'),
  ...JUDGE_QUESTIONS,
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(5)
    .describe(
      'retries of a question when the server fails or its answer is unusable; after that the episode is not judged',
    ),
  backoff_ms: BackoffMs,
});
export type JudgeSettings = z.infer<typeof JudgeSettings>;

const settingsOf = (config: Config): JudgeSettings => config.judge as JudgeSettings;

/** Settings beside model and prompt that affect the answers of a VLM. */
const answering = ({ max_tokens, reasoning }: JudgeSettings) => ({ max_tokens, reasoning });

/**
 * Judge settings that affect verdicts, for the fingerprint of a stage: not the server's address, retries or budget.
 * Empty for the state judge with its defaults.
 * @throws UserError if the few-shot examples are invalid
 */
export function judgeFingerprint(config: Config): Readonly<Record<string, unknown>> {
  const settings = settingsOf(config);
  const { kind, ask, declare, model, screens, same_screen, format, few_shot } = settings;
  if (kind === 'state') return declare === 'required' && ask === 'end' ? {} : { judge: { kind, ask, declare } };
  const own = extensions().judges.get(kind);
  if (own) return { judge: { kind, ask, declare, ...influenceOf(own, config.judge, kind) } };
  const examples = examplesFingerprint(examplesOf(few_shot));
  const answers = answering(settings);
  return {
    judge: { kind, ask, declare, model, screens, same_screen, format, ...answers, examples, prompt: PROMPT_VERSION },
  };
}

/** Parallel shards: one with a VLM judge, so that all shards share its cache and nothing is asked twice. */
export function judgeWorkers(config: Config): number | undefined {
  const { kind } = settingsOf(config);
  return kind === 'state' || extensions().judges.get(kind)?.parallel ? undefined : 1;
}

/** The judge of a stage. @throws UserError if its settings cannot work */
export function judgeOf(ctx: StageContext<unknown>): Promise<Judge> {
  return once(ctx, 'judge', () => openJudge(ctx.config, ctx.folder, (line) => ctx.log.warn(line)).judge);
}

/** A log line on what a VLM judge did; undefined for the state judge. */
export async function judgeSummary(ctx: StageContext<unknown>): Promise<string | undefined> {
  const judge = await judgeOf(ctx);
  return judge instanceof VlmJudge ? countsLine(judge) : undefined;
}

/**
 * Warns about the episodes of a stage without a verdict.
 * @param unknown their ids
 * @throws RunError if there is no other episode: nothing can be learned or measured then
 */
export function reportUnknown(ctx: StageContext<unknown>, unknown: readonly string[], judged: number): void {
  if (unknown.length === 0) return;
  if (judged === 0)
    throw new RunError(
      `${ctx.instance}: none of ${counted(unknown.length, 'episode')} was judged (the log says why); fix the cause, then run the same command with --force: the answers of a VLM are kept`,
    );
  ctx.log.warn(
    `${unknown.length} of ${counted(unknown.length + judged, 'episode')} not judged and not counted: ${unknown.join(', ')}`,
  );
}

/** The counts of a VLM judge as a log line. */
export function countsLine({ name, counts }: VlmJudge): string {
  const { answered, known, same, unanswered } = counts;
  return `judge ${name}: ${counted(answered, 'new answer')}, ${known} from the cache; ${counted(same, 'repeated screen')} not sent again; ${unanswered} without a verdict`;
}

/** A judge with its budget. */
export interface OpenJudge {
  readonly judge: Judge;
  /** only of a VLM judge */
  readonly budget?: Budget;
}

/**
 * The judge of the settings.
 * @param folder the run folder, which records what was spent
 * @throws UserError if the settings cannot work
 */
export function openJudge(config: Config, folder: string, warn: (line: string) => void): OpenJudge {
  const settings = settingsOf(config);
  const { kind, ask, declare, model, few_shot, budget_calls, budget_tokens } = settings;
  if (ask === 'step' && declare === 'required') {
    throw new UserError(
      'judge.ask=step: a success ends the episode before the agent can declare it; set judge.declare=ignored',
    );
  }
  if (kind === 'state') return { judge: stateJudge({ declare, asked: ask }) };
  const own = extensions().judges.get(kind);
  if (own) {
    const options = { settings: sectionOf(config.judge, kind), asked: ask, declare, seed: config.seed, folder, warn };
    return { judge: own.open(options) };
  }
  if (model === '') throw new UserError(`judge.kind=${kind}: needs judge.model, the name of the VLM on its server`);
  const budget = new Budget(join(folder, 'judge'), { calls: budget_calls, tokens: budget_tokens });
  const judge = new VlmJudge({
    model: modelOf(config, () => budget.take(), warn),
    examples: examplesOf(few_shot),
    asked: ask,
    declare,
    screens: settings.screens,
    sameScreen: settings.same_screen,
    format: settings.format,
    key: answering(settings),
    cache: new AnswerCache(join(config.data, '.cache', 'judge'), answerIn),
    onTokens: budget.tokenCounter("the judge's server", warn),
    concurrency: settings.concurrency,
    warn,
  });
  return { judge, budget };
}

function examplesOf(folder: string): Example[] {
  return folder === '' ? [] : loadExamples(folder);
}

/** URL of the judge's server. */
export function judgeUrl(config: Config): string {
  return serverUrl(settingsOf(config));
}

function modelOf(config: Config, onTry: () => void, warn: (line: string) => void) {
  const settings = settingsOf(config);
  const { model, max_tokens: maxTokens, reasoning } = settings;
  const server = serverOf(settings, { section: 'judge', seed: config.seed, docs: 'docs/judges.md', onTry });
  const options = { section: 'judge', temperature: 0, maxTokens, reasoning, warn };
  return chatModel(settings.kind, server, model, options, VERDICT);
}

/** The verdict in a line of the cache. */
function answerIn({ status, reasoning }: Readonly<Record<string, unknown>>): Answer | undefined {
  if ((status !== 'success' && status !== 'failure') || typeof reasoning !== 'string') return undefined;
  return { status, reasoning };
}
