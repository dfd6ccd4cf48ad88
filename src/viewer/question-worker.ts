import { Worker } from 'node:worker_threads';

/** What a thread is asked and answers carries the number that tells which answer is whose. */
interface Numbered {
  readonly number: number;
}

/** Milliseconds without a question after which the thread and its memory are given back. */
const REST_MS = 60_000;

/** A thread that answers questions, started with the first one. What crashes it are its own library's faults, not ours. */
export class QuestionWorker<Question extends Numbered, Reply extends Numbered> {
  private worker: Worker | undefined;
  private readonly waiting = new Map<number, (reply: Reply | { number: number; error: string }) => void>();
  private asked = 0;
  private rest: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly script: URL) {}

  ask(question: Omit<Question, 'number'>): Promise<Reply | { number: number; error: string }> {
    const worker = this.running();
    const number = this.asked++;
    return new Promise((resolve) => {
      this.waiting.set(number, resolve);
      worker.postMessage({ ...question, number });
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.rest);
    await this.worker?.terminate();
  }

  private running(): Worker {
    clearTimeout(this.rest);
    if (this.worker) return this.worker;
    const worker = new Worker(this.script);
    worker.unref();
    worker.on('message', (reply: Reply) => {
      this.waiting.get(reply.number)?.(reply);
      this.waiting.delete(reply.number);
      if (this.waiting.size > 0) return;
      clearTimeout(this.rest);
      this.rest = setTimeout(() => void worker.terminate(), REST_MS).unref();
    });
    // those who waited are told; the next question gets a new thread
    const gone = (): void => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      for (const [number, resolve] of this.waiting) resolve({ number, error: 'its thread ended' });
      this.waiting.clear();
    };
    worker.on('error', gone);
    worker.on('exit', gone);
    this.worker = worker;
    return worker;
  }
}
