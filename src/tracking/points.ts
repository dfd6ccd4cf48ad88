import type { MetricsLine } from '../data/metrics.js';

/** A value of a metric, as MLflow takes it. */
export interface Point {
  readonly key: string;
  readonly value: number;
  readonly step: number;
  /** milliseconds since 1970 */
  readonly timestamp: number;
}

/** The points of a line of metrics. */
export interface LinePoints {
  readonly shard: string;
  readonly step: number;
  readonly points: readonly Point[];
}

/** Limits of one request, and of keys and values (MLflow's REST API, "log-batch"). */
export const LIMITS = { metrics: 1000, params: 100, tags: 100, key: 250, param: 6000, tag: 5000 } as const;

/**
 * The points of metrics. Values that are not finite have none.
 * @param times when each line was written, in seconds since 1970
 * @param several whether the stage has several shards, which then begin the keys
 */
export function pointsOf(lines: readonly MetricsLine[], times: readonly number[], several: boolean): LinePoints[] {
  return lines.map(({ shard, step, ...values }, i) => ({
    shard,
    step,
    points: Object.entries(values).flatMap(([name, value]) =>
      typeof value === 'number' && Number.isFinite(value)
        ? [{ key: keyOf(several ? `${shard}/${name}` : name), value, step, timestamp: Math.round(times[i] * 1000) }]
        : [],
    ),
  }));
}

/** Lines in batches of at most `most` points. A line with more points than that is cut. */
export function batches(lines: readonly LinePoints[], most: number = LIMITS.metrics): LinePoints[][] {
  const out: LinePoints[][] = [];
  let size = Infinity;
  for (const line of lines) {
    const points = line.points.slice(0, most);
    if (size + points.length > most) {
      out.push([]);
      size = 0;
    }
    out.at(-1)!.push({ ...line, points });
    size += points.length;
  }
  return out;
}

/** Settings as parameters: `critic.lr` and its value as text. */
export function params(settings: Readonly<Record<string, unknown>>): { key: string; value: string }[] {
  const flat = (value: unknown, path: string): { key: string; value: string }[] => {
    const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (nested)
      return Object.entries(value).flatMap(([key, inner]) => flat(inner, path === '' ? key : `${path}.${key}`));
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return [{ key: keyOf(path), value: cut(text, LIMITS.param) }];
  };
  return flat(settings, '');
}

export function tags(values: Readonly<Record<string, string | null | undefined>>): { key: string; value: string }[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === null || value === undefined || value === '' ? [] : [{ key: keyOf(key), value: cut(value, LIMITS.tag) }],
  );
}

/** A list in pieces of at most `most`. */
export function pieces<T>(list: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / most) }, (_, i) => list.slice(i * most, (i + 1) * most));
}

/** MLflow takes letters, digits, `_ - . /` and spaces. */
function keyOf(name: string): string {
  return name.replace(/[^\w\-./ ]/g, '_').slice(0, LIMITS.key);
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
