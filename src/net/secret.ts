/** What people put where a server wants no key but its client does. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  'api-key',
  'dummy-key',
  'lm-studio',
  'no-api-key',
  'no-key-required',
  'not-needed',
  'not-required',
  'placeholder',
  'sk-no-key-required',
  'undefined',
  'your-api-key',
]);
/** Shorter "keys" are placeholders too (0, 123, test, EMPTY, ollama): to replace them everywhere would mutilate texts. */
const SHORTEST_KEY = 8;
/** A key that was cut off, together with its text, is recognised by this many characters. */
const SHORTEST_PIECE = 6;

/** Whether a key is worth hiding. */
function isSecret(key: string | undefined): key is string {
  if (key === undefined || key.length < SHORTEST_KEY) return false;
  return !PLACEHOLDERS.has(key.toLowerCase().replaceAll('_', '-')) && new Set(key).size > 2;
}

/**
 * A text without the server's key, for what is printed or stored: servers repeat keys in their messages. Never for an
 * answer on its way to a parser. Placeholders such as `EMPTY` are no secrets and stay.
 */
export function withoutKey(text: string, key: string | undefined): string {
  if (!isSecret(key)) return text;
  let clean = text.replaceAll(key, '***');
  if (!clean.includes('…')) return clean;
  // the text may have been cut in the middle of the key
  for (let length = key.length - 1; length >= SHORTEST_PIECE; length--) {
    clean = clean.replaceAll(`${key.slice(0, length)}…`, '***…');
  }
  return clean;
}
