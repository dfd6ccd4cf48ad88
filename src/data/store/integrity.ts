import { crc32 } from '@node-rs/crc32';
import { arrowRows } from '../formats/arrow.js';
import { PositionalFile } from './file.js';
import { parquetRows } from '../tables.js';

/** A file in the manifest. */
export interface FileRecord {
  /** path below the data set's folder, `/` between folders */
  readonly file: string;
  readonly bytes: number;
  /** CRC-32 of all bytes */
  readonly crc32: number;
  /** rows, for tables and representations */
  readonly rows?: number;
}

/**
 * How thoroughly to check files. `structure`: existence, size, magic bytes, number of rows. `once` (the default): also the
 * CRC of files up to 64 MiB, once per process for the same file, size and modification time. `all`: the CRC of every file,
 * once per process. `full`: the CRC of every file, every time.
 */
export type Verify = 'structure' | 'once' | 'all' | 'full';

/** Larger files are checked with `all` and `full` only: CRC-32 runs at gigabytes per second, but the disk may not. */
export const CRC_AT_OPEN = 64 << 20;

const checked = new Set<string>();

/**
 * Compares a file with its record from when it was committed. This is the only check for damage: readers of Parquet and
 * Arrow do not notice a flipped byte, and apache-arrow reads a truncated file as 0 rows.
 * @throws UserError with the file, what was expected and found, and `whatToDo`
 */
export async function verifyFile(path: string, record: FileRecord, verify: Verify, whatToDo: string): Promise<void> {
  const source = new PositionalFile(path, whatToDo);
  try {
    if (source.size !== record.bytes) {
      const what = source.size === 0 ? 'empty' : source.size < record.bytes ? 'truncated' : 'changed';
      throw source.fault(`${what}: expected ${record.bytes} bytes, got ${source.size}`);
    }
    // before the rows are counted: a damaged footer can ask for gigabytes
    const key = `${path} ${source.identity} ${source.size} ${source.modified} ${record.crc32}`;
    const once = verify === 'all' || (verify === 'once' && source.size <= CRC_AT_OPEN);
    if (verify === 'full' || (once && !checked.has(key))) {
      const crc = fileCrc(source);
      if (crc !== record.crc32) throw source.fault(`damaged: expected crc32 ${record.crc32}, got ${crc}`);
      checked.add(key);
    }
    if (record.rows !== undefined) {
      const rows = await countRows(source);
      if (rows !== undefined && rows !== record.rows) {
        throw source.fault(`changed: expected ${record.rows} rows, got ${rows}`);
      }
    }
  } finally {
    source.close();
  }
}

/** The manifest's record of an existing file. */
export async function recordFile(path: string, file: string): Promise<FileRecord> {
  const source = new PositionalFile(path);
  try {
    const rows = await countRows(source);
    return { file, bytes: source.size, crc32: fileCrc(source), ...(rows === undefined ? {} : { rows }) };
  } finally {
    source.close();
  }
}

/** The number of rows from the file's footer; undefined for formats without rows. */
async function countRows(source: PositionalFile): Promise<number | undefined> {
  if (source.file.endsWith('.parquet')) return parquetRows(source);
  if (source.file.endsWith('.arrow')) return arrowRows(source);
  return undefined;
}

function fileCrc(source: PositionalFile): number {
  const block = new Uint8Array(Math.min(source.size, 1 << 22));
  let crc = 0;
  for (let at = 0; at < source.size; at += block.length) {
    const piece = block.subarray(0, Math.min(block.length, source.size - at));
    source.read(piece, at);
    crc = crc32(piece, crc);
  }
  return crc >>> 0;
}
