import { createHash } from 'node:crypto';
import { SharedLines } from '../data/store/shared-lines.js';

/** A line of the cache: an answer under the key of its question; model and task are for human readers. */
type Line = Readonly<Record<string, unknown>>;

/**
 * The models' answers on disk, by question, shared by all runs, processes and threads that use the folder. Each writer has
 * a file of JSON lines. The folder may be deleted at any time; the questions are then asked again.
 */
export class AnswerCache<A extends object> {
  private readonly answers = new Map<string, A>();
  private readonly lines: SharedLines<Line>;

  /**
   * @param folder created at the first write
   * @param answerIn the answer in a line; undefined if it has none
   */
  constructor(
    folder: string,
    private readonly answerIn: (line: Line) => A | undefined,
  ) {
    this.lines = new SharedLines(folder);
  }

  get(key: string): A | undefined {
    return this.answers.get(key) ?? this.reread(key);
  }

  put(key: string, answer: A, { model, task }: { model: string; task: string }): void {
    this.answers.set(key, answer);
    this.lines.append({ key, ...answer, model, task });
  }

  close(): void {
    this.lines.close();
  }

  /** Looks among the lines that others have written since: reading a file is faster than asking a model. */
  private reread(key: string): A | undefined {
    for (const line of this.lines.news()) {
      const answer = this.answerIn(line);
      if (typeof line.key !== 'string' || answer === undefined) continue;
      // the first answer stays: a repeated question gets the same one
      if (!this.answers.has(line.key)) this.answers.set(line.key, answer);
    }
    return this.answers.get(key);
  }
}

/** The key of a question: a hash of everything that can change the answer. */
export function questionKey(parts: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
