import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { metricsFile, readMetrics } from '../data/metrics.js';
import { writeAtomic } from '../data/store/atomic.js';
import { dataSets } from '../data/store/data-sets.js';
import { fingerprint } from '../data/store/manifest.js';
import { setFile } from '../data/store/set-files.js';
import { UserError } from '../errors.js';
import { logFile } from '../runner/log/lines.js';
import { wallTimes } from '../runner/metrics.js';
import { readPlan, type PlanRecord } from '../runner/outputs.js';
import { withoutKeys } from '../secrets/known.js';
import { MlflowClient, Refused, Unavailable } from './client.js';
import { batches, LIMITS, params, pieces, pointsOf, tags, type LinePoints, type Point } from './points.js';
import { runRecordIn } from '../runner/run-record.js';
import { jsonObjectInFile } from '../data/formats/json.js';

export const MlflowSettings = z.object({
  url: z
    .string()
    .default('')
    .refine((url) => url === '' || (/^https?:\/\//.test(url) && !/\/\/[^/]*@/.test(url)), {
      message: 'an address such as http://tracking:5000, with credentials in environment variables (docs/tracking.md)',
    })
    .describe('address of an MLflow tracking server that also gets the metrics (docs/tracking.md); empty: none'),
  experiment: z.string().min(1).default('critiq').describe('MLflow experiment of the runs; it is created if needed'),
  every_s: z.number().min(0.1).default(10).describe('seconds between two requests while a stage trains'),
});
export type MlflowSettings = z.infer<typeof MlflowSettings>;

/** What was sent of a stage instance. */
interface Sent {
  /** fingerprint of its settings: other settings are another run in MLflow */
  readonly key: string;
  /** a tag of the run, by which it is found again if a kill came before its id was stored */
  readonly tag: string;
  readonly run: string | null;
  /** whether its parameters are there */
  readonly described: boolean;
  /** the last step sent, by shard */
  readonly steps: Readonly<Record<string, number>>;
  /** a batch may have been sent without being noted */
  readonly unsure: boolean;
  readonly ended: boolean;
}

interface State {
  readonly url: string;
  readonly experiment: string;
  readonly experimentId: string | null;
  readonly instances: Readonly<Record<string, Sent>>;
}

const FILE = 'mlflow.json';
const REQUEST_MS = 10_000;
/** A plan that was just written may not fit the metrics yet, which the stage is about to replace. */
const SETTLED_MS = 2000;

/**
 * Sends a run's metrics to an MLflow server: a run of MLflow for each stage instance. The metrics files are the queue: what
 * is sent is noted in `.log/mlflow.json`, so what cannot be sent now goes with the next call, also in another process. A
 * resumed training writes the same values again; they are not sent twice.
 */
export class MlflowSink {
  private readonly client: MlflowClient;
  private state: State;

  /** @param run the run folder */
  constructor(
    private readonly run: string,
    { url, experiment }: Pick<MlflowSettings, 'url' | 'experiment'>,
    env?: Readonly<Record<string, string | undefined>>,
    timeoutMs = REQUEST_MS,
  ) {
    this.client = new MlflowClient(url, timeoutMs, env);
    this.state = { url, experiment, experimentId: null, instances: {} };
    const before = readState(logFile(run, FILE));
    if (before?.url === url && before.experiment === experiment) this.state = before;
  }

  /**
   * Sends what is new.
   * @param live the run is being worked on: a plan that was just written is left for the next time
   * @returns number of points sent
   * @throws Unavailable or Refused; what was sent before is noted
   */
  async push({ live = false, signal }: { live?: boolean; signal?: AbortSignal } = {}): Promise<number> {
    let count = 0;
    for (const { plan, settled } of plans(this.run)) {
      if (live && !settled) continue;
      const { instance } = plan;
      const lines = readMetrics(metricsFile(this.run, instance));
      if (lines.length === 0) continue;
      const times = wallTimes(this.run, instance, lines);
      const all = pointsOf(lines, times, plan.shards.length > 1);
      const own = await this.opened(plan, Math.round(Math.min(...times) * 1000), signal);
      const fresh = all.filter(({ shard, step }) => step > (own.steps[shard] ?? -Infinity));
      for (const batch of batches(fresh)) count += await this.send(instance, batch, signal);
      const now = this.state.instances[instance];
      if (plan.finished && !now.ended) {
        const end_time = Math.round(Math.max(...times) * 1000);
        await this.client.post('runs/update', { run_id: now.run, status: 'FINISHED', end_time }, signal);
        await this.note(instance, { ended: true });
      }
    }
    return count;
  }

