import { join } from 'node:path';
import { appendLine, readLines } from '../data/formats/jsonl.js';
import { SPARE } from './spare.js';

/** Two contents of a shard of a data set, of which one begins with the rows of the other. */
interface Part {
  readonly dataset: string;
  readonly shard: string;
  readonly a: string;
  readonly b: string;
}

const file = (run: string): string => join(run, SPARE, 'parts.jsonl');

/**
 * Which contents of a shard are parts of one another, by their fingerprints (`contentFingerprint`). With it a stage knows
 * that an input has only become longer or shorter. Without the file, such an input counts as changed.
 */
export class Parts {
  private readonly known: readonly Part[];

  constructor(run: string) {
    this.known = readLines<Part>(file(run), 'remove it: results built from inputs that have grown are then rebuilt');
  }

  /** The contents that are related to this one, itself first. */
  related(dataset: string, shard: string, content: string): string[] {
    const found = [content];
    for (const at of found) {
      for (const part of this.known) {
        if (part.dataset !== dataset || part.shard !== shard || (part.a !== at && part.b !== at)) continue;
        const other = part.a === at ? part.b : part.a;
        if (!found.includes(other)) found.push(other);
      }
    }
    return found;
  }

  /** Records that two contents are parts of one another. */
  static async add(run: string, part: Part): Promise<void> {
    if (part.a !== part.b) await appendLine(file(run), part);
  }
}
