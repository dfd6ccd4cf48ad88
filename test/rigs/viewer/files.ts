/** Changes of manifest lines, as a stage, a crash or a stranger would make them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeLine } from '../../../src/data/formats/jsonl.js';

interface Line {
  readonly crc32: number;
  readonly files: readonly { readonly file: string }[];
}

const parsed = (line: string): Line => JSON.parse(line) as Line;

export const runFiles = {
  /** The data set's last line again, as a stage that rebuilds the same shard appends it. */
  note(run: string, set: string): string {
    const lines = readFileSync(join(run, set, '_manifest.jsonl'), 'utf8')
      .trim()
      .split('\n');
    return `${lines.at(-1)!}\n`;
  },
  /** The lines with their files moved below another folder. */
  renamed(manifest: string, folder: string): string {
    return manifest
      .trim()
      .split('\n')
      .map((text) => {
        const { crc32: _, ...line } = parsed(text);
        return encodeLine({ ...line, files: line.files.map((file) => ({ ...file, file: folder + file.file })) });
      })
      .join('');
  },
};
