/** Words in the name of a setting whose value nobody else may read. */
const SECRET = new Set([
  'key',
  'apikey',
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
]);
const MASK = '***';

/** Values that are keys by their look: of OpenAI, GitHub, Hugging Face, Google, AWS, and after `Bearer`. */
const KEYS = /\b(?:sk-[\w-]{16,}|gh[pousr]_\w{16,}|hf_\w{16,}|AIza[\w-]{20,}|AKIA\w{16})\b|(?<=\bbearer\s+)\S+/gi;
/** `user:password@` of an address. */
const LOGIN = /(?<=[a-z][a-z0-9+.-]*:\/\/)[^/?#\s@]+@/gi;
/** `name=value` in the query of an address. */
const QUERY = /(?<=[?&])([^=&#\s]+)=([^&#\s]*)/g;
/** `"name": value` in a setting that is an object. */
const FIELD = /(["']?)([\w.-]+)\1(\s*:\s*)("[^"]*"|'[^']*'|[^\s,}\]]+)/g;

/**
 * The arguments of a command, without secrets: values of settings named like a key (`judge.api_key=...`; not `..._env`,
 * which names a variable), logins in addresses, and values that look like keys.
 */
export function masked(args: readonly string[]): string[] {
  let hide = false;
  return args.map((arg) => {
    const [, option, assigned] = /^(?:--)?([\w.-]+)(=?)/.exec(arg) ?? [];
    if (hide && !arg.startsWith('--')) {
      hide = false;
      return MASK;
    }
    hide = arg.startsWith('--') && assigned === '' && isSecret(option ?? '');
    if (assigned === '=' && isSecret(option ?? '')) return `${arg.slice(0, arg.indexOf('=') + 1)}${MASK}`;
    return maskedText(arg);
  });
}

/** A text without logins in addresses and without what looks like a key. */
export function maskedText(text: string): string {
  return text
    .replace(LOGIN, `${MASK}@`)
    .replace(QUERY, (whole, name: string) => (isSecret(name) ? `${name}=${MASK}` : whole))
    .replace(FIELD, (whole, quote: string, name: string, colon: string) =>
      isSecret(name) ? `${quote}${name}${quote}${colon}${MASK}` : whole,
    )
    .replace(KEYS, MASK);
}

function isSecret(path: string): boolean {
  const words = path.toLowerCase().split(/[._-]/);
  return words.at(-1) !== 'env' && words.slice(-2).some((word) => SECRET.has(word));
}
