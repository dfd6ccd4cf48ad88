import { crc32 } from '@node-rs/crc32';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { UserError } from '../../src/errors.js';
import { packageRoot } from '../../src/package.js';

/** An empty folder, removed after the test. */
export function tempFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'critiq-data-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The path of a committed fixture. The compiled tests run from dist/test. */
export function fixture(...names: string[]): string {
  return join(packageRoot(), 'test', 'fixtures', ...names);
}

/** Flips the lowest bit of one byte of a file. */
export function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 1;
  writeFileSync(file, bytes);
}

/** Runs `attempt` on the file cut to each of the lengths; restores the file afterwards. */
export async function eachTruncation(file: string, lengths: number[], attempt: (length: number) => Promise<void>) {
  const whole = readFileSync(file);
  for (const length of lengths) {
    truncateSync(file, length);
    await attempt(length);
    writeFileSync(file, whole);
  }
}

/** Asserts a one-line UserError that matches all patterns. */
export async function rejectsWithLine(attempt: () => unknown, ...patterns: RegExp[]): Promise<void> {
  await assert.rejects(
    async () => attempt(),
    (error: Error) => {
      assert.ok(error instanceof UserError, `expected a UserError, got ${error.stack}`);
      assert.ok(!error.message.includes('\n'), error.message);
      for (const pattern of patterns) assert.match(error.message, pattern);
      return true;
    },
  );
}

/** A zip file with stored entries, as torch.save writes it; with `method` 8 it falsely declares them deflated. */
export function storedZip(entries: Record<string, Uint8Array>, method = 0): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of Object.entries(entries)) {
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fields, tail, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const size = directory.reduce((sum, entry) => sum + entry.length, 0);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}

/** The formula of test/fixtures/torch/make.py. */
export function ramp(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => ((((i * 7 + start) % 1001) + 1001) % 1001) / 8);
}
