/** A test server for the part of MLflow's REST API that critiq uses, as strict as the real one, with faults on demand. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a request ends: well, or with a fault. */
export type Behaviour =
  | 'well'
  | 'busy' // 429
  | 'broken' // 500
  | 'hang'
  | 'page' // 200 with an HTML page
  | 'lost' // it is done, but the answer does not arrive
  | 'half' // half of a batch is done, then the connection breaks
  | 'no key'; // 401 that repeats the key

export interface Metric {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}

export interface TrackedRun {
  readonly id: string;
  readonly experiment: string;
  readonly name: string;
  readonly startTime: number;
  status: string;
  endTime?: number;
  readonly tags: Record<string, string>;
  readonly params: Record<string, string>;
  readonly metrics: Metric[];
}

interface Body {
  [key: string]: unknown;
  run_id?: string;
  metrics?: Metric[];
  params?: { key: string; value: string }[];
  tags?: { key: string; value: string }[];
}

/** A fault of the request: status, MLflow's code, words. */
class Fault extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const invalid = (message: string): Fault => new Fault(400, 'INVALID_PARAMETER_VALUE', message);
const KEY = /^[\w\-./ ]{1,250}$/;
/** Points on a page of a metric's history. */
const PAGE = 7;

export class TrackingServer {
  readonly experiments: string[] = [];
  readonly runs: TrackedRun[] = [];
  /** paths of all requests, and their authorization */
  readonly asked: { path: string; authorization: string | undefined }[] = [];
  behave: (path: string, nth: number) => Behaviour = () => 'well';
  private server: Server | undefined;

  async start(port = 0): Promise<string> {
    this.server = createServer((request, response) => void this.answer(request, response));
    await new Promise<void>((resolve) => this.server!.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  /** The points of a key in all runs of a stage instance, in the order of arrival. */
  values(instance: string, key: string): [step: number, value: number][] {
    return this.runs
      .filter(({ tags }) => tags['critiq.instance'] === instance)
      .flatMap(({ metrics }) =>
        metrics.filter((one) => one.key === key).map(({ step, value }) => [step, value] as [number, number]),
      );
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const piece of request) text += String(piece);
    const url = new URL(request.url!, 'http://x');
    const path = url.pathname.replace('/api/2.0/mlflow/', '');
    const { authorization } = request.headers;
    const behaviour = this.behave(path, this.asked.length);
    this.asked.push({ path, authorization });
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (behaviour === 'hang') return;
    if (behaviour === 'busy') return send(429, { error_code: 'REQUEST_LIMIT_EXCEEDED', message: 'slow down' });
    if (behaviour === 'broken') return send(500, { error_code: 'INTERNAL_ERROR', message: 'the database is locked' });
    if (behaviour === 'no key')
      return send(401, { error_code: 'UNAUTHENTICATED', message: `not known: ${authorization ?? 'nobody'}` });
    if (behaviour === 'page') return void response.writeHead(200).end('<html><b>Welcome</b></html>');
    try {
      const body = (text === '' ? Object.fromEntries(url.searchParams) : JSON.parse(text)) as Body;
      if (behaviour === 'half' && body.metrics)
        body.metrics = body.metrics.slice(0, Math.ceil(body.metrics.length / 2));
      const done = this.handle(path, body);
      if (behaviour === 'lost' || behaviour === 'half') return void request.socket.destroy();
      send(200, done);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      send(error.status, { error_code: error.code, message: error.message });
    }
  }

  private handle(path: string, body: Body): object {
    switch (path) {
      case 'experiments/get-by-name': {
        const at = this.experiments.indexOf(String(body.experiment_name));
        if (at < 0) throw new Fault(404, 'RESOURCE_DOES_NOT_EXIST', 'no such experiment');
        return { experiment: { experiment_id: String(at), name: body.experiment_name } };
      }
      case 'experiments/create':
        if (this.experiments.includes(String(body.name)))
          throw new Fault(400, 'RESOURCE_ALREADY_EXISTS', 'it exists already');
        this.experiments.push(String(body.name));
        return { experiment_id: String(this.experiments.length - 1) };
      case 'runs/search': {
        const tag = /^tags\."critiq\.id" = '([\w-]+)'$/.exec(String(body.filter));
        if (!tag) throw invalid(`filter ${String(body.filter)}`);
        const found = this.runs.filter(({ tags }) => tags['critiq.id'] === tag[1]);
        return { runs: found.map(({ id }) => ({ info: { run_id: id } })) };
      }
      case 'runs/create': {
        const tags = this.checked(body.tags ?? [], 'tags', 5000);
        const run: TrackedRun = {
          id: `run${this.runs.length}`,
          experiment: this.experiments[Number(body.experiment_id)],
          name: String(body.run_name),
          startTime: Number(body.start_time),
          status: 'RUNNING',
          tags,
          params: {},
          metrics: [],
        };
        this.runs.push(run);
        return { run: { info: { run_id: run.id } } };
      }
      case 'runs/log-batch':
        return this.logBatch(this.run(body), body);
      case 'runs/update': {
        const run = this.run(body);
        run.status = String(body.status);
        run.endTime = Number(body.end_time);
        return { run_info: {} };
      }
      case 'metrics/get-history': {
        const all = this.run(body).metrics.filter(({ key }) => key === body.metric_key);
        const from = Number(body.page_token ?? 0);
        const next = from + PAGE < all.length ? { next_page_token: String(from + PAGE) } : {};
        return { metrics: all.slice(from, from + PAGE), ...next };
      }
      default:
        throw new Fault(404, 'ENDPOINT_NOT_FOUND', path);
    }
  }

  private logBatch(run: TrackedRun, { metrics = [], params = [], tags = [] }: Body): object {
    if (metrics.length > 1000 || params.length > 100 || tags.length > 100 || metrics.length + params.length > 1000)
      throw invalid(`too many: ${metrics.length} metrics, ${params.length} params, ${tags.length} tags`);
    for (const { key, value, timestamp, step } of metrics) {
      if (!KEY.test(key)) throw invalid(`key ${key}`);
      if (!Number.isFinite(value) || !Number.isInteger(timestamp) || !Number.isInteger(step)) throw invalid('a number');
    }
    for (const [key, value] of Object.entries(this.checked(params, 'params', 6000))) {
      if (run.params[key] !== undefined && run.params[key] !== value) throw invalid(`param ${key} changes`);
      run.params[key] = value;
    }
    run.metrics.push(...metrics);
    return {};
  }

  private checked(list: readonly { key: string; value: string }[], what: string, most: number): Record<string, string> {
    for (const { key, value } of list)
      if (!KEY.test(key) || typeof value !== 'string' || value.length > most) throw invalid(`${what} ${key}`);
    if (list.length > 100) throw invalid(`${list.length} ${what}`);
    return Object.fromEntries(list.map(({ key, value }) => [key, value]));
  }

  private run({ run_id: id }: Body): TrackedRun {
    const run = this.runs.find((one) => one.id === id);
    if (!run) throw new Fault(404, 'RESOURCE_DOES_NOT_EXIST', `no run ${id}`);
    return run;
  }
}
