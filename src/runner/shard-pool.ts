import { Worker } from 'node:worker_threads';
import { RunError, UserError } from '../errors.js';
import type { Progress } from './display.js';
import type { Fault, FromWorker, ToWorker, WorkerTask } from './shard-worker.js';
import type { Shard, ShardContext, ShardOutput } from './stage.js';

/**
 * Threads that run shards of one stage, one shard per thread at a time. The stage's code is the same as in the main thread:
 * logs, progress and metrics come back as messages; it reads and writes the run folder itself.
 */
export class ShardPool {
  private readonly idle: ShardThread[] = [];
  private readonly all: ShardThread[] = [];

  constructor(private readonly task: WorkerTask) {}

  /** Runs a shard in an idle thread, or in a new one. @throws what the stage throws */
  async run(shard: Shard, ctx: ShardContext<unknown>): Promise<ShardOutput> {
    let thread = this.idle.pop();
    if (!thread) {
      thread = new ShardThread(this.task);
      this.all.push(thread);
    }
    const output = await thread.run(shard, ctx);
    this.idle.push(thread);
    return output;
  }

  /** Terminates the threads, whatever they are doing. */
  async close(): Promise<void> {
    await Promise.all(this.all.map((thread) => thread.close()));
  }
}

interface Call {
  readonly ctx: ShardContext<unknown>;
  readonly counts: Map<number, Progress>;
  readonly resolve: (output: ShardOutput) => void;
  readonly reject: (error: unknown) => void;
}

class ShardThread {
  private readonly worker: Worker;
  private call?: Call;

  constructor(task: WorkerTask) {
    this.worker = new Worker(new URL('./shard-worker.js', import.meta.url), { workerData: task });
    this.worker.on('message', (message: FromWorker) => {
      try {
        this.hear(message);
      } catch (error) {
        // a full disk, when metrics are written
        this.end(error);
      }
    });
    this.worker.on('error', (error) => this.end(error));
    this.worker.on('exit', (code) => this.end(new RunError(`a worker thread exited with code ${code}`)));
  }

  run(shard: Shard, ctx: ShardContext<unknown>): Promise<ShardOutput> {
    const stop = (): void => this.tell({ kind: 'stop' });
    ctx.signal.addEventListener('abort', stop, { once: true });
    return new Promise<ShardOutput>((resolve, reject) => {
      this.call = { ctx, counts: new Map(), resolve, reject };
      this.tell({ kind: 'run', shard, scratch: ctx.scratch(), priors: ctx.priors });
    }).finally(() => ctx.signal.removeEventListener('abort', stop));
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private tell(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private hear(message: FromWorker): void {
    const { ctx, counts } = this.call!;
    switch (message.kind) {
      case 'log':
        return ctx.log[message.level](message.line);
      case 'progress':
        return void counts.set(message.id, ctx.progress(message.total, message.label, message.at));
      case 'advance':
        return counts.get(message.id)!.advance(message.n);
      case 'note':
        return counts.get(message.id)!.note(message.text);
      case 'done':
        return counts.get(message.id)!.done();
      case 'metrics':
        return ctx.metrics.write(message.step, message.values);
      case 'resume':
        return ctx.metrics.resume(message.step);
      case 'result':
        return this.call!.resolve(message.output);
      case 'failure':
        return this.end(restored(message.fault));
    }
  }

  private end(error: unknown): void {
    for (const count of this.call?.counts.values() ?? []) count.done();
    this.call?.reject(error);
  }
}

function restored({ type, name, message, stack }: Fault): Error {
  const error = type === 'user' ? new UserError(message) : type === 'run' ? new RunError(message) : new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
