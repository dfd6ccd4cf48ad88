import { createHash } from 'node:crypto';
import { UserError } from '../../errors.js';
import { isRunName } from '../../runner/folders.js';

/** A setting of a sweep with its values, as written on the command line. */
export interface Axis {
  readonly path: string;
  readonly values: readonly string[];
}

/** The setting that stands for the seed of the sweep's stages. */
export const SEED = 'seed';

/** Most values of a range, and most runs of a sweep. */
const MOST = 1000;

/**
 * Splits overrides into axes (several values: `critic.lr=1e-4,3e-4`, `seed=0..4`) and plain ones. A comma inside brackets,
 * braces or quotes belongs to the value. A seed is always an axis: it is that of the sweep's stages, not of the base.
 * @throws UserError for an empty value or too many
 */
export function axesOf(overrides: readonly string[]): { axes: Axis[]; plain: string[] } {
  const axes: Axis[] = [];
  const plain: string[] = [];
  for (const override of overrides) {
    const equals = override.indexOf('=');
    const path = override.slice(0, Math.max(0, equals));
    const values = equals > 0 ? split(override.slice(equals + 1)).flatMap((value) => range(path, value)) : [];
    if (path !== SEED && values.length < 2) {
      plain.push(override);
      continue;
    }
    if (values.some((value) => value.trim() === ''))
      throw new UserError(`${override}: expected values between the commas, for example ${path}=1e-4,3e-4`);
    if (new Set(values).size !== values.length) throw new UserError(`${override}: a value occurs twice`);
    if (axes.some((axis) => axis.path === path)) throw new UserError(`${path}: given twice`);
    axes.push({ path, values });
  }
  return { axes, plain };
}

/** `a,b` as two values, `[1,2],[3]` as two, `[1,2]` as one. */
function split(text: string): string[] {
  const values: string[] = [];
  let [depth, quote, from] = [0, '', 0];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quote !== '') quote = character === quote ? '' : quote;
    else if (character === '"' || character === "'") quote = character;
    else if ('[{('.includes(character)) depth++;
    else if (']})'.includes(character)) depth--;
    else if (character === ',' && depth === 0) {
      values.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...values, text.slice(from)];
}

/** `0..4` as five values. */
function range(path: string, value: string): string[] {
  const found = /^(\d+)\.\.(\d+)$/.exec(value);
  if (!found) return [value];
  const [first, last] = [Number(found[1]), Number(found[2])];
  if (last < first || last - first >= MOST)
    throw new UserError(`${path}=${value}: expected a range such as 0..4, of at most ${MOST} values`);
  return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
}

/** One run of a sweep. */
export interface Member {
  readonly run: string;
  /** values of the axes but the seed, by path */
  readonly settings: Readonly<Record<string, string>>;
  readonly seed: string | null;
  /** the evaluation that it makes, by its name below `eval/`; null if the sweep evaluates nothing */
  readonly evaluation: string | null;
}

/**
 * Every combination of the values, the first axis changing slowest.
 * @throws UserError where there are too many
 */
export function membersOf(sweep: string, axes: readonly Axis[]): Member[] {
  const count = axes.reduce((product, { values }) => product * values.length, 1);
  if (count > MOST) throw new UserError(`sweep: ${count} runs, expected at most ${MOST}`);
  let combinations: Record<string, string>[] = [{}];
  for (const { path, values } of axes)
    combinations = combinations.flatMap((one) => values.map((value) => ({ ...one, [path]: value })));
  return combinations.map((values) => {
    const { [SEED]: seed = null, ...settings } = values as Record<string, string | undefined>;
    return { run: runName(sweep, values), settings: settings as Record<string, string>, seed, evaluation: null };
  });
}

/** A run's name that says its values: `exp7-sweep.lr-1e-4.seed-0`; a digest of them where that is too long. */
function runName(sweep: string, values: Readonly<Record<string, string>>): string {
  const paths = Object.keys(values);
  const short = (path: string): string => {
    const last = path.slice(path.lastIndexOf('.') + 1);
    return paths.filter((other) => other.endsWith(`.${last}`) || other === last).length > 1 ? path : last;
  };
  const parts = Object.entries(values).map(([path, value]) => `${short(path)}-${value.replace(/[^\w.+-]+/g, '_')}`);
  const name = [sweep, ...parts].join('.');
  const exact = Object.values(values).every((value) => /^[\w.+-]+$/.test(value));
  if (exact && isRunName(name)) return name;
  const digest = createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 8);
  return `${name.slice(0, 80)}.${digest}`;
}
