import { Worker } from 'node:worker_threads';

/** Questions and answers carry a number that pairs them. */
interface Numbered {
  readonly number: number;
}

/** Milliseconds without a question after which the thread ends and frees its memory. */
const REST_MS = 60_000;

/** A thread that answers questions; it starts with the first one. A crash in it does not end the viewer. */
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
    // open questions fail; the next one starts a new thread
    const gone = (): void => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      for (const [number, resolve] of this.waiting)
        resolve({ number, error: 'the thread that computes it ended; try again' });
      this.waiting.clear();
    };
    worker.on('error', gone);
    worker.on('exit', gone);
    this.worker = worker;
    return worker;
  }
}