  /** The run of MLflow for a stage instance, created if needed, with its parameters. */
  private async opened(plan: PlanRecord, startMs: number, signal?: AbortSignal): Promise<Sent> {
    const key = fingerprint(plan.settings);
    const { instance } = plan;
    let own = this.state.instances[instance];
    if (own?.key !== key) {
      own = { key, tag: randomUUID(), run: null, described: false, steps: {}, unsure: false, ended: false };
      // before the run is created: a kill in between finds it again by its tag
      await this.note(instance, own);
    }
    if (own.run === null)
      own = await this.note(instance, { run: await this.create(instance, own.tag, startMs, signal) });
    if (!own.described) {
      for (const piece of pieces(params(plan.settings), LIMITS.params))
        await this.client.post('runs/log-batch', { run_id: own.run, params: piece }, signal);
      own = await this.note(instance, { described: true });
    }
    return own;
  }

  private async create(instance: string, tag: string, startMs: number, signal?: AbortSignal): Promise<string> {
    const experiment_id = await this.experimentId(signal);
    const search = { experiment_ids: [experiment_id], filter: `tags."critiq.id" = '${tag}'`, max_results: 1 };
    const { runs } = await this.client.post('runs/search', search, signal);
    const found = (runs as { info?: { run_id?: string } }[] | undefined)?.[0]?.info?.run_id;
    if (found !== undefined) return storable(found, 'a run');
    const name = `${basename(this.run)}/${instance}`;
    const record = readRecord(this.run);
    const answer = await this.client.post(
      'runs/create',
      {
        experiment_id,
        start_time: startMs,
        run_name: name,
        tags: tags({
          'mlflow.runName': name,
          'mlflow.source.type': 'LOCAL',
          'mlflow.source.name': 'critiq',
          'mlflow.source.git.commit': record.commit?.split('-')[0],
          'critiq.id': tag,
          'critiq.run': basename(this.run),
          'critiq.instance': instance,
          'critiq.version': record.versions?.critiq,
          'critiq.commit': record.commit,
          'critiq.seed': record.seed === undefined ? undefined : String(record.seed),
        }),
      },
      signal,
    );
    const { info } = (answer.run ?? {}) as { info?: { run_id?: string } };
    return storable(info?.run_id, 'the new run');
  }

  private async experimentId(signal?: AbortSignal): Promise<string> {
    const { experiment: name, experimentId } = this.state;
    if (experimentId !== null) return experimentId;
    const byName = async (): Promise<unknown> => {
      const { experiment } = await this.client.get('experiments/get-by-name', { experiment_name: name }, signal);
      return (experiment as { experiment_id?: unknown } | undefined)?.experiment_id;
    };
    let id: unknown;
    try {
      id = await byName();
    } catch (error) {
      if (!(error instanceof Refused && error.code === 'RESOURCE_DOES_NOT_EXIST')) throw error;
      try {
        ({ experiment_id: id } = await this.client.post('experiments/create', { name }, signal));
      } catch (failure) {
        // another process was faster
        if (!(failure instanceof Refused && failure.code === 'RESOURCE_ALREADY_EXISTS')) throw failure;
        id = await byName();
      }
    }
    const experiment = storable(id, 'the experiment');
    this.state = { ...this.state, experimentId: experiment };
    return experiment;
  }

