import { readFileSync } from 'node:fs';

/**
 * A text file's content: UTF-8, or what its byte order mark says (PowerShell's `>` writes UTF-16); without the mark.
 * @throws as readFileSync does
 */
export function readText(file: string): string {
  return decodeText(readFileSync(file));
}

/** The text in a file's bytes, as `readText` gives it. */
export function decodeText(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  return withoutMark(bytes.toString('utf8'));
}

/** The text without a byte order mark. */
export function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** The lines of a text, whether they end as on Unix, on Windows, or with a carriage return alone. */
export function linesOf(text: string): string[] {
  return text.split(/\r\n|\n|\r/);
}
