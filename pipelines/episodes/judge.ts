import { join } from 'node:path';
import { z } from 'zod';
import type { JsonServerOptions } from '../../src/net/json-server.js';
import { RunError, UserError } from '../../src/errors.js';
import { Budget } from '../../src/judges/budget.js';
import { examplesFingerprint, loadExamples, type Example } from '../../src/judges/few-shot.js';
import { GeminiModel } from '../../src/judges/gemini.js';
import type { Judge } from '../../src/judges/judge.js';
import { PROMPT_VERSION } from '../../src/judges/judge-prompt.js';
import { OpenAiModel } from '../../src/judges/openai.js';
import { stateJudge } from '../../src/judges/state.js';
import { VerdictCache } from '../../src/judges/verdict-cache.js';
import { VlmJudge } from '../../src/judges/vlm.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Config } from '../../src/settings/settings.js';
import { once } from '../resources.js';
import { BackoffMs, plainUrl, Url, VariableName } from './server-settings.js';

export const JudgeSettings = z.object({
  kind: z
    .enum(['state', 'openai', 'gemini'])
    .default('state')
    .describe(
      "who says whether an episode succeeded: the device's own state (the embedded phone knows it), or a VLM that is shown the last screenshot, behind an OpenAI-compatible server or Gemini's; see docs/judges.md",
    ),
  model: z.string().default('').describe('name of the VLM as its server knows it; not for `state`'),
  url: z
    .union([Url, z.literal('')])
    .default('')
    .describe(
      "the server; empty: http://127.0.0.1:8000 for `openai`, Google's for `gemini`. With or without `/v1` at its end",
    ),
  api_key_env: VariableName.default('JUDGE_API_KEY').describe(
    "name of the environment variable that holds the server's key, if it wants one; the key itself is no setting",
  ),
  few_shot: z
    .string()
    .default('')
    .describe(
      'folder with `examples.json` and screenshots whose verdict is known, which are shown before each question; empty: none',
    ),
  ask: z
    .enum(['end', 'step'])
    .default('end')
    .describe(
      "when: at the end of an episode, or after each step, where the first success ends the episode as in DigiRL's and Digi-Q's released code",
    ),
  declare: z
    .enum(['required', 'ignored'])
    .default('required')
    .describe(
      'whether an episode that does not end with STATUS_TASK_COMPLETE is a failure whatever the screen shows (then it costs no question); `ignored` for the published protocol and for `judge.ask=step`',
    ),
  screens: z
    .union([z.literal(1), z.literal(2)])
    .default(1)
    .describe('screenshots that are shown: the last one, or the one before it too where it differs'),
  same_screen: z
    .number()
    .min(0)
    .max(65025)
    .default(1)
    .describe(
      'two screens are the same one up to this mean squared difference at quarter size (0..65025), and are not sent a second time; the released code takes 65 at full size, which a switch that is turned may not reach',
    ),
  format: z
    .enum(['auto', 'json', 'text'])
    .default('auto')
    .describe(
      'how the VLM answers: JSON by a schema that the server enforces, or text that ends with `Status: success` or `Status: failure`; auto: JSON unless the server refuses it',
    ),
  max_tokens: z
    .int()
    .min(0)
    .default(512)
    .describe('tokens of an answer at most, its reasons included; 0: as many as the server likes'),
  reasoning: z
    .boolean()
    .default(false)
    .describe(
      'a model that thinks before it answers: it is sent no temperature (else 0), and needs more `judge.max_tokens`',
    ),
  budget_calls: z
    .int()
    .min(0)
    .default(0)
    .describe('requests, retries included, that a run folder may send to its judge in all; 0: no limit'),
  budget_tokens: z
    .int()
    .min(0)
    .default(0)
    .describe('tokens, as the server counts them, that a run folder may spend on its judge in all; 0: no limit'),
  concurrency: z.int().min(1).max(1024).default(8).describe('questions to the server at the same time'),
  timeout_ms: z.int().min(1).max(300_000).default(60_000).describe('milliseconds that a request may take'),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(5)
    .describe(
      'times that a question is put again where the server fails or answers nonsense, before its episode is not judged',
    ),
  backoff_ms: BackoffMs,
});
export type JudgeSettings = z.infer<typeof JudgeSettings>;

/** Where the servers are unless the settings say it. */
const SERVERS = { openai: 'http://127.0.0.1:8000', gemini: 'https://generativelanguage.googleapis.com' } as const;

const settingsOf = (config: Config): JudgeSettings => config.judge as JudgeSettings;

/** Settings beside model and prompt that decide what a VLM answers. */
const answering = ({ max_tokens, reasoning }: JudgeSettings) => ({ max_tokens, reasoning });

/**
 * What of the judge decides verdicts, for the fingerprint of a stage's settings: none of where the server is, how often it
 * is asked and what that may cost. Nothing for the state judge as it is by default.
 * @throws UserError where the few-shot examples are wrong
 */
