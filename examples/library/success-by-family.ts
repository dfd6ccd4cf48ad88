/** Reads a finished run: its evaluations, success by family of tasks, and the critic's mean advantage of the actions taken. */
import { openRun } from 'critiq';
import { advantages } from 'critiq/algorithms';

const run = await openRun(process.argv[2] ?? 'data/pocket');

for (const name of run.evaluations()) {
  const { successes, episodes } = run.evaluation(name);
  console.log(`${name}: ${successes} of ${episodes}`);
}

const families = new Map<string, { wins: number; episodes: number }>();
for (const step of await run.transitions('trajectories', ['family', 'done', 'trajectoryReward'])) {
  if (!step.done) continue;
  const family = families.get(step.family) ?? { wins: 0, episodes: 0 };
  family.episodes += 1;
  if (step.trajectoryReward > 0) family.wins += 1;
  families.set(step.family, family);
}
console.table(Object.fromEntries(families));

const values = await run.values();
const taken = values.map((row) => advantages(row, 'min')[0]);
console.log(`mean advantage of the action taken: ${(taken.reduce((a, b) => a + b, 0) / taken.length).toFixed(4)}`);
