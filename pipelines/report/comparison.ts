import { Random } from '../../src/random.js';
import type { Comparison, Part } from '../../src/report/report.js';
import type { StageContext } from '../../src/runner/stage.js';
import { readTransitions } from '../datasets.js';
import type { ReportSettings } from './settings.js';
import { byTrajectory, REPORTED, type ReportedStep } from './steps.js';
import { Screens } from './screens.js';

/**
 * The episodes that two evaluations share. Evaluations of one split and seed give episode n the same task and phone, so
 * that the difference is the policies'.
 */
export async function compareEpisodes(
  ctx: StageContext<ReportSettings>,
  [before, after]: readonly [string, string],
): Promise<Part<Comparison>> {
  const [a, b] = [await episodes(ctx, before), await episodes(ctx, after)];
  const shared = [...a.keys()].filter((id) => b.get(id)?.[0].task === a.get(id)![0].task).sort();
  const won = (from: typeof a, id: string) => from.get(id)![0].trajectoryReward > 0;
  const gained = shared.filter((id) => won(b, id) && !won(a, id));
  const lost = shared.filter((id) => won(a, id) && !won(b, id)).length;
  if (gained.length === 0) {
    return {
      missing: `Of ${shared.length} episodes that both had, ${after} wins none that ${before} fails, and fails ${lost} that ${before} wins.`,
    };
  }
  const episode = new Random(ctx.seed, 'report', 'comparison').pick(gained);
  const screens = new Screens(ctx);
  const options = (name: string) => ({ title: name, note: `episode ${episode}`, longest: ctx.settings.steps });
  return {
    found: {
      episode,
      shared: shared.length,
      gained: gained.length,
      lost,
      strips: [
        await screens.strip(a.get(episode)!, options(before)),
        await screens.strip(b.get(episode)!, options(after)),
      ],
    },
  };
}

async function episodes(ctx: StageContext<ReportSettings>, name: string): Promise<Map<string, ReportedStep[]>> {
  return byTrajectory(await readTransitions(ctx.dataset(`eval/${name}`), 'eval', REPORTED));
}
