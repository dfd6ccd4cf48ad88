import { z } from 'zod';

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
