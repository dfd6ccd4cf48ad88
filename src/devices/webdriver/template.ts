import { UserError } from '../../errors.js';
import type { Task } from '../../data/task.js';

const SHORTEST = 4;

/** Secrets that must not be seen: whatever was read from the environment for a server. */
export class Secrets {
  private readonly values = new Set<string>();

  add(value: string): void {
    // shorter ones keep no secret, and would be found in every other word
    if (value.length >= SHORTEST) this.values.add(value);
  }

  /** The text with every secret in it, also percent-encoded, replaced by `***`. */
  clean(text: string): string {
    // the longest first: one may be a part of another
    const known = [...this.values].sort((a, b) => b.length - a.length);
    return known.reduce((t, secret) => t.replaceAll(secret, '***').replaceAll(encodeURIComponent(secret), '***'), text);
  }
}

/** What the placeholders of a template stand for. */
export interface Substitutes {
  /** number of the device among those of the run, from 0 */
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
 * A template with its placeholders filled in, at any depth: `{slot}`, `{slot+8200}`, `{udid}`, `{seed}`, `{task}`
 * and `{task.goal}` (JSON), `{task.id}`, `{task.text}`, `{task.family}`, `{task.goal.KEY}`, each also `|uri`, `|sh` or `|base64`; `${ENV:NAME}` is an
 * environment variable. Braces around anything else stay. A string that is nothing but the placeholder of a number, or of a
 * part of the goal, becomes that number or part.
 * @param where names the setting, for messages
 * @param secrets told each value of the environment
 * @throws UserError where a variable is not set, or a placeholder stands for nothing here
 */
export function filled<T>(
  template: T,
  where: string,
  substitutes: Substitutes,
  { env, secrets }: { env: NodeJS.ProcessEnv; secrets: Secrets },
): T {
  const valueOf = (name: string, plus: string | undefined): unknown => {
    const value = lookUp(name, substitutes);
    if (value === undefined) {
      throw new UserError(
        `${where}: {${name}} stands for nothing here; \`{slot}\`, \`{udid}\` (with device.webdriver.udids), and in an episode \`{seed}\`, \`{task.id}\`, \`{task.text}\`, \`{task.goal}\` do`,
      );
    }
    if (plus === undefined) return value;
    if (typeof value !== 'number') throw new UserError(`${where}: {${name}+${plus}}: ${name} is no number`);
    return value + Number(plus);
  };
  const environment = (name: string): string => {
    const value = env[name];
    if (!value) throw new UserError(`${where}: the environment variable ${name} is not set`);
    secrets.add(value);
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

/** Whether braces with this in them are a placeholder; JSON and shell code have braces too. */
function isName(name: string): boolean {
  return NAMES.test(name);
}

function wholePlaceholder(text: string): { name: string; plus?: string } | undefined {
  const match = /^\{([a-z][\w.]*)(?:\+(\d{1,9}))?\}$/.exec(text);
  // a task or a goal as a whole stays JSON text: most commands take strings
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

/** Whether a template says `{slot}`, so that it is another for each device. */
export function differsBySlot(template: unknown): boolean {
  return /\{slot[}+|]/.test(JSON.stringify(template));
}