  private async send(instance: string, batch: readonly LinePoints[], signal?: AbortSignal): Promise<number> {
    const { run, unsure, steps } = this.state.instances[instance];
    try {
      return await this.sendTo(run!, instance, batch, { unsure, steps }, signal);
    } catch (error) {
      if (!(error instanceof Refused && error.code === 'RESOURCE_DOES_NOT_EXIST')) throw error;
      throw new Refused(
        `${error.message}; to send everything again as new runs, delete ${logFile(this.run, FILE)}`,
        error.code,
      );
    }
  }

  private async sendTo(
    run: string,
    instance: string,
    batch: readonly LinePoints[],
    { unsure, steps }: Pick<Sent, 'unsure' | 'steps'>,
    signal?: AbortSignal,
  ): Promise<number> {
    let metrics = batch.flatMap(({ points }) => points);
    if (unsure) metrics = await this.missing(run, metrics, signal);
    else await this.note(instance, { unsure: true });
    if (metrics.length > 0) await this.client.post('runs/log-batch', { run_id: run, metrics }, signal);
    const last = Object.fromEntries(batch.map(({ shard, step }) => [shard, step]));
    await this.note(instance, { unsure: false, steps: { ...steps, ...last } });
    return metrics.length;
  }

  /** The points that MLflow does not have. A request that was cut off may have come through, in whole or in part. */
  private async missing(run: string, metrics: readonly Point[], signal?: AbortSignal): Promise<Point[]> {
    const there = new Set<string>();
    for (const key of new Set(metrics.map((point) => point.key))) {
      for (let token = ''; ;) {
        const query = { run_id: run, metric_key: key, ...(token === '' ? {} : { page_token: token }) };
        const answer = await this.client.get('metrics/get-history', query, signal);
        for (const { step } of (answer.metrics ?? []) as { step?: number | string }[]) there.add(`${key} ${step ?? 0}`);
        token = typeof answer.next_page_token === 'string' ? answer.next_page_token : '';
        if (token === '') break;
      }
    }
    return metrics.filter(({ key, step }) => !there.has(`${key} ${step}`));
  }

  private async note(instance: string, change: Partial<Sent>): Promise<Sent> {
    const own = { ...this.state.instances[instance], ...change };
    this.state = { ...this.state, instances: { ...this.state.instances, [instance]: own } };
    await writeAtomic(logFile(this.run, FILE), `${JSON.stringify(this.state, null, 1)}\n`);
    return own;
  }
}

/** An id of MLflow's, which is kept in a file. @throws Unavailable if it is none, or repeats a key */
function storable(id: unknown, what: string): string {
  if (typeof id !== 'string') throw new Unavailable(`answered without the id of ${what}`);
  if (withoutKeys(id) !== id) throw new Unavailable(`answered with an id of ${what} that repeats the credentials`);
  return id;
}

/** The plans of a run's stage instances, and whether each was written a while ago. */
function plans(run: string): { plan: PlanRecord; settled: boolean }[] {
  const found = new Map<string, { plan: PlanRecord; settled: boolean }>();
  for (const name of dataSets(run)) {
    const folder = join(run, name);
    try {
      const plan = readPlan(folder);
      if (!plan || found.has(plan.instance)) continue;
      const { mtimeMs } = statSync(setFile(folder, 'plan'));
      found.set(plan.instance, { plan, settled: Date.now() - mtimeMs > SETTLED_MS });
    } catch (error) {
      // a damaged plan is not the business of a tracking server
      if (!(error instanceof UserError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return [...found.values()];
}

function readState(file: string): State | undefined {
  return jsonObjectInFile(file) as State | undefined;
}

interface RunRecord {
  readonly seed?: number;
  readonly commit?: string | null;
  readonly versions?: { readonly critiq?: string };
}

function readRecord(run: string): RunRecord {
  return runRecordIn(run);
}

/** Whether a run has metrics to send. */
export function hasMetrics(run: string): boolean {
  const folder = join(run, 'metrics');
  return existsSync(folder) && readdirSync(folder).length > 0;
}