export function judgeFingerprint(config: Config): Readonly<Record<string, unknown>> {
  const settings = settingsOf(config);
  const { kind, ask, declare, model, screens, same_screen, format, few_shot } = settings;
  if (kind === 'state') return declare === 'required' && ask === 'end' ? {} : { judge: { kind, ask, declare } };
  const examples = examplesFingerprint(examplesOf(few_shot));
  const answers = answering(settings);
  return {
    judge: { kind, ask, declare, model, screens, same_screen, format, ...answers, examples, prompt: PROMPT_VERSION },
  };
}

/** Shards at the same time: with a judge that is asked all in one thread, which asks nothing twice. */
export function judgeWorkers(config: Config): number | undefined {
  return settingsOf(config).kind === 'state' ? undefined : 1;
}

/** The judge of a stage. @throws UserError where its settings cannot work */
export function judgeOf(ctx: StageContext<unknown>): Promise<Judge> {
  return once(ctx, 'judge', () => openJudge(ctx.config, ctx.folder, (line) => ctx.log.warn(line)).judge);
}

/** What a judge has done, as a line of the log; nothing where it asks nobody. */
export async function judgeSummary(ctx: StageContext<unknown>): Promise<string | undefined> {
  const judge = await judgeOf(ctx);
  return judge instanceof VlmJudge ? countsLine(judge) : undefined;
}

/**
 * Says how many episodes of a stage the judge gave no verdict on.
 * @param unknown ids of those without one
 * @throws RunError where that is all of them: a rate of nothing is no rate, and nothing can be learned from it
 */
export function reportUnknown(ctx: StageContext<unknown>, unknown: readonly string[], judged: number): void {
  if (unknown.length === 0) return;
  if (judged === 0)
    throw new RunError(
      `${ctx.instance}: none of ${unknown.length} episodes was judged (the log says why); mend that, then run the same command with --force: what a VLM has answered is kept`,
    );
  ctx.log.warn(
    `${unknown.length} of ${unknown.length + judged} episodes were not judged and do not count: ${unknown.join(', ')}`,
  );
}

/** The counts of a VLM judge in words. */
export function countsLine({ name, counts }: VlmJudge): string {
  const { answered, known, same, unanswered } = counts;
  return `judge ${name}: answers: ${answered} now, ${known} known from before; ${same} screens not sent again; ${unanswered} judgements unknown`;
}

/** A judge with what it has spent. */
export interface OpenJudge {
  readonly judge: Judge;
  /** of a VLM judge */
  readonly budget?: Budget;
}

/**
 * The judge that the settings say.
 * @param folder the run folder, which keeps the account of what was spent
 * @throws UserError where the settings cannot work
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
  if (model === '') throw new UserError(`judge.kind=${kind}: needs judge.model, the name of the VLM on its server`);
  const budget = new Budget(join(folder, 'judge'), { calls: budget_calls, tokens: budget_tokens });
  let silent = false;
  const judge = new VlmJudge({
    model: modelOf(config, () => budget.take()),
    examples: examplesOf(few_shot),
    asked: ask,
    declare,
    screens: settings.screens,
    sameScreen: settings.same_screen,
    format: settings.format,
    key: answering(settings),
    cache: new VerdictCache(join(config.data, '.cache', 'judge')),
    onTokens: (tokens) => {
      if (tokens !== undefined) return budget.note(tokens);
      if (budget_tokens > 0 && !silent)
        warn("the judge's server does not say how many tokens it took: judge.budget_tokens cannot be kept");
      silent = true;
    },
    concurrency: settings.concurrency,
    warn,
  });
  return { judge, budget };
}

function examplesOf(folder: string): Example[] {
  return folder === '' ? [] : loadExamples(folder);
}

/** Where the judge's server is. */
export function judgeUrl(config: Config): string {
  const { kind, url } = settingsOf(config);
  return plainUrl(url === '' ? SERVERS[kind === 'gemini' ? kind : 'openai'] : url);
}

function modelOf(config: Config, onTry: () => void) {
  const settings = settingsOf(config);
  const { model, api_key_env, timeout_ms, retries, backoff_ms, max_tokens, reasoning } = settings;
  const kind = settings.kind === 'gemini' ? 'gemini' : 'openai';
  const server: JsonServerOptions = {
    url: judgeUrl(config),
    setting: 'judge.url',
    apiKey: process.env[api_key_env]?.trim() || undefined,
    apiKeyEnv: api_key_env,
    timeoutMs: timeout_ms,
    retries,
    backoffMs: backoff_ms,
    seed: config.seed,
    docs: 'docs/judges.md',
    onTry,
  };
  const options = { maxTokens: max_tokens, reasoning };
  return kind === 'gemini' ? new GeminiModel(server, model, options) : new OpenAiModel(server, model, options);
}
