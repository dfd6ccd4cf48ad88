import { z } from 'zod';

/** The address of a server, as it stands in settings that go into the run folder. */
export const Url = z
  .string()
  .regex(
    /^https?:\/\/[^\s@?#]+$/,
    'http:// or https://, a host, and no password: a key goes into an environment variable',
  );

/** The name of the environment variable that holds a key. */
export const VariableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable');

/** How long is waited before a request is sent again, as JsonServer does. */
export const BackoffMs = z
  .int()
  .min(1)
  .max(30_000)
  .default(500)
  .describe(
    'milliseconds before the first of these at most; doubled for each further one, up to 30 s (or what the server asks for, up to 120 s)',
  );

/** An address without the version that OpenAI's clients want in it, and without a slash at its end. */
export function plainUrl(url: string): string {
  return url.replace(/\/+$/, '').replace(/\/v1(beta)?$/, '');
}
