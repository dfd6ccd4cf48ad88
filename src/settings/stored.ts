/** The settings that a run was made with: those that somebody set, and where. They are a part of run.json. */
export interface StoredSettings {
  /** from settings files, by path; a value stays here when the command line sets the same path */
  readonly files: Readonly<Record<string, FileValue>>;
  /** from the command line, by path; above the files */
  readonly command: Readonly<Record<string, unknown>>;
  /** settings that were given for one result alone, by stage instance (`actor/cautious`) and path; above the others */
  readonly results: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface FileValue {
  readonly value: unknown;
  /** the file that holds the value, as messages show it */
  readonly from: string;
  /** the file that was named, which may extend `from` */
  readonly file: string;
}

/** The origin of settings of runs that were made before runs stored what was set. */
export const RECORDED = 'run.json';

/** Reads what `run.json` stores; undefined where it stores nothing, as in runs of earlier versions. */
export function storedSettings(record: { readonly set?: unknown }): StoredSettings | undefined {
  if (!isMap(record.set)) return undefined;
  const { files = {}, command = {}, results = {} } = record.set;
  if (!isMap(files) || !isMap(command) || !isMap(results)) return undefined;
  return { files: files as StoredSettings['files'], command, results: results as StoredSettings['results'] };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
