import { crc32 } from '@node-rs/crc32';
import { basename } from 'node:path';
import { PositionalFile } from '../store/file.js';

/** Files up to this size are read as a whole. */
const WHOLE = 256 << 20;
const PIECE = 4 << 20;

/** What a source file is: name, size, and the CRC-32 of its content (of its first and last 4 MiB where it is larger than 256 MiB). */
export interface FileContent {
  readonly name: string;
  readonly bytes: number;
  readonly crc32: number;
}

/** @throws UserError if the file cannot be read */
export function contentOf(path: string): FileContent {
  const file = new PositionalFile(path);
  try {
    let crc = 0;
    const add = (from: number, to: number): void => {
      for (let at = from; at < to; at += PIECE) crc = crc32(file.bytes(at, Math.min(PIECE, to - at)), crc);
    };
    if (file.size <= WHOLE) add(0, file.size);
    else {
      add(0, PIECE);
      add(file.size - PIECE, file.size);
    }
    return { name: basename(path), bytes: file.size, crc32: crc >>> 0 };
  } finally {
    file.close();
  }
}
