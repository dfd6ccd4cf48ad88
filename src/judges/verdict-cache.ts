import { createHash } from 'node:crypto';
import { SharedLines } from '../data/store/shared-lines.js';
import type { Answer } from './status.js';

/** A line of the cache: an answer under the key of its question; the task is for human readers. */
interface Line extends Answer {
  readonly key: string;
  readonly model: string;
  readonly task: string;
}

/**
 * The models' answers on disk, by question, shared by all runs, processes and threads that use the folder. Each writer has
 * a file of JSON lines. The folder may be deleted at any time; the questions are then asked again.
 */
export class VerdictCache {
  private readonly answers = new Map<string, Answer>();
  private readonly lines: SharedLines<Line>;

  /** @param folder created at the first write */
  constructor(folder: string) {
    this.lines = new SharedLines(folder);
  }

  get(key: string): Answer | undefined {
    return this.answers.get(key) ?? this.reread(key);
  }

  put(key: string, { status, reasoning }: Answer, { model, task }: { model: string; task: string }): void {
    this.answers.set(key, { status, reasoning });
    this.lines.append({ key, status, reasoning, model, task });
  }

  close(): void {
    this.lines.close();
  }

  /** Looks among the lines that others have written since: reading a file is faster than asking a model. */
  private reread(key: string): Answer | undefined {
    for (const { key: found, status, reasoning } of this.lines.news()) {
      if (typeof found !== 'string' || (status !== 'success' && status !== 'failure')) continue;
      // the first answer stays: a repeated episode gets the same verdict
      if (!this.answers.has(found)) this.answers.set(found, { status, reasoning });
    }
    return this.answers.get(key);
  }
}

/** The key of a question: a hash of everything that can change the answer. */
export function verdictKey(parts: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
