/**
 * 10,000 labels by a judge on a stand-in server that is busy, breaks and answers nonsense, while the process is killed and the
 * budget runs out: `npm run bench -- labels -- [EPISODES]`. It fails if a label is lost, doubled or wrong, or if something is
 * paid twice that no killed process had under way.
 */
import { soak } from '../test/rigs/judge/soak.js';

const ends: (() => unknown)[] = [];
try {
  const result = await soak(
    { after: (fn) => ends.push(fn) },
    { episodes: Number(process.argv[2] ?? 1500), kills: 12, budgets: 4, seed: 1 },
  );
  const { labels, requests, kills, budgetStops, paidTwice, seconds } = result;
  console.log(
    `${labels} labels, ${requests} requests, ${kills} kills, ${budgetStops} spent budgets: none lost or doubled, ${paidTwice} answers paid twice (under way at a kill), ${seconds.toFixed(0)} s`,
  );
} finally {
  for (const end of ends) await end();
}
