/** A reader that hangs, grows or dies, to test that the fuzzer notices. It is none of the kinds that `make fuzz` tries. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind } from '../kind.js';

export const SELF_TEST: Kind = {
  name: 'self-test',
  seeds: () => [{ name: 'x', bytes: Buffer.from('x') }],
  mutate: (_, bytes) => bytes,
  read: async (_, __, folder) => {
    const n = Number(readFileSync(`${folder}/../status`, 'utf8'));
    if (n === 1) for (;;) process.cpuUsage();
    const kept: Buffer[] = [];
    // a little at a time, as a reader of a list would
    while (n === 2) {
      kept.push(Buffer.alloc(1 << 24, 1));
      await sleep(1);
    }
    if (n === 3) process.abort();
  },
};
