/** A served model for the example plugins: it taps the middle of the panel, whatever the task. */
import type { TestContext } from 'node:test';
import { Random } from '../../../src/random.js';
import { ServedServer } from '../served/server.js';

export const ANSWER = 'I tap the middle.\ntap 60 144';

const NAMES = ['red', 'green', 'blue'] as const;

/** For the twelve test episodes of seed 0: the wanted button, and the button in the middle of the panel. */
export const PANEL_MIDDLES = NAMES.flatMap((wanted) => Array.from({ length: 4 }, () => wanted)).map((wanted, n) => ({
  wanted,
  middle: new Random(new Random(0, 'eval', 'test', n).int(2 ** 31), 'panel').shuffled(NAMES)[1],
}));

export async function panelServer(t: TestContext): Promise<{ url: string }> {
  return ServedServer.start(t, { answer: () => ANSWER });
}
