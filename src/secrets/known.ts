import { replaced, Spelled, Text, type Span } from './spellings.js';

/** What stands where a secret was. */
export const MASK = '***';

/** What people put where a server wants no key but its client does. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  'api-key',
  'changeme',
  'dummy-key',
  'lm-studio',
  'no-api-key',
  'no-key-required',
  'not-needed',
  'not-required',
  'password',
  'placeholder',
  'sk-no-key-required',
  'undefined',
  'your-api-key',
]);
/** Shorter values are looked for as words of their own only, and not in other encodings: they are in too much by chance. */
const SHORTEST = 8;
/** Values shorter than this are no secrets. */
const SHORTEST_WORD = 5;

/** A secret of this process. */
interface Known {
  readonly spelled: Spelled;
  /** only in messages */
  readonly messages: boolean;
  /** only as a word of its own */
  readonly word: boolean;
}

/** Keys, passwords and tokens that this thread has sent to a server or is about to send. */
const known = new Map<string, Known>();

/**
 * Remembers a key, so that it is taken out of everything that this thread prints or stores. Placeholders such as `EMPTY`,
 * `0` or `ollama` are no secrets: to replace them would mutilate texts.
 * @param where `messages`: the value may be no secret at all, such as the name of an app, so stored texts keep it
 */
export function keepSecret(value: string | undefined, where: 'everywhere' | 'messages' = 'everywhere'): void {
  if (value === undefined || !isSecret(value)) return;
  const before = known.get(value);
  if (before && (!before.messages || where === 'messages')) return;
  known.set(value, {
    spelled: before?.spelled ?? new Spelled(value),
    messages: where === 'messages',
    word: value.length < SHORTEST,
  });
}

function isSecret(value: string): boolean {
  if (value.length < SHORTEST_WORD || new Set(value).size <= 2) return false;
  if (PLACEHOLDERS.has(value.toLowerCase().replaceAll('_', '-'))) return false;
  // a short password is told from an ordinary word or number by its mixture
  return value.length >= SHORTEST || (/[a-z]/i.test(value) && /[^a-z]/i.test(value));
}

/**
 * A text without the keys of this process, however they are spelled in it, for what is stored or printed. Never for an
 * answer on its way to a parser: only texts that were parsed already.
 */
export function withoutKeys(text: string): string {
  const keys = [...known.values()].filter(({ messages }) => !messages);
  return without(text, keys);
}

function without(text: string, keys: readonly Known[]): string {
  if (keys.length === 0 || text === '') return text;
  const searched = new Text(text);
  const spans: Span[] = [];
  for (const { spelled, word } of keys) spans.push(...spelled.in(searched, word));
  return spans.length === 0 ? text : replaced(text, spans, MASK);
}

/** Values that are keys by their look: of OpenAI, GitHub, Hugging Face, Google, AWS, and after `Bearer`. */
const KEYS =
  /\b(?:sk-[\w-]{16,}|gh[pousr]_\w{16,}|hf_\w{16,}|AIza[\w-]{20,}|AKIA\w{16})\b|(?<=\b(?:bearer|authorization:\s{0,4}\w{1,20})\s{1,4})[^\s"']{8,}/gi;
/** `user:password@` of an address. */
const LOGIN = /(?<=\b[a-z][a-z0-9+.-]{1,20}:\/\/)[^/?#\s@"']+@/gi;
/** `name=value` in the query of an address. */
const QUERY = /(?<=[?&])([^=&#\s]{1,80})=([^&#\s"']*)/g;

/**
 * A message without the keys of this process, and without what looks like a key or is named like one: logins in addresses,
 * keys in their queries. For people to read: texts that programs read go through `withoutKeys`.
 */
export function discreet(text: string): string {
  return without(text, [...known.values()])
    .replace(LOGIN, `${MASK}@`)
    .replace(QUERY, (whole, name: string) => (namesSecret(name) ? `${name}=${MASK}` : whole))
    .replace(KEYS, MASK);
}

/** Words in the name of a setting or a parameter whose value nobody else may read. */
const NAMES: ReadonlySet<string> = new Set([
  'key',
  'apikey',
  'accesskey',
  'token',
  'secret',
  'password',
  'passwd',
  'passphrase',
  'credential',
  'credentials',
  'authorization',
  'auth',
  'cookie',
  'bearer',
  'signature',
]);

/** `accessKey` as `access_key`. */
const snake = (name: string): string => name.replace(/([a-z\d])([A-Z])/g, '$1_$2').toLowerCase();

/** Whether a value by this name is a secret: `judge.api_key`, `accessKey`; not `..._env`, which names a variable. */
export function namesSecret(path: string): boolean {
  const words = snake(path).split(/[^a-z\d]+/);
  return words.at(-1) !== 'env' && words.slice(-2).some((word) => NAMES.has(word));
}

/** A value as JSON for a message, without what is named like a key in it. */
export function discreetJson(value: unknown): string | undefined {
  const json = JSON.stringify(value, (name, inner: unknown) =>
    typeof inner === 'string' && namesSecret(name) ? MASK : inner,
  ) as string | undefined;
  return json === undefined ? undefined : discreet(json);
}

/** Names whose values cannot be anything but secrets; `stop_token` is none. */
const CREDENTIAL =
  /(^|[^a-z\d])((api|access|auth|license|private|secret|unlock)_?key|(access|api|auth|bearer|refresh)_?token|password|passwd|secret|authorization)$/;

/** The path of the first credential that is written out in a value of a setting, which is stored; `${ENV:NAME}` is none. */
export function credentialIn(value: unknown, path = ''): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const here = path === '' ? name : `${path}.${name}`;
    const written = typeof inner === 'string' && inner !== '' && !inner.includes('${ENV:');
    if (written && CREDENTIAL.test(snake(name))) return here;
    const deeper = credentialIn(inner, here);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}
