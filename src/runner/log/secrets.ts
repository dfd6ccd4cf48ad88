import { discreet, MASK, namesSecret } from '../../secrets/known.js';

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
    hide = arg.startsWith('--') && assigned === '' && namesSecret(option ?? '');
    if (assigned === '=' && namesSecret(option ?? '')) return `${arg.slice(0, arg.indexOf('=') + 1)}${MASK}`;
    return maskedText(arg);
  });
}

/** A text without keys, without logins in addresses and without what looks like a key or is named like one. */
export function maskedText(text: string): string {
  return discreet(text).replace(FIELD, (whole, quote: string, name: string, colon: string) =>
    namesSecret(name) ? `${quote}${name}${quote}${colon}${MASK}` : whole,
  );
}
