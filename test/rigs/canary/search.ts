/** Looks for keys in texts and in all files of a folder, in every encoding. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { spellingsOf } from './encodings.js';

/** Asserts that no key is in a text, in any spelling, nor most of it from its first character on. */
export function noKeyIn(text: string, keys: readonly string[], where: string): void {
  const spellings = keys.flatMap((key) => [...spellingsOf(key), ...spellingsOf(key.slice(0, (2 * key.length) / 3))]);
  // what is written once more as JSON has one more backslash
  for (const seen of [text, text.replaceAll('\\\\', '\\').replaceAll('\\/', '/'), text.toLowerCase()])
    for (const spelled of spellings)
      assert.ok(!seen.includes(spelled), `${where} has ${spelled}: ...${around(seen, spelled)}...`);
}

function around(text: string, part: string): string {
  const at = text.indexOf(part);
  return text.slice(Math.max(0, at - 80), at + part.length + 80);
}

/** Asserts that no key is in any file or name below a folder. @returns the number of files */
export function noKeyBelow(folder: string, keys: readonly string[]): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    noKeyIn(file.slice(folder.length), keys, `the name of ${file}`);
    if (!entry.isFile()) continue;
    const bytes = readFileSync(file);
    noKeyIn(bytes.toString('latin1'), keys, file);
    noKeyIn(bytes.toString('utf8'), keys, file);
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) noKeyIn(gunzipSync(bytes).toString('utf8'), keys, file);
    if (file.endsWith('.br')) noKeyIn(brotliDecompressSync(bytes).toString('utf8'), keys, file);
  }
  return entries.filter((entry) => entry.isFile()).length;
}
