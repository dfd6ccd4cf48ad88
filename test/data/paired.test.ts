import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pairedTest } from '../../src/data/paired.js';
import { Random } from '../../src/random.js';

const near = (a: number, b: number, off = 1e-9) => assert.ok(Math.abs(a - b) < off, `${a} is not ${b}`);

test("McNemar's exact p-value is a two-sided binomial tail", () => {
  near(pairedTest({ both: 7, neither: 3, gained: 4, lost: 1 }).p, (2 * (1 + 5)) / 2 ** 5);
  near(pairedTest({ both: 0, neither: 0, gained: 2, lost: 10 }).p, (2 * (1 + 12 + 66)) / 2 ** 12);
  assert.equal(pairedTest({ both: 5, neither: 5, gained: 3, lost: 3 }).p, 1);
  assert.equal(pairedTest({ both: 5, neither: 5, gained: 0, lost: 0 }).p, 1);
  // counts whose factorials overflow
  const { p } = pairedTest({ both: 0, neither: 0, gained: 3000, lost: 2000 });
  assert.ok(p > 0 && p < 1e-40, String(p));
});

test('the difference is that of the rates, and swapping the policies mirrors its interval', () => {
  const counts = { both: 120, neither: 60, gained: 35, lost: 12 };
  const { difference, ci95, shared } = pairedTest(counts);
  assert.equal(shared, 227);
  near(difference, 155 / 227 - 132 / 227);
  assert.ok(ci95[0] > 0 && ci95[0] < difference && difference < ci95[1]);
  const back = pairedTest({ ...counts, gained: counts.lost, lost: counts.gained });
  near(back.difference, -difference);
  near(back.ci95[0], -ci95[1]);
  near(back.ci95[1], -ci95[0]);
});

test('extreme cases: no episodes, equal outcomes, and opposite outcomes', () => {
  assert.deepEqual(pairedTest({ both: 0, neither: 0, gained: 0, lost: 0 }).ci95, [-1, 1]);
  const none = pairedTest({ both: 10, neither: 0, gained: 0, lost: 0 });
  assert.equal(none.difference, 0);
  assert.ok(none.ci95[0] < -0.1 && none.ci95[1] > 0.1, 'ten equal outcomes do not exclude a difference');
  const all = pairedTest({ both: 0, neither: 0, gained: 30, lost: 0 });
  assert.equal(all.difference, 1);
  assert.ok(all.ci95[0] > 0.7 && all.ci95[1] === 1);
});

test('the interval contains the true difference in about 95 % of samples and is narrower than without pairing', () => {
  const random = new Random(0, 'paired');
  const [both, gained, lost] = [0.4, 0.2, 0.05];
  let covered = 0;
  let width = 0;
  const samples = 2000;
  for (let i = 0; i < samples; i++) {
    const counts = { both: 0, neither: 0, gained: 0, lost: 0 };
    for (let k = 0; k < 100; k++) {
      const u = random.next();
      counts[u < both ? 'both' : u < both + gained ? 'gained' : u < both + gained + lost ? 'lost' : 'neither']++;
    }
    const [low, high] = pairedTest(counts).ci95;
    if (low <= gained - lost && gained - lost <= high) covered++;
    width += (high - low) / samples;
  }
  const share = covered / samples;
  assert.ok(share > 0.935 && share < 0.975, String(share));
  // two independent rates of 0.6 and 0.45 with 100 episodes each
  const unpaired = 2 * 1.96 * Math.sqrt((0.6 * 0.4 + 0.45 * 0.55) / 100);
  assert.ok(width < 0.85 * unpaired, `${width} of ${unpaired}`);
});
