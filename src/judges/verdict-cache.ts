import { createHash } from 'node:crypto';
import { SharedLines } from '../data/store/shared-lines.js';
import type { Answer } from './status.js';

/** A line of the cache: the answer under what was asked; the task is for people who read it. */
interface Line extends Answer {
  readonly key: string;
  readonly model: string;
  readonly task: string;
}

/**
 * What models have answered, on disk under what they were asked, for all runs, processes and threads that have the folder:
 * JSON lines, of which each writer has a file. It may be deleted at any time; that costs the calls.
 */
export class VerdictCache {
  private readonly answers = new Map<string, Answer>();
  private readonly lines: SharedLines<Line>;

  /** @param folder made when first written to */
  constructor(folder: string) {
    this.lines = new SharedLines(folder);
  }

  get(key: string): Answer | undefined {
    return this.answers.get(key) ?? this.look(key);
  }

  put(key: string, { status, reasoning }: Answer, { model, task }: { model: string; task: string }): void {
    this.answers.set(key, { status, reasoning });
    this.lines.append({ key, status, reasoning, model, task });
  }

  close(): void {
    this.lines.close();
  }

  /** With what others have written since: a file is read faster than a model answers. */
  private look(key: string): Answer | undefined {
    for (const { key: found, status, reasoning } of this.lines.news()) {
      if (typeof found !== 'string' || (status !== 'success' && status !== 'failure')) continue;
      // the first one holds: an episode that comes again gets the same verdict
      if (!this.answers.has(found)) this.answers.set(found, { status, reasoning });
    }
    return this.answers.get(key);
  }
}

/** The key of everything that decides an answer. */
export function verdictKey(parts: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
