import { UserError } from '../../errors.js';
import type { Task } from '../../data/task.js';
import { keepSecret } from '../../secrets/known.js';

/** The values of a template's placeholders. */
export interface Substitutes {
  /** the device's number within the run, from 0 */
  readonly slot: number;
  readonly udid?: string;
  readonly episode?: { readonly task: Task; readonly seed: number };
}

const PLACEHOLDER = /\$\{ENV:([^}]*)\}|\{([a-z][\w.]*)(?:\+(\d{1,9}))?(?:\|([a-z\d]+))?\}/gi;

const FILTERS: Readonly<Record<string, (text: string) => string>> = {
  uri: encodeURIComponent,
  sh: (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`,
  base64: (text) => Buffer.from(text, 'utf8').toString('base64'),
};

/**
 * Fills in a template's placeholders at any depth: `{slot}`, `{slot+8200}`, `{udid}`, `{seed}`, `{task}` and `{task.goal}`
 * (JSON), `{task.id}`, `{task.text}`, `{task.family}`, `{task.goal.KEY}`, each with an optional filter `|uri`, `|sh` or
 * `|base64`; `${ENV:NAME}` is an environment variable. Braces around anything else stay. A string that consists only of the
 * placeholder of a number or of a part of the goal becomes that number or part.
 * @param where the setting's name, for messages
 * @throws UserError if a variable is not set, or a placeholder has no value here
 */
export function filled<T>(
  template: T,
  where: string,
  substitutes: Substitutes,
  { env }: { env: NodeJS.ProcessEnv },
): T {
  const valueOf = (name: string, plus: string | undefined): unknown => {
    const value = lookUp(name, substitutes);
    if (value === undefined) {
      throw new UserError(
        `${where}: {${name}} has no value here; expected \`{slot}\`, \`{udid}\` (with device.webdriver.udids), or in an episode \`{seed}\`, \`{task.id}\`, \`{task.text}\`, \`{task.goal}\``,
      );
    }
    if (plus === undefined) return value;
    if (typeof value !== 'number')
      throw new UserError(`${where}: {${name}+${plus}}: expected ${name} to be a number, got ${JSON.stringify(value)}`);
    return value + Number(plus);
  };
  const environment = (name: string): string => {
    const value = env[name];
    if (!value) throw new UserError(`${where}: the environment variable ${name} is not set`);
    // an access key, or only the name of an app
    keepSecret(value, 'messages');
    return value;
  };
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string') {
      const whole = wholePlaceholder(value);
      if (whole) {
        const found = valueOf(whole.name, whole.plus);
        if (typeof found !== 'string') return found;
      }
      return value.replace(PLACEHOLDER, (text, variable?: string, name?: string, plus?: string, filter?: string) => {
        if (variable !== undefined) return environment(variable);
        if (!isName(name!)) return text;
        const found = valueOf(name!, plus);
        const plain = typeof found === 'string' ? found : JSON.stringify(found);
        if (filter === undefined) return plain;
        const made = FILTERS[filter];
        if (!made) throw new UserError(`${where}: ${text}: expected |uri, |sh or |base64`);
        return made(plain);
      });
    }
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)]));
    }
    return value;
  };
  return fill(template) as T;
}

const NAMES = /^(slot|udid|seed|task(\.(id|text|family|goal(\..+)?))?)$/;

/** Whether this text in braces is a placeholder; JSON and shell code have braces too. */
function isName(name: string): boolean {
  return NAMES.test(name);
}

function wholePlaceholder(text: string): { name: string; plus?: string } | undefined {
  const match = /^\{([a-z][\w.]*)(?:\+(\d{1,9}))?\}$/.exec(text);
  // a whole task or goal stays JSON text, since most commands take strings
  return match && isName(match[1]) && !['task', 'task.goal'].includes(match[1])
    ? { name: match[1], plus: match[2] }
    : undefined;
}

function lookUp(name: string, { slot, udid, episode }: Substitutes): unknown {
  if (name === 'slot') return slot;
  if (name === 'udid') return udid;
  if (!episode) return undefined;
  const { task, seed } = episode;
  if (name === 'seed') return seed;
  if (name === 'task.id') return task.id;
  if (name === 'task.text') return task.text;
  if (name === 'task.family') return task.family;
  if (name === 'task') return task;
  const goal: unknown = task.goal ?? {};
  if (name === 'task.goal') return goal;
  return name
    .split('.')
    .slice(2)
    .reduce<unknown>(
      (at, key) =>
        typeof at === 'object' && at !== null && Object.hasOwn(at, key)
          ? (at as Record<string, unknown>)[key]
          : undefined,
      goal,
    );
}

/** Whether a template contains `{slot}` and so differs between devices. */
export function differsBySlot(template: unknown): boolean {
  return /\{slot[}+|]/.test(JSON.stringify(template));
}
