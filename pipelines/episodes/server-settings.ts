import { z } from 'zod';
import type { JsonServerOptions } from '../../src/net/json-server.js';

/** The URL of a server. It is stored in the run folder, so it must not contain a password. */
export const Url = z
  .string()
  .regex(
    /^https?:\/\/[^\s@?#]+$/,
    'http:// or https:// and a host, without a password: put a key into an environment variable',
  );

/** The name of the environment variable with an API key. */
export const VariableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable');

/** Wait before a request is sent again (JsonServer). */
export const BackoffMs = z
  .int()
  .min(1)
  .max(30_000)
  .default(500)
  .describe(
    'longest wait before the first retry, in milliseconds; doubles with each retry, up to 30 s (or the wait that the server asks for, up to 120 s)',
  );

/** Settings of requests to vLLM, whose answers a stage cannot do without. */
export const VLLM_REQUESTS = {
  concurrency: z.int().min(1).max(1024).default(32).describe('parallel requests to the server'),
  timeout_ms: z.int().min(1).max(300_000).default(120_000).describe('time limit of a request, in milliseconds'),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(10)
    .describe('retries of a request when the server fails or its answer is wrong; after that the stage fails'),
  backoff_ms: BackoffMs,
  api_key_env: VariableName.default('VLLM_API_KEY').describe(
    "name of the environment variable with the server's API key, if it needs one; the key itself is never a setting",
  ),
};

/** Where a judge's server is. */
export const JUDGE_SERVER = {
  url: z
    .union([Url, z.literal('')])
    .default('')
    .describe(
      "URL of the server, with or without a trailing `/v1`; empty: http://127.0.0.1:8000 for `openai`, Google's for `gemini`",
    ),
  api_key_env: VariableName.default('JUDGE_API_KEY').describe(
    "name of the environment variable with the server's API key, if it needs one; the key itself is never a setting",
  ),
};

/** Settings of questions to a judge. */
export const JUDGE_QUESTIONS = {
  concurrency: z.int().min(1).max(1024).default(8).describe('parallel questions to the server'),
  timeout_ms: z.int().min(1).max(300_000).default(60_000).describe('time limit of a request, in milliseconds'),
};

/** A URL without the version that OpenAI's clients expect (`/v1`) and without a trailing slash. */
export function plainUrl(url: string): string {
  return url.replace(/\/+$/, '').replace(/\/v1(beta)?$/, '');
}

/** Default URLs of the servers of judges. */
const SERVERS = { openai: 'http://127.0.0.1:8000', gemini: 'https://generativelanguage.googleapis.com' } as const;

/** Settings of requests to a server, whatever it serves. */
interface RequestSettings {
  readonly api_key_env: string;
  readonly timeout_ms: number;
  readonly retries: number;
  readonly backoff_ms: number;
}

/** How to reach a server at a URL. @param more.setting the setting with the URL, for messages */
export function jsonServer(
  { api_key_env, timeout_ms, retries, backoff_ms }: RequestSettings,
  more: Pick<JsonServerOptions, 'url' | 'setting' | 'seed' | 'docs' | 'onTry'>,
): JsonServerOptions {
  return {
    ...more,
    url: plainUrl(more.url),
    apiKey: process.env[api_key_env]?.trim() || undefined,
    apiKeyEnv: api_key_env,
    timeoutMs: timeout_ms,
    retries,
    backoffMs: backoff_ms,
  };
}

/** Settings of a judge's server. */
export interface JudgeServerSettings extends RequestSettings {
  readonly kind: string;
  readonly url: string;
}

/** URL of a judge's server. */
export function serverUrl({ kind, url }: Pick<JudgeServerSettings, 'kind' | 'url'>): string {
  return plainUrl(url === '' ? SERVERS[kind === 'gemini' ? kind : 'openai'] : url);
}

/** How to reach a judge's server. @param more.section the section of its settings, for messages */
export function serverOf(
  settings: JudgeServerSettings,
  more: { readonly section: string; readonly seed: number; readonly docs: string; readonly onTry: () => void },
): JsonServerOptions {
  const { section, ...rest } = more;
  return jsonServer(settings, { ...rest, url: serverUrl(settings), setting: `${section}.url` });
}
