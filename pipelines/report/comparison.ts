import { pairedTest } from '../../src/data/paired.js';
import { Random } from '../../src/random.js';
import { settingOf, type Evaluation, type Pair } from '../../src/report/evaluations.js';
import type { Comparison, Part } from '../../src/report/report.js';
import type { StageContext } from '../../src/runner/stage.js';
import { readTransitions } from '../datasets.js';
import type { ReportSettings } from './settings.js';
import { byTrajectory } from '../../src/data/transitions.js';
import { REPORTED, type ReportedStep } from './steps.js';
import { Screens } from './screens.js';

/** Which task an episode had, and whether it succeeded. */
type Outcomes = ReadonlyMap<string, { readonly task: string; readonly won: boolean }>;

/** Evaluations of the same tasks and mode, of which every pair is compared; of more, each only with the first. */
const EVERY_PAIR = 6;

/**
 * Compares evaluations episode by episode. Evaluations with the same split and seed give episode n the same task and
 * phone, so differences come from the policies.
 */
export class Comparisons {
  private readonly known = new Map<string, Promise<Outcomes>>();

  constructor(private readonly ctx: StageContext<ReportSettings>) {}

  /** The pairs of evaluations that have tasks and mode in common, in the order of the evaluations. */
  async pairs(evaluations: ReadonlyMap<string, Evaluation>): Promise<Pair[]> {
    const groups = new Map<string, string[]>();
    for (const [name, one] of evaluations) groups.set(settingOf(one), [...(groups.get(settingOf(one)) ?? []), name]);
    const pairs: Pair[] = [];
    for (const group of groups.values()) {
      for (const [i, before] of group.entries()) {
        if (i > 0 && group.length > EVERY_PAIR) break;
        for (const after of group.slice(i + 1)) pairs.push((await this.compare(before, after)).pair);
      }
    }
    return pairs.filter(({ shared }) => shared > 0);
  }

  /** The two evaluations of `report.compare`, with an episode that only the second wins. */
  async headline([before, after]: readonly [string, string]): Promise<Comparison> {
    const { pair, gained } = await this.compare(before, after);
    if (gained.length === 0) return { pair, example: { missing: `There is no episode that only ${after} wins.` } };
    const episode = new Random(this.ctx.seed, 'report', 'comparison').pick(gained);
    return { pair, example: await this.example(episode, before, after) };
  }

  private async compare(before: string, after: string): Promise<{ pair: Pair; gained: string[] }> {
    const [a, b] = [await this.outcomes(before), await this.outcomes(after)];
    const counts = { both: 0, neither: 0, gained: 0, lost: 0 };
    const gained: string[] = [];
    for (const id of [...a.keys()].sort()) {
      const [first, second] = [a.get(id)!, b.get(id)];
      if (second?.task !== first.task) continue;
      const kind = first.won ? (second.won ? 'both' : 'lost') : second.won ? 'gained' : 'neither';
      counts[kind]++;
      if (kind === 'gained') gained.push(id);
    }
    return { pair: { before, after, ...pairedTest(counts) }, gained };
  }

  private outcomes(name: string): Promise<Outcomes> {
    let known = this.known.get(name);
    if (!known) {
      known = this.read(name);
      this.known.set(name, known);
    }
    return known;
  }

  private async read(name: string): Promise<Outcomes> {
    const columns = ['trajectory', 'task', 'trajectoryReward'] as const;
    const rows = await readTransitions(this.ctx.dataset(`eval/${name}`), 'eval', columns);
    return new Map(
      rows.map(({ trajectory, task, trajectoryReward }) => [trajectory, { task, won: trajectoryReward > 0 }]),
    );
  }

  private async example(
    episode: string,
    before: string,
    after: string,
  ): Promise<Part<{ episode: string; strips: Strips }>> {
    const screens = new Screens(this.ctx);
    const strip = async (name: string) =>
      screens.strip(await this.steps(name, episode), {
        title: name,
        note: `episode ${episode}`,
        longest: this.ctx.settings.steps,
      });
    return { found: { episode, strips: [await strip(before), await strip(after)] } };
  }

  private async steps(name: string, episode: string): Promise<ReportedStep[]> {
    return byTrajectory(await readTransitions(this.ctx.dataset(`eval/${name}`), 'eval', REPORTED)).get(episode)!;
  }
}

type Strips = readonly Awaited<ReturnType<Screens['strip']>>[];
