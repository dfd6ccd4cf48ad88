import { useEffect, useState } from 'preact/hooks';
import type { MetricsLine } from '../../data/metrics.js';
import type { MetricsTail } from '../api.js';
import { fetchAnswer, runPath } from './answer.js';

/** Metrics of one stage instance of one run. */
export interface InstanceMetrics {
  readonly run: string;
  readonly instance: string;
  readonly lines: readonly MetricsLine[];
}

/** How often metrics of a stage that may be running are refreshed. */
const FOLLOW_MS = 1500;

/** The metrics of some runs; they grow while their stages write. */
export function useMetrics(runs: readonly string[]): {
  metrics: readonly InstanceMetrics[];
  error: string | undefined;
  loading: boolean;
} {
  const [metrics, set] = useState<readonly InstanceMetrics[]>([]);
  const [error, setError] = useState<string>();
  const [loading, setLoading] = useState(true);
  const key = runs.join('\n');
  useEffect(() => {
    const controller = new AbortController();
    const followed = new Map<string, Followed>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      let news = false;
      let failed: string | undefined;
      for (const run of key.split('\n')) {
        const instances = await fetchAnswer<string[]>(runPath(run, 'metrics'), controller.signal);
        failed ??= instances.error;
        for (const instance of instances.value ?? []) {
          const id = `${run}\n${instance}`;
          const one = followed.get(id) ?? new Followed(run, instance);
          followed.set(id, one);
          const said = await one.follow(controller.signal);
          failed ??= said.error;
          news ||= said.news;
        }
      }
      if (controller.signal.aborted) return;
      if (news) set([...followed.values()].map(({ run, instance, lines }) => ({ run, instance, lines })));
      setError(failed);
      setLoading(false);
      timer = setTimeout(() => void look(), FOLLOW_MS);
    };
    set([]);
    setLoading(true);
    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [key]);
  return { metrics, error, loading };
}

/** One file of metrics, read from where the last request ended. */
class Followed {
  lines: readonly MetricsLine[] = [];
  private file = '';
  private from = 0;

  constructor(
    readonly run: string,
    readonly instance: string,
  ) {}

  async follow(signal: AbortSignal): Promise<{ news: boolean; error: string | undefined }> {
    let news = false;
    for (let more = true; more;) {
      const { instance, file, from } = this;
      const query = new URLSearchParams({ instance, file, from: String(from) });
      const { value, error } = await fetchAnswer<MetricsTail>(runPath(this.run, 'metrics-tail', query), signal);
      if (!value) return { news, error };
      news ||= value.lines.length > 0 || (value.fresh && this.lines.length > 0);
      this.lines = value.fresh ? value.lines : value.lines.length > 0 ? [...this.lines, ...value.lines] : this.lines;
      ({ file: this.file, next: this.from, more } = value);
    }
    return { news, error: undefined };
  }
}
