import type { Command } from 'commander';
import { UserError } from '../errors.js';
import type { Registry } from '../runner/registry.js';
import { common, load, print, type Options } from './command.js';

interface RankingOptions extends Options {
  gap: string;
  errors: string;
  gamma?: string;
  oracle?: string;
}

/** `critiq ranking`: critics beside the true values of `critiq oracle`. */
export function addRankingCommand(critiq: Command, registry: Registry): void {
  const ranking = critiq
    .command('ranking')
    .description(
      'compare critics with the true values that `critiq oracle` measured: do they know which action is better?',
    );
  common(ranking, 'critiq ranking exp7 exp7-mc --oracle exp7')
    .usage('[options] [run...] [settings...]')
    .option(
      '--oracle <run>',
      'run whose true values to take (default: its own, or those of the only run that has some)',
    )
    .option('--gap <value>', 'compare pairs of candidates whose true values differ by at least this', '0.25')
    .option('--errors <n>', 'and by more than this many standard errors of their difference', '0')
    .option('--gamma <value>', "discount of the true values; 1: success rates (default: the critic's own)")
    .action(async (words: string[], options: RankingOptions) => {
      const names = words.filter((word) => !word.includes('='));
      const overrides = words.filter((word) => word.includes('='));
      const { config } = await load(registry, overrides, options, { stored: false });
      const { rankRuns } = await import('../../pipelines/commands/ranking.js');
      const { rankingRows } = await import('../oracle/ranking-text.js');
      const { columns } = await import('../runs/columns.js');
      const rankings = await rankRuns({
        data: config.data,
        runs: names.length > 0 ? names : [config.run],
        oracle: options.oracle,
        gap: numberOf('--gap', options.gap, 1),
        errors: numberOf('--errors', options.errors, 100),
        gamma: options.gamma === undefined ? undefined : numberOf('--gamma', options.gamma, 1),
      });
      if (options.json) return print(JSON.stringify(rankings, null, 2));
      const [{ gap, errors, rollouts }] = rankings;
      print(columns([['', ...rankings.map(({ run }) => run)], ...rankingRows(rankings)]).join('\n'));
      const apart = errors > 0 ? ` and more than ${errors} standard errors` : '';
      const discounts = [...new Set(rankings.map(({ gamma }) => gamma))].join(', ');
      print(
        `\nTrue values are means of ${rollouts} episodes, discount ${discounts}. Pairs: true values ${gap} or more${apart} apart. 95 % intervals treat trajectories as independent.`,
      );
    });
}

function numberOf(option: string, text: string, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= most) return value;
  throw new UserError(`${option}: expected a number from 0 to ${most}, got ${JSON.stringify(text)}`);
}
