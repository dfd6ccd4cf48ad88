/** Reads a folder as one table the way pyarrow does, and so pandas: with every file below it, whatever it is. */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Files below the folder, by path; names that begin with `_` or `.` are skipped with all that is below them. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !/^[_.]/.test(name))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
}

/** The rows of all files. @throws Error where a file is not Parquet, or has other columns than the first */
export async function readFolder(folder: string): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  let first: { path: string; schema: string } | undefined;
  for (const path of filesBelow(folder)) {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const schema = JSON.stringify(metadata.schema);
    first ??= { path, schema };
    if (schema !== first.schema) throw new Error(`${path}: its columns are not those of ${first.path}`);
    for (const row of await parquetReadObjects({ file, metadata })) rows.push(row);
  }
  if (!first) throw new Error(`${folder}: no Parquet file`);
  return rows;
}

/** Every folder of a run that has a Parquet file, below the run's folder. */
export function tableFolders(run: string, below = ''): string[] {
  const entries = readdirSync(join(run, below), { withFileTypes: true });
  return [
    ...(entries.some(({ name }) => name.endsWith('.parquet')) ? [below] : []),
    ...entries.filter((entry) => entry.isDirectory()).flatMap(({ name }) => tableFolders(run, join(below, name))),
  ].sort();
}
