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

/** An address without the version that OpenAI's clients want in it, and without a slash at its end. */
export function plainUrl(url: string): string {
  return url.replace(/\/+$/, '').replace(/\/v1(beta)?$/, '');
}
