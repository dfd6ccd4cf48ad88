import { parentPort, workerData } from 'node:worker_threads';
import { RunError, UserError } from '../errors.js';
import type { Config } from '../settings/settings.js';
import { datasetFolder } from './instance.js';
import { describeFailure } from './failure.js';
import type { Progress } from './display.js';
import type { Registry } from './registry.js';
import { keptIn } from './scratch.js';
import type { Prior, Shard, ShardContext, ShardOutput } from './stage.js';

/** Start data of a worker. */
export interface WorkerTask {
  /** URL of the module that exports `registry` */
  readonly module: string;
  readonly stage: string;
  readonly instance: string;
  readonly config: Config;
  readonly folder: string;
  readonly threads: number;
}

export type ToWorker =
  | { readonly kind: 'run'; readonly shard: Shard; readonly scratch: string; readonly priors: readonly Prior[] }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'log'; readonly level: 'debug' | 'info' | 'warn'; readonly line: string }
  | {
      readonly kind: 'progress';
      readonly id: number;
      readonly total: number;
      readonly label: string;
      readonly at?: number;
    }
  | { readonly kind: 'advance'; readonly id: number; readonly n: number }
  | { readonly kind: 'note'; readonly id: number; readonly text: string }
  | { readonly kind: 'done'; readonly id: number }
  | { readonly kind: 'metrics'; readonly step: number; readonly values: Readonly<Record<string, number>> }
  | { readonly kind: 'resume'; readonly step: number }
  | { readonly kind: 'result'; readonly output: ShardOutput }
  | { readonly kind: 'failure'; readonly fault: Fault };

/** An error as a message between threads, where classes are lost. */
export interface Fault {
  readonly type: 'user' | 'run' | 'other';
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

function fault(thrown: unknown, folder: string): Fault {
  const error = describeFailure(thrown, folder);
  if (!(error instanceof Error)) return { type: 'other', name: 'Error', message: String(error) };
  const type = error instanceof UserError ? 'user' : error instanceof RunError ? 'run' : 'other';
  return { type, name: error.name, message: error.message, stack: error.stack };
}

const { module, stage: name, instance, config, folder, threads } = workerData as WorkerTask;
const port = parentPort!;
const say = (message: FromWorker): void => port.postMessage(message);
const stop = new AbortController();
let counts = 0;

const log = (level: 'debug' | 'info' | 'warn') => (line: string) => say({ kind: 'log', level, line });
const { registry: own } = (await import(module)) as { registry: Registry };
const registry = config.plugins.length > 0 && own.extend ? await own.extend(config.plugins) : own;
const stage = await registry.stages.find((one) => one.name === name)!.load();

function context(scratch: string, priors: readonly Prior[]): ShardContext<unknown> {
  return {
    settings: stage.settings(config),
    config,
    seed: config.seed,
    instance,
    folder,
    dataset: (dataset) => datasetFolder(config, dataset),
    threads,
    log: { debug: log('debug'), info: log('info'), warn: log('warn') },
    progress: (total, label, at) => {
      const id = counts++;
      say({ kind: 'progress', id, total, label, at });
      const progress: Progress = {
        advance: (n = 1) => say({ kind: 'advance', id, n }),
        note: (text) => say({ kind: 'note', id, text }),
        done: () => say({ kind: 'done', id }),
      };
      return progress;
    },
    signal: stop.signal,
    metrics: {
      write: (step, values) => say({ kind: 'metrics', step, values }),
      resume: (step) => say({ kind: 'resume', step }),
    },
    scratch: () => scratch,
    priors,
    keep: () => keptIn(scratch),
  };
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'stop') {
    stop.abort();
    return;
  }
  stage.run(message.shard, context(message.scratch, message.priors)).then(
    (output) => say({ kind: 'result', output }),
    (error: unknown) => say({ kind: 'failure', fault: fault(error, folder) }),
  );
});
