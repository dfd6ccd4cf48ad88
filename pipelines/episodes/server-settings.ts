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

/** A URL without the version that OpenAI's clients expect (`/v1`) and without a trailing slash. */
export function plainUrl(url: string): string {
  return url.replace(/\/+$/, '').replace(/\/v1(beta)?$/, '');
}

/** Default URLs of the servers of judges. */
const SERVERS = { openai: 'http://127.0.0.1:8000', gemini: 'https://generativelanguage.googleapis.com' } as const;

/** Settings of a judge's server. */
export interface JudgeServerSettings {
  readonly kind: string;
  readonly url: string;
  readonly api_key_env: string;
  readonly timeout_ms: number;
  readonly retries: number;
  readonly backoff_ms: number;
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
  const { api_key_env, timeout_ms, retries, backoff_ms } = settings;
  const { section, seed, docs, onTry } = more;
  return {
    url: serverUrl(settings),
    setting: `${section}.url`,
    apiKey: process.env[api_key_env]?.trim() || undefined,
    apiKeyEnv: api_key_env,
    timeoutMs: timeout_ms,
    retries,
    backoffMs: backoff_ms,
    seed,
    docs,
    onTry,
  };
}
